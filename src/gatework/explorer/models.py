"""The runs that are open: their models, their texts. A request names them by ids and can reach nothing else."""

import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import safetensors.torch
import torch

from gatework.data.vocabulary import END_OF_LINE, Symbols, Vocabulary, line_end, split_symbols
from gatework.errors import DataError, ExplorerError, GateworkError, RunError
from gatework.explorer.messages import LATEST
from gatework.models.language import LanguageModel
from gatework.runs.checkpoint import list_checkpoints
from gatework.runs.files import digest
from gatework.training.config import TrainConfig, make_config
from gatework.training.jobs.registry import kind_of
from gatework.training.restore import load_model, open_language
from gatework.training.trainer import load_parameters

DEMO = Path(__file__).parent / "demo"
_PACKAGE = Path(__file__).parent.parent
LONG_SAMPLE = 100_000
_SHORT_SAMPLE = {"byte": 400, "char": 400, "word": 80}
_SHORT_SAMPLES = 4
_MOST_MODELS = 4  # of each run, kept in memory


@dataclass(frozen=True)
class Sample:
    """A text to look at.

    Args:
        id: What a request calls it.
        title: What the page calls it.
        text: The text.
    """

    id: str
    title: str
    text: str


@dataclass(frozen=True)
class Opened:
    """A model that can be run, in evaluation.

    Args:
        model: The model.
        vocabulary: What its numbers mean.
        step: The step of training it is from.
    """

    model: LanguageModel
    vocabulary: Vocabulary
    step: int


class Origin(Protocol):
    """Where a run comes from."""

    title: str
    config: TrainConfig
    vocabulary: Vocabulary
    steps: list[int]

    def load(self, step: int) -> LanguageModel:
        """Read the model of a step."""
        ...

    def held_out(self) -> Symbols:
        """Read text that the model was not trained on."""
        ...

    def samples(self) -> list[tuple[str, str]]:
        """Give short texts to begin with, each with its title; none where they are to be cut from the held-out text."""
        ...


class RunOrigin:
    """A run directory.

    Args:
        path: The directory.

    Raises:
        RunError: When it is no run on text, or has no checkpoint yet.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        directory, self.config, self._language = open_language(path)
        self.vocabulary = self._language.vocabulary
        self.steps = list_checkpoints(directory.checkpoints)
        if not self.steps:
            raise RunError(f"run '{path}' has no checkpoint yet: let it train until its first one")
        name = directory.path.absolute().name
        # A folder's name need not be UTF-8, and a title must be.
        self.title = name.encode("utf-8", errors="replace").decode("utf-8")

    def load(self, step: int) -> LanguageModel:
        """Read the model of a step."""
        return load_model(self._path, step=step).model

    def held_out(self) -> Symbols:
        """Read the run's held-out split.

        Raises:
            DataError: When the text is gone, or not what it was.
        """
        return self._language.held_out(self.title)

    def samples(self) -> list[tuple[str, str]]:
        """Give none: they are cut from the held-out text."""
        return []


class DemoOrigin:
    """The model that comes with the package.

    Raises:
        RunError: When its files are not what they were when it was packed.
    """

    title = "demo"

    path = DEMO

    def __init__(self) -> None:
        self._facts = json.loads((DEMO / "model.json").read_text(encoding="utf-8"))
        self.config = make_config(self._facts["config"], where="the demo's model")
        self._language = kind_of(self.config.task).language(self.title, self.config, self)
        self.vocabulary = self._language.vocabulary
        self.steps: list[int] = [self._facts["step"]]

    def read_data(self) -> dict[str, Any]:
        """Give what stands for the text that the model was trained on."""
        return {"fingerprint": self._facts["sha256"]}

    def read_json(self, name: str) -> dict[str, Any]:
        """Give one of the files that its run had; all are packed into one."""
        return self._facts[Path(name).stem]

    def load(self, step: int) -> LanguageModel:
        """Read the model."""
        content = (DEMO / "model.safetensors").read_bytes()
        if digest(content) != self._facts["sha256"]:
            raise RunError("the demo's model is damaged: install gatework again")
        with torch.random.fork_rng(devices=[]):  # what is drawn here is thrown away
            model = self._language.build(torch.device("cpu"))
        load_parameters(model, safetensors.torch.load(content))
        return model.eval()

    def held_out(self) -> Symbols:
        """Read this package's own source: Python that the model has never seen, wherever it is installed."""
        paths = sorted(path for path in _PACKAGE.rglob("*.py") if path.parent.name != "demo")
        return "".join(path.read_text(encoding="utf-8") for path in paths)

    def samples(self) -> list[tuple[str, str]]:
        """Read the texts that were written for the demo; the first line of a file is its title."""
        samples = []
        for path in sorted((DEMO / "samples").glob("*.txt")):
            title, _, text = path.read_text(encoding="utf-8").partition("\n")
            samples.append((title, text))
        return samples


