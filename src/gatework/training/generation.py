"""Generate text with the model of a run."""

from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from gatework.data.vocabulary import split_symbols
from gatework.errors import ConfigError, DataError
from gatework.models.sampling import check_sampling, write_on
from gatework.training.restore import Loaded, Step, load_model


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


def generate(
    run: str | Loaded,
    prompt: str = "",
    *,
    length: int = 500,
    temperature: float = 0.8,
    top_p: float = 1.0,
    top_k: int = 0,
    seed: int = 0,
    step: Step = None,
    device: str = "cpu",
) -> Generation:
    """Continue a prompt with the model of a run.

    Args:
        run: The run directory, or a model that is loaded.
        prompt: The text to continue; if empty, the model starts at the beginning of a line.
        length: The number of bytes, characters or words to add.
        temperature: Below 1, likely symbols become more likely; with 0, the most likely symbol is always chosen.
        top_p: Choose among the most likely symbols that together have this probability.
        top_k: Choose among this number of the most likely symbols; 0 for no limit.
        seed: The seed of the random generator; the same seed gives the same text.
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
    check_sampling(temperature, top_p, top_k)
    if length < 1:
        raise ConfigError(f"length is {length}; expected 1 or more.")
    if not 0 <= seed < 2**63:
        raise ConfigError(f"seed is {seed}; expected a whole number from 0 to 2**63 - 1.")
    loaded = run if isinstance(run, Loaded) else load_model(run, step=step, device=device)
    start = _prompted(loaded, prompt)
    sampling = {"temperature": temperature, "top_p": top_p, "top_k": top_k}
    numbers = write_on(loaded.model, loaded.vocabulary, start, length, seed=seed, **sampling)
    text = loaded.vocabulary.decode([*start.tolist(), *numbers])
    return Generation(str(loaded.directory.path) if run is loaded else str(run), loaded.step, prompt, text, seed)


def _prompted(loaded: Loaded, prompt: str) -> Tensor:
    """Return the numbers of a prompt ``[n]``; refuse symbols that the vocabulary lacks."""
    level = loaded.vocabulary.level
    symbols = split_symbols(prompt, level)
    missing = loaded.vocabulary.missing(symbols)
    if missing:
        what = "words" if level == "word" else "characters"
        named = ", ".join(repr(symbol) for symbol in missing[:10]) + (" …" if missing[10:] else "")
        raise DataError(
            f"The prompt has {what} that the run's vocabulary lacks: {named}; its training text has none of them. "
            f"Leave them out, or train at level byte."
        )
    return loaded.vocabulary.encode(symbols)
