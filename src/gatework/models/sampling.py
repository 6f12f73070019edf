"""The choice of the next symbol from a model's scores."""

import torch
from torch import Tensor

from gatework.data.vocabulary import Vocabulary
from gatework.errors import ConfigError
from gatework.models.language import LanguageModel


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


@torch.no_grad()
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
) -> list[int]:
    """Let a model continue a text. It never writes ``<unk>``.

    Args:
        model: The model. It is set to evaluation mode, and afterwards back to its mode.
        vocabulary: The vocabulary of the numbers.
        prompt: The numbers of the text so far ``[n]``; the model reads a line end before it.
        length: The number of symbols to add.
        seed: The seed of the random generator; the same seed gives the same text.
        temperature: See :func:`choose`.
        top_p: See :func:`choose`.
        top_k: See :func:`choose`.

    Returns:
        The numbers of the added symbols.

    Raises:
        ConfigError: If a setting is out of its range.
    """
    check_sampling(temperature, top_p, top_k)
    generator = torch.Generator().manual_seed(seed)
    device = model.embedding.weight.device
    training = model.training
    model.eval()
    read = torch.cat([prompt.new_tensor([vocabulary.start]), prompt]).long().to(device)
    scores, state = model(read[:, None])
    written: list[int] = []
    while len(written) < length:
        if written:
            scores, state = model(torch.tensor([[written[-1]]], device=device), state)
        last = scores[-1, 0].float().cpu()
        written.append(
            choose(last, generator, temperature=temperature, top_p=top_p, top_k=top_k, never=vocabulary.unknown)
        )
    model.train(training)
    return written
