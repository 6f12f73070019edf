"""Transcribe recordings with the model of a run on speech: whole files, or sound that arrives in pieces."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatework.data.sounds import Samples, read_samples
from gatework.errors import ConfigError, DataError, RunError
from gatework.reading.files import read_file
from gatework.tasks.features.prepared import Prepared
from gatework.tasks.recorded.an4 import read_cepstra
from gatework.training.jobs.evaluation import Search as Search
from gatework.training.jobs.kind import Restored
from gatework.training.jobs.transcripts import Decoder, known_texts, spells

Sound = str | os.PathLike[str] | NDArray[Any] | Tensor
"""A recording: a file, or samples ``[n]`` between -1 and 1 at the rate of the run."""

CEPSTRA = ".mfc"
"""The ending of the names of files of cepstra, as CMU Sphinx writes them."""
_MOST_BYTES = 1 << 28


@dataclass(frozen=True)
class Transcription:
    """What a model hears in a recording.

    Args:
        source: The file; empty for samples.
        text: The transcript.
        seconds: The duration of the recording.
        changes: What was done to the recording before it was read, each in a few words.
        spikes: The letters along the most probable path, each with the second at which it is most probable first.
    """

    source: str
    text: str
    seconds: float
    changes: tuple[str, ...] = ()
    spikes: tuple[tuple[str, float], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the transcript as plain data."""
        spikes = [{"letter": letter, "second": second} for letter, second in self.spikes]
        return asdict(self) | {"changes": list(self.changes), "spikes": spikes}


class Transcriber:
    """Transcribe with the model of a run.

    Args:
        restored: The run.
        search: How scores are turned into transcripts.

    Raises:
        RunError: If the run is not on speech.
        ConfigError: If an option is out of its range.
    """

    def __init__(self, restored: Restored, search: Search) -> None:
        job: Any = restored.trained
        task = getattr(job, "task", None)
        if task is None or not spells(task):
            raise RunError(
                f"Run '{restored.run}' was trained on task '{restored.config.task}', whose models hear no speech. "
                "Expected a run of task speech, or of another one with transcripts."
            )
        facts = job.recording.facts
        self.restored, self.model = restored, restored.model
        self.prepared = Prepared.from_facts(facts.get("sound", {}))
        self.letters, texts = known_texts(facts)
        self.decoder = Decoder(self.letters, texts, search)

    @property
    def rate(self) -> int:
        """The number of samples a second that the model reads."""
        return self.prepared.recipe.rate

    def transcribe(self, sound: Sound) -> Transcription:
        """Transcribe one recording.

        Args:
            sound: A file, or samples at the rate of the run.

        Raises:
            DataError: If it cannot be read, or is no sound.
        """
        named = os.fspath(sound) if isinstance(sound, str | os.PathLike) else ""
        if named.lower().endswith(CEPSTRA):
            return self._of_cepstra(Path(named))
        samples = read_samples(Path(named)) if named else Samples(check_samples(sound), self.rate)
        samples = samples.at(self.rate)
        scores = self.scores(self.prepared.of_samples(samples.values))
        return self._told(named, samples.seconds, scores, samples.changes)

    @torch.no_grad()
    def scores(self, steps: NDArray[np.float32]) -> Tensor:
        """Return the scores of the model at each step ``[T, 1, K + 1]``, from what it reads ``[T, width]``."""
        weight = self.model.head.weight
        output, _ = self.model.read(torch.from_numpy(steps)[:, None].to(weight.device, weight.dtype))
        return score_each(self.model, output).cpu()

    def _of_cepstra(self, path: Path) -> Transcription:
        if self.prepared.recipe.kind != "mfcc":
            raise DataError(f"'{path}' holds cepstra, and run '{self.restored.run}' reads mel bands. Give the sound.")
        frames = read_cepstra(read_file(path, _MOST_BYTES, "expected a file of cepstra"), f"'{path}'")
        return self._told(str(path), len(frames) / 100, self.scores(self.prepared.steps(frames)), ())

    def _told(self, source: str, seconds: float, scores: Tensor, changes: tuple[str, ...]) -> Transcription:
        path = scores[:, 0].argmax(dim=-1).tolist()
        length = self.prepared.recipe.stack / 100
        spikes = [
            (self.letters[label], round(step * length, 2))
            for step, label in enumerate(path)
            if label < len(self.letters) and (not step or path[step - 1] != label)
        ]
        return Transcription(source, self.decoder.texts_of(scores)[0], seconds, changes, tuple(spikes))


