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

from gatework.data.vocabulary import Symbols, Vocabulary, line_end
from gatework.data.words import END_OF_LINE
from gatework.errors import CellError, DataError, ExplorerError, GateworkError, RunError
from gatework.explorer.messages import LATEST
from gatework.models.language import LanguageModel
from gatework.runs.checkpoint import list_checkpoints
from gatework.runs.files import digest
from gatework.training.config import TrainConfig, make_config
from gatework.training.jobs.registry import kind_of
from gatework.training.restore import load_model, open_language
from gatework.training.trainer import load_parameters
from gatework.translations import LANGUAGES, word

DEMO = Path(__file__).parent / "demo"
_PACKAGE = Path(__file__).parent.parent
LONG_SAMPLE = 100_000
_SHORT_SAMPLE = {"byte": 400, "char": 400, "word": 80, "bpe": 120}
_SHORT_SAMPLES = 4
_MOST_MODELS = 4  # of each run, cached in memory
Titles = dict[str, str]  # a title by language


@dataclass(frozen=True)
class Sample:
    """A text to look at.

    Args:
        id: Its id in requests.
        titles: Its title on the page, in each language.
        text: The text.
    """

    id: str
    titles: Titles
    text: str

    @property
    def title(self) -> str:
        """Its English title."""
        return self.titles[LANGUAGES[0]]


@dataclass(frozen=True)
class Opened:
    """A model in evaluation mode.

    Args:
        model: The model.
        vocabulary: The symbols of its token numbers.
        step: The training step of its checkpoint.
    """

    model: LanguageModel
    vocabulary: Vocabulary
    step: int


class Origin(Protocol):
    """The source of a run."""

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

    def samples(self) -> list[tuple[Titles, str]]:
        """Return short texts to begin with, each with its titles; none if they are to be cut from the held-out text."""
        ...


class RunOrigin:
    """A run directory.

    Args:
        path: The directory.

    Raises:
        RunError: If it is not a run on text, or has no checkpoint yet.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        directory, self.config, self._language = open_language(path)
        self.vocabulary = self._language.vocabulary
        self.steps = list_checkpoints(directory.checkpoints)
        if not self.steps:
            raise RunError(f"Run '{path}' has no checkpoint yet. Let it train until its first one.")
        name = directory.path.absolute().name
        # A folder's name need not be UTF-8, but a title must be.
        self.title = name.encode("utf-8", errors="replace").decode("utf-8")

    def load(self, step: int) -> LanguageModel:
        """Read the model of a step."""
        return load_model(self._path, step=step).model

    def held_out(self) -> Symbols:
        """Read the run's held-out split.

        Raises:
            DataError: If the text is gone, or has changed.
        """
        return self._language.held_out(self.title)

    def samples(self) -> list[tuple[Titles, str]]:
        """Return no texts: they are cut from the held-out text."""
        return []


class DemoOrigin:
    """The model that comes with the package.

    Raises:
        RunError: If its files differ from those that were packed.
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
        """Return the fingerprint of the model's training text."""
        return {"fingerprint": self._facts["sha256"]}

    def read_json(self, name: str) -> dict[str, Any]:
        """Return one of the files of its run. All of them are packed into one."""
        return self._facts[Path(name).stem]

    def load(self, step: int) -> LanguageModel:
        """Read the model."""
        content = (DEMO / "model.safetensors").read_bytes()
        if digest(content) != self._facts["sha256"]:
            raise RunError("The demo's model is damaged. Install gatework again.")
        with torch.random.fork_rng(devices=[]):  # the values drawn here are thrown away
            model = self._language.build(torch.device("cpu"))
        load_parameters(model, safetensors.torch.load(content))
        return model.eval()

    def held_out(self) -> Symbols:
        """Read the source of this package: Python that the model has never seen, wherever it is installed."""
        paths = sorted(path for path in _PACKAGE.rglob("*.py") if path.parent.name != "demo")
        return "".join(path.read_text(encoding="utf-8") for path in paths)

    def samples(self) -> list[tuple[Titles, str]]:
        """Read the texts that were written for the demo. The first line of a file has its title in each language."""
        samples = []
        for path in sorted((DEMO / "samples").glob("*.txt")):
            titles, _, text = path.read_text(encoding="utf-8").partition("\n")
            samples.append((dict(zip(LANGUAGES, titles.split(" | "), strict=True)), text))
        return samples


