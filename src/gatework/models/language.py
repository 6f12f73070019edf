"""Language modelling: the model and its metrics."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Any

import torch
from torch import Tensor, nn

from gatework.data.targets import IGNORED
from gatework.data.vocabulary import Vocabulary
from gatework.errors import SizeError
from gatework.models.loss import LeanSurprise, surprise, widened
from gatework.models.memories import refuse_memories
from gatework.models.state import State
from gatework.nn import Recurrent
from gatework.nn.dropout import LockedDropout

_MOST_SCORES = 2**23
_COUNTED_AT_ONCE = 2**20
# With fewer symbols, the scores of a step fit in the cache of the processor, and LeanSurprise is no faster.
_LARGE_VOCABULARY = 2048


class LanguageModel(nn.Module):
    """Predict each symbol of a text from those before it, with an embedding, recurrent layers and a linear head.

    Args:
        vocabulary_size: The number of symbols V.
        cell: Any cell that :class:`gatework.nn.Recurrent` takes.
        input_size: The size of the embedding E.
        hidden_size: The number of units of each layer.
        num_layers: The number of layers.
        proj_size: The size of a projected output; 0 for none.
        dropout: The probability of dropout on the embedding, between the layers and before the head: only on
            connections from layer to layer, never from step to step (Zaremba et al. 2014, arXiv:1409.2329, section
            3.1).
        locked_dropout: Whether dropout zeroes the same features at every step of a window (Gal & Ghahramani 2016).
        tie_weights: Whether the head and the embedding share one matrix (Press & Wolf 2017, arXiv:1608.05859).
        init_range: If given, all weights and biases, with those of the embedding and the head, are drawn from
            U(-init_range, init_range), as in Zaremba et al. This replaces the initialisation scheme of the layer and
            the biases that the cell's paper fixes. Matrices and gains that the paper fixes stay, and so does a given
            ``forget_bias``.
        options: Further keyword options of :class:`gatework.nn.Recurrent`.

    Raises:
        SizeError: If tied weights have different sizes.
        CellError: If the cell reads a memory.
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
        locked_dropout: bool = False,
        tie_weights: bool = False,
        init_range: float | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        refuse_memories(cell, "language model")
        self.embedding = nn.Embedding(vocabulary_size, input_size)
        between = dropout if num_layers > 1 else 0.0
        self.recurrent = Recurrent(
            cell,
            input_size,
            hidden_size,
            num_layers,
            dropout=between,
            locked_dropout=locked_dropout,
            proj_size=proj_size,
            **options,
        )
        output_size = self.recurrent.output_size
        if tie_weights and input_size != output_size:
            raise SizeError(
                f"Tied weights need an embedding of the layers' output size {output_size}, and input_size is "
                f"{input_size}. Make them equal, or leave tie_weights out."
            )
        self.dropout = LockedDropout(dropout) if locked_dropout else nn.Dropout(dropout)
        self.head = nn.Linear(output_size, vocabulary_size)
        # The head may share this matrix, and torch's N(0, 1) would make its initial scores far too large.
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
            tokens: The symbols read ``[T, B]``, int64.
            state: The state at the end of the previous window; None at the start of a text.
            reset: ``[T, B]``, True where another text starts.

        Returns:
            Unnormalised log-probabilities ``[T, B, V]``, and the state at the end of the window.
        """
        output, state = self._read(tokens, state, reset)
        return self.head(output), state

    def surprise(
        self, tokens: Tensor, targets: Tensor, state: State = None, *, reset: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Sum the cross entropy of the next symbols, in less memory if there are many scores.

        Args:
            tokens: The symbols read ``[T, B]``, int64.
            targets: The symbols to predict ``[T, B]``; -100 for none. Of fewer steps, those of the last ones.
            state: The state at the end of the previous window; None at the start of a text.
            reset: ``[T, B]``, True where another text starts.

        Returns:
            The sum in nats, and the state at the end of the window. The sum can be differentiated only once.
        """
        output, state = self._read(tokens, state, reset)
        if not len(targets):
            return output.new_zeros(()), state
        if len(targets) < len(output):
            output = output[-len(targets) :]
        # On a GPU, torch's own loss takes fewer passes. Half precision would need a copy in float32.
        lean = output.device.type == "cpu" and output.dtype in (torch.float32, torch.float64)
        if lean and self.head.out_features >= _LARGE_VOCABULARY:
            return self._lean(output, self.head, targets), state
        return surprise(self.head(output), targets), state

    def _read(self, tokens: Tensor, state: State, reset: Tensor | None) -> tuple[Tensor, State]:
        """Return the input of the head ``[T, B, H]``, and the state at the end of the window."""
        signal = self.dropout(self.embedding(tokens))
        # Without the argument, the layers need not look for resets.
        options = {} if reset is None else {"reset": reset}
        output, state = self.recurrent(signal, state, **options)
        return self.dropout(output), state


