"""Language modelling: the model and the metric."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, log
from typing import Any

import torch
from torch import Tensor, nn

from gatework.data.targets import IGNORED
from gatework.data.vocabulary import Vocabulary
from gatework.errors import SizeError
from gatework.models.loss import LeanSurprise, surprise
from gatework.models.state import State
from gatework.nn import Recurrent

_MOST_SCORES = 2**23
# With fewer symbols the scores of a step stay in the processor's cache, and there is nothing to be gained.
_LARGE_VOCABULARY = 2048


class LanguageModel(nn.Module):
    """Predict each symbol of a text from those before it: embedding, recurrent layers, a linear head.

    Args:
        vocabulary_size: The number of symbols V.
        cell: Any cell that :class:`gatework.nn.Recurrent` takes.
        input_size: Size of a symbol's vector E.
        hidden_size: Units of each layer.
        num_layers: Layers, one above the other.
        proj_size: Size of a projected output; 0 for none.
        dropout: Dropout on the embedding, between the layers and before the head: wherever the signal goes upwards and
            never where it goes on in time (Zaremba et al. 2014, arXiv:1409.2329, section 3.1).
        tie_weights: Let head and embedding share one matrix (Press & Wolf 2017, arXiv:1608.05859).
        init_range: Draw every weight and bias, embedding and head too, from U(-init_range, init_range), as Zaremba et
            al. do, in place of the layer's scheme and of the biases that the cell's paper fixes. Matrices and gains
            that it fixes stay, and so does a ``forget_bias`` that is given.
        options: Further keyword options of :class:`gatework.nn.Recurrent`.

    Raises:
        SizeError: If tied weights are of different sizes.
    """

    def __init__(
        self,
        vocabulary_size: int,
        cell: Any,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        proj_size: int = 0,
        dropout: float = 0.0,
        tie_weights: bool = False,
        init_range: float | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        output_size = proj_size or hidden_size
        if tie_weights and input_size != output_size:
            raise SizeError(
                f"tied weights need an embedding of the layer's output size {output_size}, and input_size is "
                f"{input_size}: make them equal, or leave tie_weights out"
            )
        self.embedding = nn.Embedding(vocabulary_size, input_size)
        between = dropout if num_layers > 1 else 0.0
        self.recurrent = Recurrent(
            cell, input_size, hidden_size, num_layers, dropout=between, proj_size=proj_size, **options
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(output_size, vocabulary_size)
        # A tied matrix is also the head's, where torch's N(0, 1) would give scores far too large to begin with.
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        nn.init.zeros_(self.head.bias)
        if tie_weights:
            self.head.weight = self.embedding.weight
        self._lean = LeanSurprise()
        if init_range is not None:
            self._draw(init_range, keep_forget_bias=options.get("forget_bias") is not None)

    def _draw(self, init_range: float, *, keep_forget_bias: bool) -> None:
        """Draw all parameters again, except those that the cell's paper fixes."""
        cell = self.recurrent.cell
        biases = {parameter.name for parameter in cell.step.parameters if parameter.role == "bias"}
        kept = {name for name in cell.init if name not in biases}
        if keep_forget_bias:
            kept.add(next(iter(cell.remember)))
        layers = [self.recurrent.named_weights(number) for number in range(self.recurrent.num_layers)]
        drawn = [tensor for layer in layers for name, tensor in layer.items() if name not in kept]
        for tensor in (self.embedding.weight, *drawn, self.head.weight, self.head.bias):
            nn.init.uniform_(tensor, -init_range, init_range)

    def forward(self, tokens: Tensor, state: State = None, *, reset: Tensor | None = None) -> tuple[Tensor, State]:
        """Score every symbol as the next one.

        Args:
            tokens: What is read ``[T, B]``, int64.
            state: The state that the last window ended with; None at the start of a text.
            reset: ``[T, B]``, True where another text starts.

        Returns:
            Unnormalised log-probabilities ``[T, B, V]`` and the state to carry on with.
        """
        output, state = self._read(tokens, state, reset)
        return self.head(output), state

    def surprise(
        self, tokens: Tensor, targets: Tensor, state: State = None, *, reset: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Sum the cross entropy of what comes, without keeping the scores where they would be many.

        Args:
            tokens: What is read ``[T, B]``, int64.
            targets: The symbols that came ``[T, B]``; -100 where none did.
            state: The state that the last window ended with; None at the start of a text.
            reset: ``[T, B]``, True where another text starts.

        Returns:
            The sum in nats, and the state to carry on with. Its gradient can be taken once.
        """
        output, state = self._read(tokens, state, reset)
        # On a GPU torch's own loss takes fewer passes; half precision has to be widened first, which is a copy.
        lean = output.device.type == "cpu" and output.dtype in (torch.float32, torch.float64)
        if lean and self.head.out_features >= _LARGE_VOCABULARY:
            return self._lean(output, self.head, targets), state
        return surprise(self.head(output), targets), state

    def _read(self, tokens: Tensor, state: State, reset: Tensor | None) -> tuple[Tensor, State]:
        """Return what the head reads ``[T, B, H]``, and the state to carry on with."""
        signal = self.dropout(self.embedding(tokens))
        # Left out where there is none: a layer need not look for resets then.
        options = {} if reset is None else {"reset": reset}
        output, state = self.recurrent(signal, state, **options)
        return self.dropout(output), state


@dataclass(frozen=True)
class Metric:
    """How well a text is predicted.

    Args:
        nats: The summed cross entropy.
        tokens: The number of symbols, each counted once.
        level: ``byte``, ``char`` or ``word``.

    Example:
        >>> metric = Metric(nats=13.862944, tokens=10, level="char")
        >>> {name: round(value, 3) for name, value in metric.named().items()}
        {'loss': 1.386, 'perplexity': 4.0, 'bits_per_character': 2.0}
    """

    nats: float
    tokens: int
    level: str

    @property
    def loss(self) -> float:
        """Nats per symbol."""
        return self.nats / self.tokens

    @property
    def perplexity(self) -> float:
        """The exponential of the loss, up to the largest that has a number."""
        return exp(min(self.loss, 709.0))

    def sums(self) -> list[float]:
        """Return what adds up over the parts of a text."""
        return [self.nats, self.tokens]

    def named(self) -> dict[str, float]:
        """Return the loss in nats, the perplexity and, for bytes and characters, the bits per symbol."""
        values = {"loss": self.loss, "perplexity": self.perplexity}
        if self.level != "word":
            values[bits_name(self.level)] = self.loss / log(2)
        return values


def bits_name(level: str) -> str:
    """Name the bits per symbol of a level."""
    return {"byte": "bits_per_byte", "char": "bits_per_character", "word": "bits_per_word"}[level]


@dataclass(frozen=True)
class Stretch:
    """Where each stream of an evaluation begins and ends in the text."""

    begin: int
    end: int


def stretches(length: int, streams: int) -> list[Stretch]:
    """Cut a text of this length into equal streams, lengths differing by at most one."""
    return [Stretch(length * s // streams, length * (s + 1) // streams) for s in range(streams)]


@torch.no_grad()
def measure(
    model: LanguageModel,
    tokens: Tensor,
    vocabulary: Vocabulary,
    *,
    streams: int | None = None,
    context: int = 256,
    share: tuple[int, int] = (0, 1),
) -> Metric:
    """Measure a model on a text, every symbol exactly once.

    The first symbol is predicted from a line end and no memory; every other one from all that came before it in its
    stream. With one stream that is the whole text before it. With more, which is what makes it quick, the text is cut
    into equal parts, and each part's memory is first filled by reading the ``context`` symbols that stand before it.

    Args:
        model: The model; it is set to evaluation, and back to what it was.
        tokens: The numbers of the text ``[n]``.
        vocabulary: What the numbers mean.
        streams: How many parts are read side by side; by default one per 1,000 symbols, at most 64.
        context: Symbols read before each part.
        share: This process's rank and how many processes there are; each measures only its share of the streams.

    Returns:
        The metric of this share; shares add up by nats and tokens.
    """
    count = min(streams or max(1, min(64, len(tokens) // 1000)), len(tokens))
    parts = stretches(len(tokens), count)
    rank, size = share
    mine = parts[count * rank // size : count * (rank + 1) // size]
    device = model.embedding.weight.device
    total = torch.zeros((), dtype=torch.float64, device=device)
    training = model.training
    model.eval()
    state: State = None
    for read, targets, reset in _evaluation_windows(tokens, mine, vocabulary, min(context, len(tokens) // count)):
        starts = None if reset is None else reset.to(device)
        nats, state = model.surprise(read.to(device), targets.to(device), state, reset=starts)
        total += nats.double()
    model.train(training)
    return Metric(float(total), sum(part.end - part.begin for part in mine), vocabulary.level)


def _evaluation_windows(
    tokens: Tensor, parts: list[Stretch], vocabulary: Vocabulary, context: int
) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """Yield windows ``[T, B]`` of what is read, what is to be predicted, and where a text starts (None: nowhere).

    Column b holds part b, its first counted symbol at place ``context``. Context is not longer than a part, so only the
    part at the very beginning has none; its column starts without a state at that place.
    """
    if not parts:
        return
    if len(parts) == 1 and parts[0].begin == 0:
        context = 0
    longest = max(part.end - part.begin for part in parts)
    before = torch.cat([tokens.new_tensor([vocabulary.start]), tokens[:-1]])
    chunk = max(1, min(128, _MOST_SCORES // (len(parts) * len(vocabulary))))
    begins = torch.tensor([part.begin for part in parts])
    ends = torch.tensor([part.end for part in parts])
    for first in range(0, context + longest, chunk):
        place = torch.arange(first, min(first + chunk, context + longest))[:, None]
        position = begins + place - context
        inside = position.clamp(0, len(tokens) - 1)
        counted = (place >= context) & (position < ends)
        reset = (place == context) & (begins == 0) if context else None
        yield (
            before[inside].long(),
            torch.where(counted, tokens[inside].long(), IGNORED),
            reset if reset is not None and bool(reset.any()) else None,
        )