class OpenRun:
    """An open run. Models are read when they are first asked for. Any number of threads may ask.

    Args:
        id: Its id in requests.
        origin: Its source.
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
        """Return the model of a checkpoint.

        Args:
            checkpoint: A key of ``checkpoints``.

        Returns:
            The model.

        Raises:
            ExplorerError: If there is no such checkpoint, or if it can no longer be read.
        """
        step = self.checkpoints.get(checkpoint)
        if step is None:
            known = ", ".join(self.checkpoints)
            raise ExplorerError(f"Run {self.id} has no checkpoint '{checkpoint}': it has {known}.", 404)
        with self._lock:
            if step not in self._models:
                try:
                    self._models[step] = Opened(self.origin.load(step), self.vocabulary, step)
                except CellError as error:  # such as a cell with a memory, which the explorer cannot show
                    raise ExplorerError(f"Run {self.id} cannot be shown: {error}", 404) from error
                except GateworkError as error:
                    # The message names files, which a caller from another machine must not learn.
                    raise ExplorerError(
                        f"Checkpoint '{checkpoint}' of run {self.id} cannot be read any more: if the run went on "
                        "training, start the explorer again.",
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
            ExplorerError: If it cannot be read.
        """
        try:
            return self.origin.held_out()
        except DataError as error:
            raise ExplorerError(f"There is no held-out text to look in: {error}", 404) from error

    @cached_property
    def samples(self) -> list[Sample]:
        """Texts to begin with: short ones, and one long one."""
        try:
            whole = self.held_out
        except ExplorerError:
            whole = ""  # there is nothing to cut samples from; typed text can still be read
        level = self.config.level
        texts = [*self.origin.samples()] or [
            (titled("held-out piece", self.origin.title, number), text)
            for number, text in enumerate(_cuttings(whole, level), start=1)
        ]
        if len(whole) > 2 * _SHORT_SAMPLE[level]:
            long = _joined(whole[:LONG_SAMPLE], level)
            texts.append((titled("held-out whole", self.origin.title, min(len(whole), LONG_SAMPLE)), long))
        return [Sample(f"{self.id}-s{number}", titles, text) for number, (titles, text) in enumerate(texts, start=1)]


def open_runs(runs: Sequence[str], *, demo: bool) -> dict[str, OpenRun]:
    """Open runs.

    Args:
        runs: Run directories.
        demo: Whether to open the demo's model too, after them.

    Returns:
        The runs by id: r0, r1 ….

    Raises:
        RunError: If one of them is not a run.
    """
    origins: list[Origin] = [*map(RunOrigin, runs), *([DemoOrigin()] if demo else [])]
    return {f"r{number}": OpenRun(f"r{number}", origin) for number, origin in enumerate(origins)}


def titled(key: str, *parts: object) -> Titles:
    """Return a title in each language.

    Args:
        key: Its key among the words.
        *parts: What replaces its placeholders.

    Returns:
        The titles by language.

    Example:
        >>> titled("held-out piece", "book", 2)["en"]
        'book: held-out text 2'
    """
    return {language: word(key, language, *parts) for language in LANGUAGES}


def display(symbols: Symbols, *, pieces: bool = False) -> list[str]:
    r"""Return each symbol as text to show: bytes that are not letters by their number, line ends as such.

    Args:
        symbols: The symbols.
        pieces: Whether they are pieces of level ``bpe``, in which each byte is the character of the same code.

    Example:
        >>> display("é!".encode()), display(["a", "<eos>"])
        (['\\xc3', '\\xa9', '!'], ['a', '\n'])
    """
    if isinstance(symbols, bytes):
        return [chr(byte) if 32 <= byte < 127 or byte in b"\n\t" else f"\\x{byte:02x}" for byte in symbols]
    if pieces:
        return [_shown_piece(str(symbol).encode("latin-1")) for symbol in symbols]
    return ["\n" if symbol == END_OF_LINE else str(symbol) for symbol in symbols]


def _shown_piece(piece: bytes) -> str:
    try:
        return piece.decode("utf-8")
    except UnicodeDecodeError:  # a part of a character
        return "".join(display(piece))


def vocabulary_display(vocabulary: Vocabulary, most: int) -> list[str]:
    """Return the first symbols of a vocabulary as text to show."""
    if vocabulary.level == "byte":
        return display(bytes(range(min(256, most))))
    if vocabulary.pieces:
        return [_shown_piece(piece) for piece in vocabulary.pieces[:most]]
    return ["\n" if symbol == END_OF_LINE else symbol for symbol in vocabulary.symbols[:most]]


def read_symbols(text: str, vocabulary: Vocabulary) -> Symbols:
    """Split posted text into symbols.

    Args:
        text: The text.
        vocabulary: The vocabulary of the run.

    Returns:
        The symbols.

    Raises:
        ExplorerError: If there are no symbols, or if half a character is among them.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ExplorerError(f"The text is damaged: there is half a character at place {error.start}.") from error
    symbols = vocabulary.split(text)
    if not symbols:
        raise ExplorerError("The text is empty. Give at least one symbol.")
    return symbols


def _cuttings(symbols: Symbols, level: str) -> list[str]:
    """Cut short texts out of a long one, evenly spaced, each from the beginning of a line."""
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
    """Return text that splits into the same symbols again, as far as possible."""
    if isinstance(symbols, bytes):
        return symbols.decode("utf-8", errors="ignore")  # a cut may split a character
    if isinstance(symbols, str):
        return symbols
    if level == "bpe":
        return "".join(symbols).encode("latin-1").decode("utf-8", errors="ignore")
    return " ".join(symbols).replace(f" {END_OF_LINE} ", "\n").replace(END_OF_LINE, "\n")