def score_each(model: Any, output: Tensor) -> Tensor:
    """Map the output of the layers ``[T, 1, H]`` to scores ``[T, 1, K + 1]``, one step at a time.

    The bits of a product of matrices depend on the number of its rows, and a stream has one row at a time.
    """
    if not len(output):
        return output.new_zeros(0, 1, model.head.out_features)
    return torch.stack([model.head(step) for step in output])


def check_samples(sound: Any, least: int = 1) -> NDArray[np.float64]:
    """Refuse samples that are none; return them as ``[n]``, float64.

    Args:
        sound: What was given.
        least: The fewest samples.

    Raises:
        DataError: If they are not one channel of finite numbers between -1 and 1, or there are none.
    """
    try:
        samples = np.asarray(sound.detach().cpu() if isinstance(sound, Tensor) else sound)
    except ValueError:
        samples = np.zeros((0, 0))
    if samples.ndim != 1 or len(samples) < least or not np.issubdtype(samples.dtype, np.floating):
        raise DataError(
            f"The sound has the shape {list(samples.shape)} of {samples.dtype}; expected samples [n], floats between "
            "-1 and 1."
        )
    highest = np.abs(samples).max(initial=0.0)
    if not highest <= 1:  # nor is NaN
        raise DataError(
            f"The samples reach {highest:.4g}; expected finite numbers between -1 and 1. Divide whole "
            "numbers of 16 bits by 32,768."
        )
    return samples.astype(np.float64)


class Hearing:
    """Transcribe sound that arrives in pieces, along the most probable path.

    :meth:`gatework.LoadedRun.listen` makes it. The scores have the bits of the whole recording, whatever the pieces.

    Args:
        transcriber: What transcribes.

    Raises:
        ConfigError: If the model reads in both directions, or standardises each recording by itself.
    """

    def __init__(self, transcriber: Transcriber) -> None:
        run, model = transcriber.restored.run, transcriber.model
        if model.recurrent.bidirectional:
            raise ConfigError(
                f"Run '{run}' reads in both directions, so it needs the whole recording. Train with "
                "--no-bidirectional to read recordings in pieces, or use transcribe()."
            )
        try:
            self._arriving = transcriber.prepared.arriving()
        except DataError as error:
            raise ConfigError(f"Run '{run}' cannot read recordings in pieces. {error}") from error
        self._transcriber = transcriber
        self._stream = model.recurrent.stream()
        self._last = len(transcriber.letters)  # the label of the step before; the blank at first
        self._letters: list[str] = []
        self._scores: list[Tensor] = []
        self._ended = False

    @property
    def text(self) -> str:
        """The transcript so far."""
        return " ".join("".join(self._letters).split())

    @property
    def scores(self) -> Tensor:
        """The scores of every step so far ``[T, K + 1]``."""
        return torch.stack(self._scores) if self._scores else torch.zeros(0, len(self._transcriber.letters) + 1)

    def feed(self, samples: Any) -> str:
        """Take the next samples.

        Args:
            samples: Samples ``[n]`` at the rate of the run, between -1 and 1; there may be none.

        Returns:
            The letters that they add to the transcript.

        Raises:
            DataError: If they are no samples, or the recording has ended.
        """
        if self._ended:
            raise DataError("The recording has ended. Begin another one with listen().")
        return self._read(self._arriving.feed(check_samples(samples, least=0)))

    def finish(self) -> str:
        """End the recording, and return the last letters.

        Raises:
            DataError: If it has ended already.
        """
        if self._ended:
            raise DataError("The recording has ended. Begin another one with listen().")
        self._ended = True
        return self._read(self._arriving.finish())

    @torch.no_grad()
    def _read(self, steps: NDArray[np.float32]) -> str:
        model, letters, added = self._transcriber.model, self._transcriber.letters, []
        weight = model.head.weight
        for step in torch.from_numpy(steps):
            output = self._stream.step(step[None].to(weight.device, weight.dtype).contiguous())
            scores = score_each(model, output[None])[0, 0].cpu()
            self._scores.append(scores)
            label = int(scores.argmax())
            if label != self._last and label < len(letters):
                added.append(letters[label])
            self._last = label
        self._letters += added
        return "".join(added)
