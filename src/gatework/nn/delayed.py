"""Run a bidirectional layer step by step, with a delay: its reverse direction reads only a few steps to come."""

from collections.abc import Iterator
from typing import Any, overload

import torch
from torch import Tensor

from gatework.errors import SizeError
from gatework.nn.stream import Stream
from gatework.nn.wiring import Wiring, suffix_of


class DelayedStream:
    """Run a bidirectional layer step by step; made by :meth:`gatework.nn.Recurrent.stream` with ``look_ahead``.

    The output for step t comes when step t + k was fed, for a ``look_ahead`` of k. Its forward half is that of the
    layer. For its reverse half, the reverse direction starts from its initial state at step t + k and runs back to step
    t, k + 1 steps in all. With a k that reaches the end of the sequence, this is the layer's own output. In a stack,
    every layer reads the delayed outputs of the layer below, so L layers delay by L * k steps.

    Everything else is as for a :class:`Stream`: it computes what the layer computes in evaluation mode, there is no
    gradient, and changed weights are noticed.

    Args:
        layer: A :class:`gatework.nn.Recurrent` with ``bidirectional=True``.
        batch_size: B, the number of sequences that run side by side.
        look_ahead: k, the number of steps to come that the reverse direction of each layer reads; 0 for none.

    Attributes:
        delay: The number of steps between an input and its output, L * k.

    Raises:
        SizeError: For a layer of one direction, for options that a stream does not run, and for invalid sizes.
        ConfigError: If the layer's ``backend`` cannot run.

    Example:
        >>> import gatework
        >>> layer = gatework.LSTM(3, 4, bidirectional=True)
        >>> stream = layer.stream(look_ahead=2)
        >>> [stream.step(x) is None for x in torch.zeros(4, 1, 3)]
        [True, True, False, False]
        >>> stream.flush().shape
        torch.Size([2, 1, 8])
    """

    def __init__(self, layer: Any, batch_size: int = 1, look_ahead: int = 0) -> None:
        if not layer.bidirectional:
            raise SizeError(
                f"look_ahead is {look_ahead!r} for a layer of one direction, which reads no steps to come. Leave it "
                "out: stream() then gives each output at once."
            )
        if layer.cell.memories or not layer.wiring.is_plain:
            raise SizeError(
                "stream() was called on a bidirectional layer with a memory, skip or connection, which no stream runs "
                "with a delay. Use forward() on whole sequences."
            )
        if isinstance(look_ahead, bool) or not isinstance(look_ahead, int) or look_ahead < 0:
            raise SizeError(f"look_ahead is {look_ahead!r}; expected a whole number of at least 0.")
        self._layer, self.batch_size, self.look_ahead = layer, batch_size, look_ahead
        self._levels = [_Level(layer, number, batch_size, look_ahead) for number in range(len(layer.layers))]
        self.delay = len(self._levels) * look_ahead

    def step(self, input: Any) -> Tensor | None:
        """Run a single step.

        Args:
            input: [B, I]; a tuple for a cell with several inputs.

        Returns:
            The output for the step ``delay`` steps ago, [B, 2 * H]; None in the first ``delay`` steps. Every step
            returns the same tensor: clone an output that you want to keep.

        Raises:
            SizeError: If shapes, types or devices do not fit.
        """
        return self._up(0, input if isinstance(input, tuple) else (input,))

    def flush(self) -> Tensor:
        """End the sequence: return the outputs that are still to come, and start again from the initial state.

        For them, the reverse direction starts at the last step of the sequence.

        Returns:
            The outputs, [at most ``delay``, B, 2 * H].
        """
        found = []
        for number, level in enumerate(self._levels):
            for inputs in level.rest():
                if (output := self._up(number + 1, inputs)) is not None:
                    found.append(output.clone())
        self.reset()
        return torch.stack(found) if found else self._levels[-1].output.new_zeros(0, *self._levels[-1].output.shape)

    def reset(self) -> None:
        """Start again from the initial state, and forget the outputs that are still to come."""
        for level in self._levels:
            level.reset()

    def refresh(self) -> None:
        """Read the layer's weights, type, device and backend again; see :meth:`Stream.refresh`."""
        for level in self._levels:
            level.refresh()

    def _up(self, number: int, inputs: tuple[Any, ...]) -> Tensor | None:
        """Run a step of a layer and of those above it, as far as they have an output."""
        for level in self._levels[number:]:
            given = level.step(inputs)
            if given is None:
                return None
            inputs = given
        return inputs[0]

    def __repr__(self) -> str:
        return f"DelayedStream({self._layer!r}, batch_size={self.batch_size}, look_ahead={self.look_ahead})"


