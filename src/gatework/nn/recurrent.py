"""The layer: any cell, over whole sequences, stacked and in both directions."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

import torch
from torch import Tensor

from gatework.cells import Cell
from gatework.kernels import CHOICES, MEMORY, Result, Weights, run
from gatework.kernels.reference.run import prepare
from gatework.language.spelling import BELOW
from gatework.nn import initial, single, storage
from gatework.nn.checks import check_inputs, check_names, check_options, check_state
from gatework.nn.choices import Choice
from gatework.nn.concatenated import opened
from gatework.nn.delayed import Streamable
from gatework.nn.foreign import OwnState
from gatework.nn.joined_weights import Joinable
from gatework.nn.layers import (
    Layer,
    first_input,
    follows_output,
    outer_inputs,
    plan_layers,
    read_above,
    read_cell,
)
from gatework.nn.memories import Banks, Lengths, Remembered, remembered, with_memories
from gatework.nn.options import Options, shown
from gatework.nn.sequences import SequenceBatch, arrange, as_tuple
from gatework.nn.states import State, fresh_states, given_back, taken
from gatework.nn.wiring import Wiring, dropped, enter, leave, suffix_of


class Recurrent(Joinable, Streamable, OwnState):
    """Run any cell over sequences, with the interface of ``torch.nn.LSTM``.

    Args:
        cell: A name in ``gatework.CELLS``, a :class:`gatework.Cell`, or equations as text.
        input_size: Number of features of the input; for a cell with several inputs a tuple, in the order of
            ``cell.inputs``. The tuple may omit sizes that follow from the states. The layers connect inputs named
            ``<state>_below`` themselves.
        hidden_size: Number of units of each layer; a list for layers of different sizes.
        num_layers: Number of layers. A list of hidden sizes also determines it.
        bias: Whether the layer has biases. False removes all biases from the equations.
        batch_first: Whether input and output are [B, T, size] rather than [T, B, size].
        dropout: Probability of zeroing outputs between layers, in training.
        bidirectional: Whether a second direction runs from the last step to the first.
        proj_size: Size of the output, if positive. The cell is then projected, unless it already projects its output.
        init: Initialisation scheme: ``torch`` (uniform), ``orthogonal`` or ``chrono``. Values that the cell's paper
            fixes replace those of the scheme.
        chrono_steps: For ``chrono``: the longest time to remember, in steps.
        forget_bias: Initial bias of the gate that keeps the state; a larger bias always means a longer memory.
        learn_initial_state: Whether the state before the first step is learned, rather than zero.
        input_projection: Whether a learned linear map brings the input to ``hidden_size`` before the first layer.
        below_projection: Whether the first layer reads learned maps of the input in place of the states of a layer
            below (inputs named ``<state>_below``). Otherwise these are left out of its equations.
        skip: ``in``: every layer also reads the input. ``out``: the output holds the outputs of all layers (Graves
            2013). ``both``, or None for neither.
        connection: ``residual`` adds the input of every layer above the first to its output; ``highway`` lets a learned
            gate mix the two (Srivastava et al. 2015). None for neither.
        tie_layers: Whether the layers above the first share one set of weights; with ``below_projection`` the first
            layer shares it too.
        sizes: The sizes that the cell names, as ``{"z": 32}``; those that are left out are ``hidden_size``.
        memory_size: For a cell with a memory, the size of its vectors; a mapping by name if it has several.
        backend: ``auto``, ``cpu`` (compiled kernels), ``library`` (torch's own operators) or ``reference``; can be
            set at any time.
        memory: With ``fast``, the forward pass saves everything that the backward pass reads. With ``small``, it saves
            inputs and states, and the backward pass recomputes the rest. With ``sqrt``, it saves inputs and the states
            of about sqrt(T) steps. Can be set at any time.
        locked_dropout: Whether dropout zeroes the same outputs at every step of a sequence.
        device: The device of the parameters.
        dtype: The type of the parameters.

    Raises:
        CellError: For an unknown cell, or a cell that lacks a requested feature.
        EquationError: For equations that cannot be parsed.
        SizeError: For sizes or options that do not fit.
        ConfigError: For an unknown backend or memory setting.

    Example:
        >>> layer = Recurrent("gru", input_size=8, hidden_size=16, num_layers=2)
        >>> output, state = layer(torch.zeros(5, 3, 8))
        >>> output.shape, state.shape
        (torch.Size([5, 3, 16]), torch.Size([2, 3, 16]))
        >>> Recurrent("h = 0.9 * h + 0.1 * tanh(W @ x + R @ h + b)", 8, 16, bias=False)
        Recurrent(cell, 8, 16, bias=False)
    """

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Tell type checkers that parameters are attributes; their names depend on the cell."""

    backend = Choice(CHOICES)
    memory = Choice(MEMORY)

    # The differences of torch's own layers; see gatework.nn.drop_in.
    _second_bias: Mapping[str, str] | None = None
    _operation = ""  # the name of torch's operation that computes one step of this layer
    _as_drawn: tuple[str, ...] = ()  # tensors in which the cell's own initial values are not set
    _inside: Callable[..., Callable[..., Result]] | None = None  # wraps `run` while gatework.tracing looks inside

    def __init__(
        self,
        cell: Cell | str,
        input_size: int | Sequence[int],
        hidden_size: int | Sequence[int],
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        *,
        init: str = "torch",
        chrono_steps: int | None = None,
        forget_bias: float | None = None,
        learn_initial_state: bool = False,
        input_projection: bool = False,
        below_projection: bool = False,
        skip: str | None = None,
        connection: str | None = None,
        tie_layers: bool = False,
        sizes: Mapping[str, int] | None = None,
        memory_size: int | Mapping[str, int] | None = None,
        backend: str = "auto",
        memory: str = "fast",
        locked_dropout: bool = False,
        device: torch.device | str | int | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        flags = {"learn_initial_state": learn_initial_state, "input_projection": input_projection}
        flags |= {"locked_dropout": locked_dropout, "below_projection": below_projection, "tie_layers": tie_layers}
        flags = {"bias": bias, "batch_first": batch_first, "bidirectional": bidirectional, **flags}
        hidden_sizes = check_options(hidden_size, num_layers, dropout, proj_size, **flags)
        if dropout > 0 and len(hidden_sizes) == 1:
            told = f"dropout option adds dropout between layers, so dropout={dropout} does nothing with num_layers=1"
            warnings.warn(told, stacklevel=2)
        self.cell, self.sizes, self.memory_size = read_cell(cell, proj_size), dict(sizes or {}), memory_size
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, len(hidden_sizes)
        self.bias, self.batch_first, self.backend, self.memory = bias, batch_first, backend, memory
        self.dropout, self.locked_dropout = float(dropout), locked_dropout
        self.bidirectional, self.proj_size = bidirectional, proj_size
        self.init, self.chrono_steps, self.forget_bias = init, chrono_steps, forget_bias
        self.learn_initial_state, self.input_projection = learn_initial_state, input_projection
        self.wiring = Wiring(bidirectional, input_projection, below_projection, skip, connection, tie_layers)
        self.layers = plan_layers(
            self.cell,
            input_size,
            hidden_sizes,
            self.wiring,
            bias=bias,
            proj_size=proj_size,
            second_bias=self._second_bias,
            named_sizes={"own": self.sizes, "memory_size": memory_size},
        )
        self.first_input = first_input(self.cell)
        for layer in self.layers:
            prepare(layer.step)
        initial.register(self, device, dtype)
        self.reset_parameters()

    def _runs(self) -> Iterator[tuple[int, int, Layer]]:
        """Yield every layer and direction, in the order of torch's states."""
        for number, layer in enumerate(self.layers):
            for direction in range(self.wiring.directions):
                yield number, direction, layer

    @property
    def output_size(self) -> int:
        """The size of the output."""
        sizes = [layer.size(self.cell.states[0]) * self.wiring.directions for layer in self.layers]
        return sum(sizes) if self.wiring.skips_out else sizes[-1]

    @property
    def same_sizes(self) -> bool:
        """Whether the states of all layers have one size, so that a single tensor can hold them."""
        first = self.layers[0]
        return all(layer.size(state) == first.size(state) for layer in self.layers for state in self.cell.states)

    # --- parameters

    def reset_parameters(self) -> None:
        """Initialise all parameters: by the scheme ``init``, then by the cell's paper, then by ``forget_bias``.

        Raises:
            SizeError: For an unknown scheme, or a scheme whose argument is missing.
            CellError: If the scheme or ``forget_bias`` needs a bias of a gate that keeps the state, and the cell has
                none.
        """
        initial.reset(self)

    def weights(self, layer: int, direction: int = 0) -> Weights:
        """Return the parameters of a layer in the form that the kernels take."""
        suffix = suffix_of(self.wiring.owner(layer), direction)
        return storage.weights(self.layers[layer].stored, lambda key: getattr(self, key + suffix))

    def named_weights(self, layer: int, direction: int = 0) -> dict[str, Tensor]:
        """Return the parameters of a layer by their names in the equations.

        Args:
            layer: The layer, counted from 0 at the input.
            direction: 0 for forward in time, 1 for backward in time.

        Returns:
            The values of each parameter: a view of the layer's tensors, unless the layer stores the parameter as a sum.

        Example:
            >>> sorted(Recurrent("rnn", 3, 4).named_weights(0))
            ['R_h', 'W_h', 'b_h']
        """
        weights = self.weights(layer, direction)
        return {name: weights[name] for name in weights.names()}

    # --- running

    def forward(
        self,
        input: Any,
        state: State = None,
        *,
        lengths: Tensor | Sequence[int] | None = None,
        reset: Tensor | None = None,
        mask: Tensor | None = None,
        cu_seqlens: Tensor | None = None,
        memories: Banks = None,
        memory_lengths: Lengths = None,
    ) -> tuple[Any, State]:
        """Run over whole sequences.

        Args:
            input: [T, B, I], [B, T, I] if ``batch_first``, [T, I] without a batch, [N, I] with ``cu_seqlens``, a
                ``PackedSequence`` or a jagged nested tensor; for a cell with several inputs a tuple of these.
            state: The state before the first step: a tensor [L * D, B, H], or a tuple of them in the order of
                ``cell.states``; [L * D, H] without a batch. If the hidden sizes differ, each is a tuple of tensors
                [B, H], one for each layer. None for zeros, or for the learned initial state.
            lengths: The number of steps of each row; the rest is padding. Padding has no influence, and the output is
                zero there. A row of length 0 keeps its state.
            reset: bool [T, B], or [B, T] if ``batch_first``: True where a new sequence starts from the initial state.
            mask: bool as reset: False at steps that count as deleted. They keep the row's state; the output is zero.
            cu_seqlens: int32 or int64 [B + 1]: the input holds all sequences one after the other, [N, I]; this is the
                first row of each, and N at the end.
            memories: For a cell with a memory, a vector for each of its positions, [B, L, size]; [L, size] without a
                batch; a mapping by name if the cell has several.
            memory_lengths: The number of positions of each row, [B]; the rest has no influence. None for L.

        Returns:
            The output, [T, B, D * H] in the form of the input, and the state after the last step of each row, in the
            form of ``state``.

        Raises:
            SizeError: If shapes or types do not fit the layer.
        """
        batch = self._arranged(input, state, lengths, reset, mask, cu_seqlens, memories, memory_lengths)
        return self._run(batch, state, ())[:2]

    def record(
        self,
        input: Any,
        state: State = None,
        *,
        names: Sequence[str] | None = None,
        **options: Unpack[Options],
    ) -> tuple[Any, State, list[dict[str, Any]]]:
        """Run over whole sequences and record named quantities at every step.

        Args:
            input: As in :meth:`forward`.
            state: As in :meth:`forward`.
            names: Names in the cell's equations, such as ``("i", "f")``; None for those that the cell delivers.
            **options: The further arguments of :meth:`forward`.

        Returns:
            The output, the final state, and for each layer and direction the named quantities that its equations have,
            each [T, B, H] in the form of the input; [T, B, L] with one number for each position of a memory.

        Raises:
            SizeError: As in :meth:`forward`, and for a name that the equations do not have.

        Example:
            >>> output, state, records = Recurrent("lstm", 3, 4).record(torch.zeros(5, 2, 3), names=("i", "f"))
            >>> records[0]["f"].shape
            torch.Size([5, 2, 4])
        """
        names = self.cell.outputs if names is None else names
        check_names(self.cell, names)
        return self._run(self._arranged(input, state, **options), state, tuple(names))

    def step(
        self, input: Any, state: State = None, *, memories: Banks = None, memory_lengths: Lengths = None
    ) -> tuple[Tensor, State]:
        """Run a single step, in your own loop, with or without gradients. Without gradients a stream is faster.

        With ``backend="auto"``, torch's own operations run the step, because this takes less time than the call of a
        kernel.

        Args:
            input: [B, I], or [I] without a batch; a tuple for a cell with several inputs.
            state: As in :meth:`forward`.
            memories: As in :meth:`forward`.
            memory_lengths: As in :meth:`forward`.

        Returns:
            The output [B, H], and the state for the next step.

        Raises:
            SizeError: If shapes do not fit, or if the layer is bidirectional, so that a step depends on the future.

        Example:
            >>> layer = Recurrent("lstm", 3, 4)
            >>> output, state = layer.step(torch.zeros(2, 3))
            >>> output, state = layer.step(torch.zeros(2, 3), state)
        """
        return single.step(self, input, state, memories, memory_lengths)

    def remember(self, memories: Banks, memory_lengths: Lengths = None) -> Remembered:
        """Hold memories for many calls of :meth:`step`, which then compute only once what memories alone decide.

        Args:
            memories: As in :meth:`forward`.
            memory_lengths: As in :meth:`forward`.

        Returns:
            What ``step`` takes as its memories.
        """
        return remembered(self, self.cell, self.layers, memories, memory_lengths, self._first_weight)

    def _arranged(
        self,
        input: Any,
        state: State,
        lengths: Tensor | Sequence[int] | None = None,
        reset: Tensor | None = None,
        mask: Tensor | None = None,
        cu_seqlens: Tensor | None = None,
        memories: Banks = None,
        memory_lengths: Lengths = None,
    ) -> SequenceBatch:
        """Check what a run is given, and bring it into the form of the kernels."""
        inputs, joined = opened(as_tuple(input), cu_seqlens)
        self._check(inputs, state, self.batch_first, memories, None if joined is None else joined.rows)
        form = {"batch_first": self.batch_first, "joined": joined}
        batch = arrange(inputs, lengths=lengths, reset=reset, mask=mask, **form)
        return self._remembering(batch, memories, memory_lengths)

    def _check(
        self, inputs: tuple[Any, ...], state: State, batch_first: bool, memories: Banks = None, rows: int | None = None
    ) -> None:
        """Refuse inputs and states that do not fit; ``rows`` is B if the inputs are concatenated, [N, size]."""
        known = check_inputs(self.cell, self.layers[0], inputs, self._first_weight, batch_first, memories)
        rows = known if rows is None else rows
        directions, first = self.wiring.directions, self._first_weight
        check_state(self.cell, self.layers, directions, state, rows, self.same_sizes, first, memories)

    @property
    def _first_weight(self) -> Tensor | None:
        stored = self.layers[0].stored
        return getattr(self, f"{stored[0].key}_l0") if stored else None

    def _remembering(self, batch: SequenceBatch, memories: Banks, lengths: Lengths) -> SequenceBatch:
        """Add the memories to a batch."""
        if memories is None and lengths is None and not self.cell.memories:
            return batch
        return with_memories(batch, self.cell, self.layers[0], memories, lengths, self._first_weight)

    def _run(
        self, batch: SequenceBatch, state: State, names: tuple[str, ...]
    ) -> tuple[Any, State, list[dict[str, Any]]]:
        """Run the layers one above the other."""
        fresh = fresh_states(self, batch)
        states = fresh if state is None else taken(batch, state, len(self.cell.states), self.same_sizes)
        given = dict(zip(outer_inputs(self.cell), batch.inputs, strict=True))
        finals: list[tuple[Tensor, ...]] = []
        records: list[dict[str, Any]] = []
        passed: list[Tensor] = []
        first, outside = self.first_input, given[self.first_input]
        for number, layer in enumerate(self.layers):
            before = given[first]
            enter(self, number, given, outside, batch.without_padding)
            above = read_above(self.cell, self.layers, number)
            wanted = tuple(dict.fromkeys((*(name for name in names if name in layer.step.sizes_of), *above)))
            results = []
            for direction in range(self.wiring.directions):
                place = len(finals)
                results.append(self._run_one(batch, number, direction, given, states[place], fresh[place], wanted))
                finals.append(results[-1].state)
                recorded = results[-1].recorded
                records.append({name: batch.give_back(recorded[name]) for name in names if name in recorded})
            given |= {f"{name}{BELOW}": results[0].recorded[name] for name in above}
            outputs = [result.output for result in results]
            output = outputs[0] if len(outputs) == 1 else torch.cat(outputs, -1)
            passed.append(leave(self, number, before, output))
            if follows_output(self.cell):
                given[first] = dropped(self, number, passed[-1], batch.packed)
        output = torch.cat(passed, -1) if self.wiring.skips_out else passed[-1]
        return batch.give_back(output), given_back(batch, finals, self.same_sizes), records

    def _run_one(
        self,
        batch: SequenceBatch,
        number: int,
        direction: int,
        given: dict[str, Tensor],
        state: tuple[Tensor, ...],
        fresh: tuple[Tensor, ...],
        names: tuple[str, ...],
    ) -> Result:
        """Run one layer in one direction."""
        layer = self.layers[number]
        reverse = direction == 1
        door = run if (inside := self._inside) is None else inside(batch, number, direction)
        return door(
            layer.step,
            self.weights(number, direction),
            tuple(given[name] for name in layer.step.inputs),
            state,
            lengths=batch.lengths,
            restart=batch.restart(reverse),
            initial=fresh if self.learn_initial_state else None,
            reverse=reverse,
            draws=self._drawn(layer, given[self.first_input]) if self.training else None,
            record=names,
            backend=self.backend,
            memory=self.memory,
            banks=batch.banks,
            extents=batch.extents,
        )

    def _drawn(self, layer: Layer, like: Tensor) -> dict[str, Tensor]:
        """Draw the masks of every step."""
        lead = like.shape[:-1]
        return {
            name: torch.bernoulli(torch.full((*lead, layer.size(name)), rate, dtype=like.dtype, device=like.device))
            for name, rate in layer.step.draws.items()
        }

    def extra_repr(self) -> str:
        """Print the options that differ from their defaults, as torch's layers do."""
        return shown(self)