@dataclass(frozen=True)
class Metric:
    """The metrics of a model on a text.

    Args:
        nats: The sum of the cross entropy in nats.
        tokens: The number of symbols, each counted once.
        level: ``byte``, ``char``, ``word`` or ``bpe``.
        bytes: The number of bytes of these symbols in UTF-8, at level ``bpe``.
        characters: The number of characters of these symbols, at level ``bpe``.

    Example:
        >>> metric = Metric(nats=13.862944, tokens=10, level="char")
        >>> {name: round(value, 3) for name, value in metric.named().items()}
        {'loss': 1.386, 'perplexity': 4.0, 'bits_per_character': 2.0}
    """

    nats: float
    tokens: int
    level: str
    bytes: float = 0.0
    characters: float = 0.0

    @property
    def loss(self) -> float:
        """The cross entropy per symbol, in nats."""
        return self.nats / self.tokens

    @property
    def perplexity(self) -> float:
        """The exponential of the loss, limited to the largest number."""
        return exp(min(self.loss, 709.0))

    def sums(self) -> list[float]:
        """Return the sums, which add up over the parts of a text."""
        return [self.nats, self.tokens, *((self.bytes, self.characters) if self.level == "bpe" else ())]

    @classmethod
    def of(cls, sums: Sequence[float], level: str) -> "Metric":
        """Make one metric from the sums of several."""
        return cls(sums[0], int(sums[1]), level, *sums[2:])

    def named(self) -> dict[str, float]:
        """Return the loss in nats, the perplexity and, except for words, the bits per byte or character.

        Level ``bpe`` has both, so that it can be compared with the levels ``byte`` and ``char``.
        """
        values = {"loss": self.loss, "perplexity": self.perplexity}
        if self.level == "bpe":
            for level, number in (("byte", self.bytes), ("char", self.characters)):
                values[bits_name(level)] = self.nats / log(2) / max(number, 1)
        elif self.level != "word":
            values[bits_name(self.level)] = self.loss / log(2)
        return values


def bits_name(level: str) -> str:
    """Return the name of the metric for bits at a level: per symbol, and per byte at level ``bpe``."""
    names = {"byte": "bits_per_byte", "char": "bits_per_character", "word": "bits_per_word", "bpe": "bits_per_byte"}
    return names[level]


def count_text(tokens: Tensor, vocabulary: Vocabulary) -> tuple[int, int]:
    """Count the bytes and the characters of symbols of level ``byte`` or ``bpe``.

    Args:
        tokens: The numbers of the symbols ``[n]``, on the CPU.
        vocabulary: The vocabulary of the numbers.

    Returns:
        The number of bytes, and the number of those with which a character begins.

    Example:
        >>> count_text(torch.tensor(list("né".encode())), Vocabulary("byte", ()))
        (3, 2)
    """
    sizes = torch.tensor([len(piece) for piece in vocabulary.pieces])
    begins = torch.tensor([sum(byte & 0xC0 != 0x80 for byte in piece) for piece in vocabulary.pieces])
    # Part by part: the numbers of a long text would not fit in memory as int64, by which torch indexes.
    counts = [(int(sizes[part].sum()), int(begins[part].sum())) for part in map(torch.Tensor.long, _parts(tokens))]
    return sum(size for size, _ in counts), sum(begin for _, begin in counts)


def _parts(tokens: Tensor) -> Iterator[Tensor]:
    return iter(tokens.split(_COUNTED_AT_ONCE))


@dataclass(frozen=True)
class Stretch:
    """The beginning and the end of one stream in the text."""

    begin: int
    end: int


