"""Generate text with the model of a run."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from gatework.data.vocabulary import Writer
from gatework.errors import ConfigError, DataError
from gatework.models.sampling import check_sampling, choose, write_best, write_on
from gatework.training.jobs.kind import Restored, Wish
from gatework.training.jobs.registry import kind_of
from gatework.training.restore import Loaded, Step, load_model, open_run, reopen

MOST_AT_ONCE = 10_000_000
"""The most symbols of a text that is returned as a whole."""
# The most symbols of a search, whose every step copies what its beams have written.
_MOST_SEARCHED = 10_000


@dataclass(frozen=True)
class Generation:
    """Generated text.

    Args:
        run: The run directory.
        step: The step of the checkpoint.
        prompt: The prompt.
        text: The prompt and its continuation.
        seed: The seed, which reproduces the text.
    """

    run: str
    step: int
    prompt: str
    text: str
    seed: int

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Stream:
    """Text that is generated while it is read.

    Args:
        step: The step of the checkpoint.
        prompt: The prompt, as the symbols of the vocabulary spell it.
        parts: The parts of the continuation; each is computed when it is asked for.
    """

    step: int
    prompt: str
    parts: Iterator[str]


def generate(
    run: str | Loaded,
    prompt: str = "",
    *,
    length: int = 500,
    temperature: float = 0.8,
    top_p: float = 1.0,
    top_k: int = 0,
    seed: int = 0,
    beams: int = 0,
    step: Step = None,
    device: str = "cpu",
) -> Generation:
    """Continue a prompt with the model of a run.

    Args:
        run: The run directory, or a model that is loaded.
        prompt: The text to continue; if empty, the model starts at the beginning of a line. A run on translation
            translates it.
        length: The number of bytes, characters, words or pieces to add, at most 10,000,000; see :func:`stream` for
            more.
        temperature: Below 1, likely symbols become more likely; with 0, the most likely symbol is always chosen.
        top_p: Choose among the most likely symbols that together have this probability.
        top_k: Choose among this number of the most likely symbols; 0 for no limit.
        seed: The seed of the random generator; the same seed gives the same text.
        beams: The number of beams of a search for the most probable text, in place of drawing; 0 for none.
        step: The step of the checkpoint; ``best`` for the lowest held-out loss; ``last`` or None for the newest.
        device: ``cpu``, ``cuda``, ``cuda:N``, ``mps`` or ``auto``.

    Returns:
        The text.

    Raises:
        RunError: If the directory is not a run, or has no such checkpoint.
        CheckpointError: If the checkpoint is damaged.
        ConfigError: If a setting is out of its range.
        DataError: If the vocabulary lacks a symbol of the prompt.
    """
    if length > MOST_AT_ONCE:
        raise ConfigError(
            f"length is {length:,}; expected at most {MOST_AT_ONCE:,} symbols where the text is returned as a whole. "
            "`gatework generate` without --json writes any length as it goes."
        )
    sampling: dict[str, Any] = {"temperature": temperature, "top_p": top_p, "top_k": top_k}
    found = stream(run, prompt, length=length, seed=seed, beams=beams, step=step, device=device, **sampling)
    name = str(run.directory.path) if isinstance(run, Loaded) else str(run)
    return Generation(name, found.step, prompt, found.prompt + "".join(found.parts), seed)


def stream(
    run: str | Loaded,
    prompt: str = "",
    *,
    length: int = 500,
    temperature: float = 0.8,
    top_p: float = 1.0,
    top_k: int = 0,
    seed: int = 0,
    beams: int = 0,
    step: Step = None,
    device: str = "cpu",
) -> Stream:
    """Continue a prompt with the model of a run, and return the text part by part while it is computed.

    The arguments are those of :func:`generate`, with any length, and together the parts are the same text. A search
    computes it all before the first part.

    Returns:
        The prompt, and the parts of its continuation. A part has whole characters only.

    Raises:
        RunError: If the directory is not a run, or has no such checkpoint.
        CheckpointError: If the checkpoint is damaged.
        ConfigError: If a setting is out of its range.
        DataError: If the vocabulary lacks a symbol of the prompt.
    """
    check_sampling(temperature, top_p, top_k)
    if length < 1:
        raise ConfigError(f"length is {length}; expected 1 or more.")
    if not 0 <= seed < 2**63:
        raise ConfigError(f"seed is {seed}; expected a whole number from 0 to 2**63 - 1.")
    if beams:
        _check_beams(beams, length, {"temperature": (temperature, 0.8), "top_p": (top_p, 1.0), "top_k": (top_k, 0)})
    sampling: dict[str, Any] = {"temperature": temperature, "top_p": top_p, "top_k": top_k}
    if not isinstance(run, Loaded) and kind_of((config := open_run(run).read_config()).task).translates(config):
        return _translated(reopen(run, step=step, device=device), prompt, length, beams, seed, sampling)
    loaded = run if isinstance(run, Loaded) else load_model(run, step=step, device=device)
    start, writer = _prompted(loaded, prompt), Writer(loaded.vocabulary)
    shown = "".join(map(writer.write, start.tolist()))
    if beams:
        numbers = iter(write_best(loaded.model, loaded.vocabulary, start, length, beams))
    else:
        numbers = write_on(loaded.model, loaded.vocabulary, start, length, seed=seed, **sampling)
    return Stream(loaded.step, shown, _written(writer, numbers))


def _translated(
    restored: Restored, prompt: str, length: int, beams: int, seed: int, sampling: dict[str, Any]
) -> Stream:
    """Translate a prompt, which is not a part of the text then: by a search, or by drawing."""
    kind = kind_of(restored.config.task)
    if beams:
        (found,) = kind.translate(restored, [prompt], Wish(beams))
        return Stream(restored.step, "", iter([found.text]))
    generator = torch.Generator().manual_seed(seed)
    chosen = partial(choose, generator=generator, **sampling)
    return Stream(restored.step, "", kind.draw_translation(restored, prompt, chosen, length))


def _check_beams(beams: int, length: int, sampling: dict[str, tuple[float, float]]) -> None:
    """Refuse settings of a search that are out of range, and those of drawing, which it has no use for."""
    if beams < 0:
        raise ConfigError(f"beams is {beams}; expected 0 (draw symbols) or a number of beams.")
    if length > _MOST_SEARCHED:
        raise ConfigError(f"length is {length:,}; expected at most {_MOST_SEARCHED:,} symbols for a search with beams.")
    for name, (given, default) in sampling.items():
        if given != default:
            raise ConfigError(
                f"{name} is {given}, and beams is {beams}: a search for the most probable text draws nothing. Leave "
                "one of them out."
            )


def _written(writer: Writer, numbers: Iterator[int]) -> Iterator[str]:
    for number in numbers:
        if part := writer.write(number):
            yield part
    if end := writer.end():
        yield end


def _prompted(loaded: Loaded, prompt: str) -> Tensor:
    """Return the numbers of a prompt ``[n]``; refuse symbols that the vocabulary lacks."""
    symbols = loaded.vocabulary.split(prompt)
    missing = loaded.vocabulary.missing(symbols)
    if missing:
        named = ", ".join(repr(symbol) for symbol in missing[:10]) + (" …" if missing[10:] else "")
        what = "words" if loaded.vocabulary.level == "word" else "characters"
        raise DataError(
            f"The prompt has {what} that the run's vocabulary lacks: {named}; its training text has none of them. "
            f"Leave them out, or train at level byte or bpe."
        )
    return loaded.vocabulary.encode(symbols)
