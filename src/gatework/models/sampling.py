"""The choice of the next symbol from a model's scores."""

from collections.abc import Iterator

import torch
from torch import Tensor

from gatework.data.vocabulary import Vocabulary
from gatework.decoding import beam_search
from gatework.errors import ConfigError
from gatework.models.language import LanguageModel
from gatework.models.state import State


def check_sampling(temperature: float, top_p: float, top_k: int) -> None:
    """Refuse invalid settings.

    Args:
        temperature: 0 (always the most likely symbol) or above.
        top_p: Above 0, up to 1.
        top_k: 0 (no limit) or above.

    Raises:
        ConfigError: If a setting is out of its range; the message names both.
    """
    if not 0 <= temperature < float("inf"):
        raise ConfigError(f"temperature is {temperature}; expected 0 (always the likeliest) or a number above it.")
    if not 0 < top_p <= 1:
        raise ConfigError(f"top_p is {top_p}; expected a number above 0, up to 1 (no limit).")
    if top_k < 0:
        raise ConfigError(f"top_k is {top_k}; expected 0 (no limit) or a number of symbols.")


def choose(
    scores: Tensor,
    generator: torch.Generator,
    *,
    temperature: float = 1.0,
    top_p: float = 1.0,
    top_k: int = 0,
    never: int | None = None,
) -> int:
    """Choose one symbol.

    Args:
        scores: Unnormalised log-probabilities ``[V]`` on the CPU.
        generator: The random generator, on the CPU.
        temperature: Below 1, likely symbols become more likely; with 0, the most likely symbol is always chosen.
        top_p: Choose among the most likely symbols that together have this probability (Holtzman et al. 2020).
        top_k: Choose among this number of the most likely symbols; 0 for no limit.
        never: The number of a symbol that is never chosen.

    Returns:
        The number of the symbol.

    Example:
        >>> choose(torch.tensor([0.1, 2.0, 0.3]), torch.Generator(), temperature=0)
        1
    """
    scores = scores.double()
    if never is not None:
        scores = scores.clone()
        scores[never] = float("-inf")
    if temperature == 0:
        return int(scores.argmax())
    # The largest score is subtracted before scaling, so that a tiny temperature cannot cause an overflow.
    probabilities = torch.softmax((scores - scores.max()) / temperature, dim=-1)
    ranked, order = probabilities.sort(descending=True, stable=True)
    # A symbol stays if those before it have a total probability below top_p, so the first always stays.
    kept = (ranked.cumsum(0) - ranked) < top_p
    if top_k:
        kept[top_k:] = False
    place = torch.multinomial(ranked * kept, 1, generator=generator)
    return int(order[place])


def write_on(
    model: LanguageModel,
    vocabulary: Vocabulary,
    prompt: Tensor,
    length: int,
    *,
    seed: int = 0,
    temperature: float = 1.0,
    top_p: float = 1.0,
    top_k: int = 0,
) -> Iterator[int]:
    """Let a model continue a text, one symbol after the other. It never writes ``<unk>``.

    Nothing is computed before its symbol is asked for, so any length begins at once.

    Args:
        model: The model. It is in evaluation mode while it computes, and otherwise in its own mode.
        vocabulary: The vocabulary of the numbers.
        prompt: The numbers of the text so far ``[n]``; the model reads a line end before it.
        length: The number of symbols to add.
        seed: The seed of the random generator; the same seed gives the same text.
        temperature: See :func:`choose`.
        top_p: See :func:`choose`.
        top_k: See :func:`choose`.

    Returns:
        The numbers of the added symbols, as they are chosen.

    Raises:
        ConfigError: If a setting is out of its range.
    """
    check_sampling(temperature, top_p, top_k)
    generator = torch.Generator().manual_seed(seed)

    def symbols() -> Iterator[int]:
        device = model.embedding.weight.device
        read, state = torch.cat([prompt.new_tensor([vocabulary.start]), prompt]).long()[:, None].to(device), None
        for _ in range(length):
            scores, state = _score(model, read, state)
            number = choose(
                scores, generator, temperature=temperature, top_p=top_p, top_k=top_k, never=vocabulary.unknown
            )
            yield number
            read = torch.tensor([[number]], device=device)

    return symbols()


def write_best(model: LanguageModel, vocabulary: Vocabulary, prompt: Tensor, length: int, beams: int) -> list[int]:
    """Let a model continue a text by the symbols that a beam search finds most probable. It never writes ``<unk>``.

    Args:
        model: The model. It is in evaluation mode while it computes, and otherwise in its own mode.
        vocabulary: The vocabulary of the numbers.
        prompt: The numbers of the text so far ``[n]``; the model reads a line end before it.
        length: The number of symbols to add.
        beams: The number of beams.

    Returns:
        The numbers of the added symbols.

    Raises:
        SizeError: If a number is below 1.
    """
    device, state = model.embedding.weight.device, None
    read = torch.cat([prompt.new_tensor([vocabulary.start]), prompt]).long().to(device)
    if len(read) > 1:
        _, state = _score(model, read[:-1, None], None)

    def step(symbols: Tensor, state: State) -> tuple[Tensor, State]:
        scores, state = _scores(model, symbols[None], state)
        logs = scores[-1].float().log_softmax(dim=-1)
        if vocabulary.unknown is not None:
            logs[:, vocabulary.unknown] = float("-inf")
        return logs, state

    return list(beam_search(step, read[-1:], state, width=beams, length=length)[0][0].symbols)


def _score(model: LanguageModel, read: Tensor, state: State) -> tuple[Tensor, State]:
    """Read symbols ``[T, 1]``; return the scores of the next one ``[V]`` on the CPU, and the state."""
    scores, state = _scores(model, read, state)
    return scores[-1, 0].float().cpu(), state


@torch.no_grad()
def _scores(model: LanguageModel, read: Tensor, state: State) -> tuple[Tensor, State]:
    """Read symbols ``[T, B]`` in evaluation mode; return the scores ``[T, B, V]`` and the state."""
    training = model.training
    if training:
        model.eval()
    try:
        return model(read, state)
    finally:
        if training:
            model.train()