def stretches(length: int, streams: int, most: int | None = None) -> list[Stretch]:
    """Cut a text of some length into streams whose lengths differ by at most one.

    Args:
        length: The number of symbols.
        streams: The number of streams.
        most: The most symbols of all streams together; of a longer text, every stream keeps only its beginning.

    Example:
        >>> [(part.begin, part.end) for part in stretches(10, 2)], [part.end for part in stretches(10, 2, most=5)]
        ([(0, 5), (5, 10)], [2, 8])
    """
    parts = [Stretch(length * s // streams, length * (s + 1) // streams) for s in range(streams)]
    if most is None or length <= most:
        return parts
    kept = stretches(most, streams)
    return [Stretch(part.begin, part.begin + one.end - one.begin) for part, one in zip(parts, kept, strict=True)]


@torch.no_grad()
def measure(
    model: LanguageModel,
    tokens: Tensor,
    vocabulary: Vocabulary,
    *,
    streams: int | None = None,
    most: int | None = None,
    context: int = 256,
    share: tuple[int, int] = (0, 1),
) -> Metric:
    """Measure a model on a text, every symbol exactly once, or on an even selection of ``most`` symbols.

    The first symbol is predicted from a line end and the initial state; every other symbol from those before it in its
    stream. With a single stream, that is the whole text before it. Several streams are faster: the text is cut into
    equal parts, and the model first reads the ``context`` symbols before each part.

    Args:
        model: The model. It is set to evaluation mode, and afterwards back to its mode.
        tokens: The numbers of the text ``[n]``.
        vocabulary: The vocabulary of the numbers.
        streams: The number of parts read in parallel; by default one per 1,000 symbols, at most 64.
        most: The most symbols to count; of a longer text, only the beginning of each part is read.
        context: The number of symbols to read before each part.
        share: The rank of this process and the number of processes; each measures only its share of the streams.

    Returns:
        The metric of this share. The nats and tokens of all shares add up.
    """
    count = count_streams(len(tokens), streams, most)
    parts = stretches(len(tokens), count, most)
    rank, size = share
    mine = parts[count * rank // size : count * (rank + 1) // size]
    device = model.embedding.weight.device
    total = widened(torch.zeros((), device=device))
    training = model.training
    model.eval()
    state: State = None
    for read, targets, reset in _evaluation_windows(tokens, mine, vocabulary, min(context, len(tokens) // count)):
        starts = None if reset is None else reset.to(device)
        nats, state = model.surprise(read.to(device), targets.to(device), state, reset=starts)
        total += widened(nats)
    model.train(training)
    found = sum(part.end - part.begin for part in mine)
    if vocabulary.level != "bpe":
        return Metric(float(total), found, vocabulary.level)
    counted = [count_text(tokens[part.begin : part.end], vocabulary) for part in mine]
    sizes = [sum(sizes) for sizes in zip(*counted, strict=True)] or [0, 0]
    return Metric(float(total), found, vocabulary.level, *sizes)


def count_streams(length: int, streams: int | None, most: int | None = None) -> int:
    """Return the number of streams in which a text is measured: by default one per 1,000 symbols, at most 64.

    Args:
        length: The number of symbols.
        streams: The number of streams that was asked for.
        most: The most symbols to count.

    Example:
        >>> count_streams(5_000, None), count_streams(10, 20)
        (5, 10)
    """
    return min(streams or max(1, min(64, length // 1000)), length, length if most is None else most)


def _evaluation_windows(
    tokens: Tensor, parts: list[Stretch], vocabulary: Vocabulary, context: int
) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """Yield windows ``[T, B]`` of inputs, targets, and resets (True where a text starts; None if nowhere).

    Column b holds part b, with its first counted symbol at step ``context``. Context is not longer than a part, so only
    the first part has none; its column is reset at that step.
    """
    if not parts:
        return
    if len(parts) == 1 and parts[0].begin == 0:
        context = 0
    longest = max(part.end - part.begin for part in parts)
    chunk = max(1, min(128, _MOST_SCORES // (len(parts) * len(vocabulary))))
    begins = torch.tensor([part.begin for part in parts])
    ends = torch.tensor([part.end for part in parts])
    for first in range(0, context + longest, chunk):
        place = torch.arange(first, min(first + chunk, context + longest))[:, None]
        position = begins + place - context
        inside = position.clamp(0, len(tokens) - 1)
        counted = (place >= context) & (position < ends)
        reset = (place == context) & (begins == 0) if context else None
        # A symbol is predicted from the one before it, and the first one from a line end.
        before = tokens[(inside - 1).clamp(min=0)].long()
        yield (
            torch.where(inside > 0, before, vocabulary.start),
            torch.where(counted, tokens[inside].long(), IGNORED),
            reset if reset is not None and bool(reset.any()) else None,
        )
