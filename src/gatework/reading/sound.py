"""Sound: WAV files. Standard library only."""

import wave
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from gatework.errors import FileError


@dataclass(frozen=True)
class Sound:
    """A recording.

    Args:
        channels: The number of channels.
        bits: The bits of a sample.
        rate: Samples a second.
        count: How many samples of each channel the file says it has.
        samples: The bytes of those that it has.
    """

    channels: int
    bits: int
    rate: int
    count: int
    samples: bytes


def parse_wav(content: bytes, path: str | Path, inside: str = "") -> Sound:
    """Read a WAV file that is in memory. Never more is taken than the file has, whatever its header says.

    Args:
        content: The file's bytes.
        path: The file, for an error.
        inside: The member of an archive, for an error.

    Returns:
        The recording.

    Raises:
        FileError: When it is no WAV file.
    """
    try:
        with wave.open(BytesIO(content)) as sound:
            count, width = sound.getnframes(), sound.getsampwidth()
            samples = sound.readframes(min(count, len(content)))
            return Sound(sound.getnchannels(), 8 * width, sound.getframerate(), count, samples)
    except (wave.Error, EOFError, RuntimeError) as error:
        raise FileError(
            path, f"is not a wave file ({str(error) or 'it ends too early'})", "fetch it anew", inside=inside
        ) from error