class OpenRun:
    """A run that is open. Models are read when first asked for; any number of threads may ask.

    Args:
        id: What requests call it.
        origin: Where it comes from.
    """

    def __init__(self, id: str, origin: Origin) -> None:
        self.id = id
        self.origin = origin
        self.config = origin.config
        self.vocabulary = origin.vocabulary
        self._models: OrderedDict[int, Opened] = OrderedDict()
        self._lock = Lock()
        self.checkpoints = {LATEST: origin.steps[-1]}
        self.checkpoints |= {f"step-{step}": step for step in reversed(origin.steps[:-1])}

    def open(self, checkpoint: str = LATEST) -> Opened:
        """Give the model of a checkpoint.

        Args:
            checkpoint: A key of ``checkpoints``.

        Returns:
            The model.

        Raises:
            ExplorerError: When there is no such checkpoint, or it cannot be read any more.
        """
        step = self.checkpoints.get(checkpoint)
        if step is None:
            known = ", ".join(self.checkpoints)
            raise ExplorerError(f"run {self.id} has no checkpoint '{checkpoint}': it has {known}", 404)
        with self._lock:
            if step not in self._models:
                try:
                    self._models[step] = Opened(self.origin.load(step), self.vocabulary, step)
                except GateworkError as error:
                    # The message names files, which a caller from another machine must not learn.
                    raise ExplorerError(
                        f"checkpoint '{checkpoint}' of run {self.id} cannot be read any more: if the run went on "
                        "training, start the explorer again",
                        404,
                    ) from error
                if len(self._models) > _MOST_MODELS:
                    self._models.popitem(last=False)
            self._models.move_to_end(step)
            return self._models[step]

    @cached_property
    def held_out(self) -> Symbols:
        """Text that the model was not trained on.

        Raises:
            ExplorerError: When it cannot be read.
        """
        try:
            return self.origin.held_out()
        except DataError as error:
            raise ExplorerError(f"there is no held-out text to look in: {error}", 404) from error

    @cached_property
    def samples(self) -> list[Sample]:
        """Texts to look at: short ones, and one long one."""
        try:
            whole = self.held_out
        except ExplorerError:
            whole = ""  # nothing to cut samples from; what is typed can still be read
        level = self.config.level
        texts = [*self.origin.samples()] or [
            (f"{self.origin.title}: held-out text {number}", text)
            for number, text in enumerate(_cuttings(whole, level), start=1)
        ]
        if len(whole) > 2 * _SHORT_SAMPLE[level]:
            long = _joined(whole[:LONG_SAMPLE], level)
            texts.append((f"{self.origin.title}: {min(len(whole), LONG_SAMPLE):,} symbols of held-out text", long))
        return [Sample(f"{self.id}-s{number}", title, text) for number, (title, text) in enumerate(texts, start=1)]


def open_runs(runs: Sequence[str], *, demo: bool) -> dict[str, OpenRun]:
    """Open runs.

    Args:
        runs: Run directories.
        demo: Whether the demo's model is opened too, after them.

    Returns:
        The runs by id: r0, r1 ….

    Raises:
        RunError: When one is no run.
    """
    origins: list[Origin] = [*map(RunOrigin, runs), *([DemoOrigin()] if demo else [])]
    return {f"r{number}": OpenRun(f"r{number}", origin) for number, origin in enumerate(origins)}


def display(symbols: Symbols) -> list[str]:
    r"""Give each symbol as text to show: bytes that are no letters by their number, line ends as such.

    Example:
        >>> display("é!".encode()), display(["a", "<eos>"])
        (['\\xc3', '\\xa9', '!'], ['a', '\n'])
    """
    if isinstance(symbols, bytes):
        return [chr(byte) if 32 <= byte < 127 or byte in b"\n\t" else f"\\x{byte:02x}" for byte in symbols]
    return ["\n" if symbol == END_OF_LINE else symbol for symbol in symbols]


def vocabulary_display(vocabulary: Vocabulary, most: int) -> list[str]:
    """Give the first symbols of a vocabulary as text to show."""
    if vocabulary.level == "byte":
        return display(bytes(range(min(256, most))))
    return ["\n" if symbol == END_OF_LINE else symbol for symbol in vocabulary.symbols[:most]]


def read_symbols(text: str, level: str) -> Symbols:
    """Cut what was posted into symbols.

    Args:
        text: The text.
        level: The run's.

    Returns:
        The symbols.

    Raises:
        ExplorerError: When there are none, or half a character is among them.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ExplorerError(f"the text is damaged: there is half a character at place {error.start}") from error
    symbols = split_symbols(text, level)
    if not symbols:
        raise ExplorerError("the text is empty: give at least one symbol")
    return symbols


def _cuttings(symbols: Symbols, level: str) -> list[str]:
    """Cut short texts out of a long one, evenly spread, each from the beginning of a line."""
    length, end = _SHORT_SAMPLE[level], line_end(level)
    pieces = []
    for number in range(_SHORT_SAMPLES):
        place = len(symbols) * number // _SHORT_SAMPLES
        ahead = symbols[place : place + length]
        for offset in range(len(ahead) if place else 0):
            if ahead[offset : offset + 1] in (end, [end]):
                place += offset + 1
                break
        if piece := symbols[place : place + length]:
            pieces.append(_joined(piece, level))
    return pieces


def _joined(symbols: Symbols, level: str) -> str:
    """Give symbols as text that is cut into the same symbols again, as far as that can be."""
    if isinstance(symbols, bytes):
        return symbols.decode("utf-8", errors="ignore")  # a cut may go through a character
    if isinstance(symbols, str):
        return symbols
    return " ".join(symbols).replace(f" {END_OF_LINE} ", "\n").replace(END_OF_LINE, "\n")
