"""Translation: an encoder of any cell in both directions, and a decoder of any cell, with or without attention."""

from collections.abc import Callable, Collection, Iterator
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from gatework.cells import Cell, attend, find_cell
from gatework.cells.changing import changed, lines_of
from gatework.decoding import Hypothesis, beam_search
from gatework.errors import SizeError
from gatework.heads.symbols import Words
from gatework.language.nodes import Apply
from gatework.language.spelling import Names
from gatework.models.sequences import needs_projection
from gatework.nn import Attention, Recurrent
from gatework.nn.dropout import LockedDropout
from gatework.nn.memories import count_of

Place = Literal["inside", "after"]
NO_ATTENTION = "none"
COMPONENTS = 10

# A translation has at most so many symbols: this many for each of the source, and some more, but never more than that.
_LONGER, _MORE, _MOST = 2, 10, 1000


class Read(NamedTuple):
    """What the encoder has read.

    Args:
        memory: A vector for each symbol of the source ``[B, L, D]``.
        lengths: The number of symbols of each source ``[B]``, on the CPU.
        states: The states that the decoder starts from, ``[layers, B, size]`` each.
    """

    memory: Tensor
    lengths: Tensor
    states: tuple[Tensor, ...]


class Translator(nn.Module):
    """Translate symbols of one vocabulary into symbols of another.

    The encoder reads the source in both directions. The decoder starts from the encoder's backward direction at the
    first symbol: its output from ``tanh(W_s h)``, and its other states, such as the c of an LSTM, from those of the
    encoder. Without attention nothing else is known of the source, and all states are taken as they are; reading
    backwards is the reversed source of Sutskever et al.

    The scores are those of ``tanh(W_o [s; c; E y])``, where s is the output of the decoder, c the context that
    attention gives, and E y the vector of the last symbol.

    Args:
        sizes: The numbers of symbols of the source and of the target.
        cell: Any cell that :class:`gatework.nn.Recurrent` takes, for encoder and decoder.
        embedding_size: The size E of a symbol's vector.
        hidden_size: The number of units of each layer, in each direction.
        num_layers: The number of layers of the encoder, and of the decoder.
        attention: A kind of :func:`gatework.attend` or of :class:`gatework.Attention`, or ``none``.
        place: ``inside``: every layer of the decoder attends within its equations, with the output of the step before
            as the query (Bahdanau et al. 2015). ``after``: the output of each step asks, and no step depends on the
            answer, so that all steps are asked at once (Luong et al. 2015, without input feeding).
        attention_size: The number of units that compare query and memory, for the kinds that have some, by default
            ``hidden_size``; for ``window`` the number of Gaussians, by default 10.
        shared: Whether both languages have one vocabulary, and one matrix of embeddings.
        tie: Whether the embedding of the target and the head share one matrix (Press & Wolf 2017).
        dropout: The probability of dropout on embeddings, between layers, on the encoder's output and before the head.
        locked_dropout: Whether dropout zeroes the same features at every step.
        smoothing: The label smoothing of the loss in training.
        proj_size: The size of a projected output; 0 for none.
        options: Further keyword options of :class:`gatework.nn.Recurrent`.

    Raises:
        CellError: If the cell cannot attend, or there is no such kind.
        SizeError: If sizes do not fit.

    Source:
        Bahdanau, Cho & Bengio 2015, arXiv:1409.0473, appendix A, with s_i in place of s_{i-1} and tanh in place of
        maxout before the scores; Luong, Pham & Manning 2015, arXiv:1508.04025, section 3; Sutskever, Vinyals & Le 2014,
        arXiv:1409.3215, section 3.3.

    Example:
        >>> model = Translator((20, 30), "gru", 8, 16)
        >>> scores = model(torch.ones(5, 2).long(), torch.tensor([5, 3]), torch.ones(4, 2).long())
        >>> scores.shape
        torch.Size([4, 2, 30])
    """

    def __init__(
        self,
        sizes: tuple[int, int],
        cell: Any,
        embedding_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        attention: str = "additive",
        place: Place = "inside",
        attention_size: int | None = None,
        shared: bool = False,
        tie: bool = True,
        dropout: float = 0.0,
        locked_dropout: bool = False,
        smoothing: float = 0.0,
        proj_size: int = 0,
        **options: Any,
    ) -> None:
        super().__init__()
        if shared and sizes[0] != sizes[1]:
            raise SizeError(f"The vocabularies have {sizes[0]:,} and {sizes[1]:,} symbols; a shared one has one size.")
        cell = find_cell(cell)
        options |= {"dropout": dropout if num_layers > 1 else 0.0, "locked_dropout": locked_dropout}
        options["proj_size"] = proj_size
        if needs_projection(cell, embedding_size, hidden_size, num_layers, proj_size):
            options["input_projection"] = True
        self.embedding = nn.Embedding(sizes[1], embedding_size)
        self.source_embedding = self.embedding if shared else nn.Embedding(sizes[0], embedding_size)
        self.encoder = Recurrent(cell, embedding_size, hidden_size, num_layers, bidirectional=True, **options)
        output, self.memory_size = self.encoder.output_size // 2, self.encoder.output_size
        self.join = None
        if attention == "dot":  # which compares vectors of one size
            self.join, self.memory_size = nn.Linear(2 * output, output), output
        inside, self.context = attention != NO_ATTENTION and place == "inside", ""
        own = cell
        if inside:
            own, self.context = _attending(cell, attention)
        if inside:
            options["memory_size"] = self.memory_size
            options["sizes"] = _inner_sizes(own, (*cell.own_sizes, self.context), attention, attention_size)
            options["sizes"] |= self._context_size(own)
        self.recurrent = Recurrent(own, embedding_size, hidden_size, num_layers, **options)
        self.attention = None
        if attention != NO_ATTENTION and not inside:
            self.attention = Attention(attention, output, self.memory_size, **_outer_sizes(attention, attention_size))
        self.bridge = None if attention == NO_ATTENTION else nn.Linear(output, output)
        read = output + embedding_size + (self.memory_size if inside or self.attention is not None else 0)
        self.readout = nn.Linear(read, embedding_size)
        self.dropout = LockedDropout(dropout) if locked_dropout else nn.Dropout(dropout)
        self.answers = Words(sizes[1], smoothing)
        self.head = nn.Linear(embedding_size, sizes[1])
        self._draw(tie)

    def _context_size(self, own: Cell) -> dict[str, int]:
        return {self.context: self.memory_size} if self.context in own.own_sizes else {}

    def _draw(self, tie: bool) -> None:
        """Draw the embeddings, whose sizes torch does not take into account."""
        for embedding in dict.fromkeys((self.embedding, self.source_embedding)):
            nn.init.normal_(embedding.weight, std=embedding.embedding_dim**-0.5)
        nn.init.zeros_(self.head.bias)
        if tie:
            self.head.weight = self.embedding.weight

    # --- training

    def read(self, source: Tensor, lengths: Tensor) -> Read:
        """Read sentences.

        Args:
            source: Their symbols ``[L, B]``.
            lengths: The number of symbols of each ``[B]``, on the CPU.

        Returns:
            What the decoder needs of them.
        """
        output, last = self.encoder(self.dropout(self.source_embedding(source)), lengths=lengths)
        memory = output if self.join is None else self.join(output)
        # Of layers and directions in turn, those that read backwards.
        backward = [state[1::2] for state in (last if isinstance(last, tuple) else (last,))]
        if self.bridge is not None:
            backward[0] = torch.tanh(self.bridge(backward[0]))
        step, banks = self.recurrent.layers[0].step, (memory.transpose(0, 1),)
        for name in self.recurrent.cell.states[len(backward) :]:  # the context, and what attention itself carries
            size = count_of(step, name, banks) if step.is_bare(name) else self.recurrent.layers[0].size(name)
            backward.append(memory.new_zeros(len(backward[0]), len(lengths), size))
        return Read(self.dropout(memory).transpose(0, 1), lengths, tuple(part.contiguous() for part in backward))

    def decode(self, found: Read, before: Tensor) -> Tensor:
        """Run the decoder over known symbols.

        Args:
            found: The sentences.
            before: The symbol before each one to predict ``[T, B]``.

        Returns:
            The input of the head ``[T, B, E]``.
        """
        vectors = self.dropout(self.embedding(before))
        states = found.states if len(found.states) > 1 else found.states[0]
        if self.context:
            given = {"memories": found.memory, "memory_lengths": found.lengths}
            output, _, records = self.recurrent.record(vectors, states, names=(self.context,), **given)
            return self._readout(output, records[-1][self.context], vectors)
        output, _ = self.recurrent(vectors, states)
        context = None
        if self.attention is not None:
            context = self.attention(output, found.memory, found.lengths)[0]
        return self._readout(output, context, vectors)

    def _readout(self, output: Tensor, context: Tensor | None, vectors: Tensor) -> Tensor:
        parts = [output, vectors] if context is None else [output, context, vectors]
        return self.dropout(torch.tanh(self.readout(torch.cat(parts, -1))))

    def forward(self, source: Tensor, lengths: Tensor, before: Tensor) -> Tensor:
        """Score every symbol as the next one of the translation.

        Args:
            source: The symbols of the sentences ``[L, B]``.
            lengths: The number of symbols of each ``[B]``, on the CPU.
            before: The symbol before each one to predict ``[T, B]``.

        Returns:
            Unnormalised log-probabilities ``[T, B, V]``.
        """
        return self.head(self.decode(self.read(source, lengths), before))

    def losses(self, source: Tensor, lengths: Tensor, before: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each symbol of the translations.

        Args:
            source: As in :meth:`forward`.
            lengths: As in :meth:`forward`.
            before: As in :meth:`forward`.
            targets: The symbols to predict ``[T, B]``; -100 for none.

        Returns:
            The losses ``[n]`` in nats, smoothed in training.
        """
        return self.answers.losses(self.decode(self.read(source, lengths), before), targets, None, self.head)

    # --- searching

    @torch.no_grad()
    def translate(
        self, source: Tensor, lengths: Tensor, end: int, *, beams: int = 1, penalty: float | str = 0.0
    ) -> list[list[Hypothesis]]:
        """Search for the most probable translations.

        Args:
            source: The symbols of the sentences ``[L, B]``.
            lengths: The number of symbols of each ``[B]``, on the CPU.
            end: The symbol that begins and ends a sentence.
            beams: The number of beams; 1 takes the most probable symbol at every step.
            penalty: See :func:`gatework.beam_search`.

        Returns:
            The hypotheses of each sentence, the best one first.
        """
        search = Search(self, self.read(source, lengths), beams)
        first = torch.full((len(lengths),), end, device=source.device)
        most = min(_LONGER * int(lengths.max()) + _MORE, _MOST)
        return beam_search(search, first, search.state, end=end, width=beams, length=most, penalty=penalty)

    @torch.no_grad()
    def draw(
        self, source: Tensor, lengths: Tensor, end: int, choose: Callable[[Tensor], int], length: int
    ) -> Iterator[int]:
        """Write the translation of one sentence, symbol by symbol.

        Args:
            source: The symbols of the sentence ``[L, 1]``.
            lengths: Their number ``[1]``, on the CPU.
            end: The symbol that begins and ends a sentence.
            choose: The function that chooses the next symbol from the log-probabilities of all ``[V]`` on the CPU.
            length: The most symbols.

        Yields:
            The symbols, as they are chosen, without the end symbol.
        """
        device = self.head.weight.device
        search = Search(self, self.read(source.to(device), lengths))
        number, state = end, search.state
        for _ in range(length):
            logs, state = search(torch.tensor([number], device=device), state)
            number = choose(logs[0].float().cpu())
            if number == end:
                return
            yield number


class Search:
    """The step of a search for translations, in evaluation mode: the source is read and mapped once.

    Args:
        model: The model.
        found: The sentences.
        beams: The number of beams of each sentence, which are side by side.

    Attributes:
        state: The state before the first symbol, for each sentence.
    """

    def __init__(self, model: Translator, found: Read, beams: int = 1) -> None:
        # Beams never change their sentence, so the memory needs not be in the state.
        memory = found.memory.repeat_interleave(beams, 0)
        lengths = found.lengths.repeat_interleave(beams)
        self.model = model
        self.state: Any = (found.states, None)
        self._memories = model.recurrent.remember(memory, lengths) if model.context else None
        self._keys = None if model.attention is None else model.attention.keys(memory, lengths)

    def __call__(self, symbols: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Read one symbol of each beam.

        Args:
            symbols: The last symbols ``[B · beams]``.
            state: The state before.

        Returns:
            The log-probabilities of the next symbol ``[B · beams, V]``, and the state.
        """
        model, (states, carried) = self.model, state
        vectors = model.embedding(symbols)
        given, context = states if len(states) > 1 else states[0], None
        output, after = model.recurrent.step(vectors, given, memories=self._memories)
        after = after if isinstance(after, tuple) else (after,)
        if model.context:
            context = after[len(model.encoder.cell.states)][-1]
        elif model.attention is not None:
            context, _, *last = model.attention(output, self._keys, state=carried)
            carried = last[0] if last else None
        scores = model.head(model._readout(output, context, vectors))
        return scores.log_softmax(-1), (after, carried)


def _attending(cell: Cell, kind: str) -> tuple[Cell, str]:
    """Let a cell attend, and carry the sum of the positions as a state after its own, so that a single step returns it.

    Returns:
        The cell, and the name of the sum.
    """
    attended = attend(cell, kind, Names(cell.step).fresh("m"))
    context = next(
        line.target
        for line in attended.step.equations
        if isinstance(line.value, Apply) and line.value.function == "weigh"
    )
    states = (*cell.states, context, *attended.states[len(cell.states) :])
    # Without a size of its own a state has that of the units; a memory that is compared with these has it too.
    sizes = attended.own_sizes if kind == "dot" else (*attended.own_sizes, context)
    return changed(attended, "context", lines_of(attended).values(), states=states, sizes=sizes), context


def _inner_sizes(attended: Cell, known: Collection[str], kind: str, size: int | None) -> dict[str, int]:
    """Return the sizes that attention has named in the equations of a cell, besides those that are known."""
    names = [name for name in attended.own_sizes if name not in known]
    if size is not None and not names:
        raise SizeError(f"attention_size is {size}, and attention of the kind '{kind}' has no size. Leave it out.")
    if kind == "window":
        size = size or COMPONENTS
    return {} if size is None else dict.fromkeys(names, size)


def _outer_sizes(kind: str, size: int | None) -> dict[str, Any]:
    """Return the sizes of :class:`gatework.Attention`."""
    if kind == "window":
        return {"components": size or COMPONENTS}
    return {} if size is None else {"attention_size": size}