class _Level:
    """One layer in both directions, and the steps that its reverse direction may still read.

    Args:
        layer: The whole stack.
        number: The layer, counted from 0 at the input.
        batch_size: B.
        look_ahead: The number of steps to come that the reverse direction reads.
    """

    def __init__(self, layer: Any, number: int, batch_size: int, look_ahead: int) -> None:
        self.forward, self.reverse = (Stream(_Direction(layer, number, one), batch_size) for one in (0, 1))
        self.look_ahead = look_ahead
        # The last look_ahead + 1 steps, each at its number modulo their count: the inputs, and the forward outputs.
        self.held: list[tuple[Tensor, ...]] = [()] * (look_ahead + 1)
        self.fed = self.given = 0
        self._join()

    def step(self, inputs: tuple[Any, ...]) -> tuple[Tensor, ...] | None:
        """Feed a step; return what the layer above reads at the step ``look_ahead`` ago, or None before the first."""
        output = self.forward.step(inputs if len(inputs) > 1 else inputs[0])
        self._hold((output, *inputs))
        self.fed += 1
        return self._give() if self.fed > self.look_ahead else None

    def rest(self) -> Iterator[tuple[Tensor, ...]]:
        """Yield what is still to come at the end of the sequence."""
        while self.given < self.fed:
            yield self._give()

    def reset(self) -> None:
        """Forget all steps."""
        self.forward.reset()
        self.fed = self.given = 0

    def refresh(self) -> None:
        """Follow a layer that was changed, with the steps that are held."""
        self.forward.refresh()
        self.reverse.refresh()
        self.held = [tuple(one.to(self.forward.output) for one in kept) for kept in self.held]
        self._join()

    def _join(self) -> None:
        """Make a place for the output, and name its halves."""
        halves = self.forward.output, self.reverse.output
        with torch.inference_mode(False):
            self.output = torch.empty_like(torch.cat(halves, -1))
        self.halves = self.output.split([one.shape[-1] for one in halves], -1)

    def _hold(self, tensors: tuple[Tensor, ...]) -> None:
        place = self.fed % len(self.held)
        kept, output = self.held[place], tensors[0]
        if kept and kept[0].dtype == output.dtype and kept[0].device == output.device:
            for one, other in zip(kept, tensors, strict=True):
                one.copy_(other.detach())
        else:
            with torch.inference_mode(False):
                self.held[place] = tuple(torch.empty_like(one).copy_(one.detach()) for one in tensors)

    def _give(self) -> tuple[Tensor, ...]:
        """Run the reverse direction back to the next step without an output, and return both halves."""
        self.reverse.reset()
        half = self.reverse.output
        for time in range(min(self.given + self.look_ahead, self.fed - 1), self.given - 1, -1):
            inputs = self.held[time % len(self.held)][1:]
            half = self.reverse.step(inputs if len(inputs) > 1 else inputs[0])
        output, _, *others = self.held[self.given % len(self.held)]
        self.given += 1
        if self.output.dtype != half.dtype or self.output.device != half.device:  # a cell without parameters
            self._join()
        self.halves[0].copy_(output)
        self.halves[1].copy_(half)
        return (self.output, *others)


class _Direction:
    """One direction of one layer of a stack, in the form of a layer of its own, for a :class:`Stream`.

    Args:
        layer: The whole stack, whose parameters it shares.
        number: The layer.
        direction: 0 for forward, 1 for backward in time.
    """

    def __init__(self, layer: Any, number: int, direction: int) -> None:
        self._stack, self._number, self._direction = layer, number, direction
        self.layers = (layer.layers[number],)
        self.bidirectional, self.same_sizes, self.wiring = False, True, Wiring()

    def weights(self, number: int) -> Any:
        """Return the weights of the direction."""
        return self._stack.weights(self._number, self._direction)

    def __getattr__(self, name: str) -> Any:
        """Find what a layer has: its own parameters under the names of a single layer, and the rest in the stack."""
        if name.startswith("initial_") and name.endswith("_l0"):
            if not self._stack.learn_initial_state:  # asked at every reset, and a search in the stack would take longer
                raise AttributeError(name)
            name = name.removesuffix("_l0") + suffix_of(self._number, self._direction)
        elif name.endswith("_l0"):  # the learned map before a layer, the same in both directions
            name = name.removesuffix("_l0") + suffix_of(self._number, 0)
        return getattr(self._stack, name)

    def __repr__(self) -> str:
        return f"{self._stack!r}, layer {self._number}, {'backward' if self._direction else 'forward'}"


class Streamable:
    """A layer that runs step by step with minimal latency; a base of :class:`gatework.nn.Recurrent`."""

    @overload
    def stream(self, batch_size: int = 1, *, look_ahead: None = None) -> Stream: ...

    @overload
    def stream(self, batch_size: int = 1, *, look_ahead: int) -> DelayedStream: ...

    def stream(self, batch_size: int = 1, *, look_ahead: int | None = None) -> Stream | DelayedStream:
        """Prepare to run step by step at full speed; see :class:`gatework.nn.Stream`.

        Args:
            batch_size: B, the number of sequences that run side by side.
            look_ahead: For a bidirectional layer, the number of steps to come that its reverse direction reads. Outputs
                are late by as many steps; see :class:`gatework.nn.DelayedStream`.

        Returns:
            The stream.

        Raises:
            SizeError: If the layer cannot be streamed, as for a bidirectional layer without ``look_ahead``.
            ConfigError: If the layer's ``backend`` cannot run.

        Example:
            >>> import gatework
            >>> gatework.GRU(3, 4).stream(batch_size=2).step(torch.zeros(2, 3)).shape
            torch.Size([2, 4])
        """
        return Stream(self, batch_size) if look_ahead is None else DelayedStream(self, batch_size, look_ahead)
