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
        bits: The number of bits of a sample.
        rate: The number of samples per second.
        count: The number of samples per channel, according to the header.
        samples: The bytes of the samples that the file really has.
    """

    channels: int
    bits: int
    rate: int
    count: int
    samples: bytes


def parse_wav(content: bytes, path: str | Path, inside: str = "") -> Sound:
    """Parse a WAV file. The result has only samples that the file contains, even if its header promises more.

    Args:
        content: The file's bytes.
        path: The file, for error messages.
        inside: The member of an archive, for error messages.

    Returns:
        The recording.

    Raises:
        FileError: If the content is not a WAV file.
    """
    try:
        with wave.open(BytesIO(content)) as sound:
            count, width = sound.getnframes(), sound.getsampwidth()
            samples = sound.readframes(min(count, len(content)))
            return Sound(sound.getnchannels(), 8 * width, sound.getframerate(), count, samples)
    except (wave.Error, EOFError, RuntimeError) as error:
        raise FileError(
            path, f"is not a wave file ({str(error) or 'it ends too early'})", "Download it again.", inside=inside
        ) from error
