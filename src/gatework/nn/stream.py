"""Run a layer step by step, for data that arrives in real time: no kernel allocates, and the stream keeps the state."""

import weakref
from collections.abc import Iterable, Sequence
from functools import cache
from operator import attrgetter, is_
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook

from gatework.errors import SizeError
from gatework.kernels import Weights
from gatework.kernels.backend import Chain, Level
from gatework.kernels.door import stepping
from gatework.language import parse
from gatework.language.spelling import BELOW
from gatework.nn.checks import check_state
from gatework.nn.connected import connect
from gatework.nn.layers import outer_inputs
from gatework.nn.states import State

_MAPS = {True: parse("h = W @ x + b"), False: parse("h = W @ x")}  # the learned map before a layer, with bias or not
_version = attrgetter("_version")


class Stream:
    """Run a layer step by step with minimal latency; made by :meth:`gatework.nn.Recurrent.stream`.

    A stream computes what the layer computes in evaluation mode over a whole sequence: masks are replaced by their
    probabilities, and nothing is dropped between layers. There is no gradient. Only one thread at a time may use a
    stream. Between layers with ``skip``, ``connection`` or ``below_projection`` a few of torch's operations run.

    The stream packs the weights when it is made, and again in the first step after they changed: by one of torch's
    optimisers, fused or not, by ``load_state_dict``, in place, or because other parameters replaced them. Some changes
    cannot be detected and need :meth:`refresh`: values written through ``.data`` (as ``layer.to`` and
    ``vector_to_parameters`` do), through numpy or by other libraries, and another ``layer.backend``.

    Args:
        layer: A :class:`gatework.nn.Recurrent`.
        batch_size: B, the number of sequences that run side by side.

    Attributes:
        backend: What runs the stream, ``cpu`` or ``reference``.
        reason: Why this backend runs it.

    Raises:
        SizeError: For a bidirectional layer, whose output depends on future steps, and for an invalid batch size.
        ConfigError: If the layer's ``backend`` cannot run.

    Example:
        >>> import gatework
        >>> layer = gatework.Recurrent("lstm", 3, 4)
        >>> stream = layer.stream()
        >>> for x in torch.zeros(5, 1, 3):
        ...     output = stream.step(x)
        >>> output.shape
        torch.Size([1, 4])
    """

    def __init__(self, layer: Any, batch_size: int = 1) -> None:
        if layer.bidirectional:
            raise SizeError(
                "stream() was called on a bidirectional layer, whose output needs steps to come. Say how many of them "
                "its reverse direction may read, as in layer.stream(look_ahead=8); outputs are late by as many."
            )
        if layer.cell.memories:
            raise SizeError(
                f"stream() was called on a layer whose cell `{layer.cell.name}` reads a memory, which a stream does "
                "not take. Use layer.step(x, state, memories=layer.remember(m)), which does."
            )
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise SizeError(f"batch_size is {batch_size!r}; expected a whole number of at least 1.")
        self._layer, self.batch_size = layer, batch_size
        self._like = torch.zeros(())  # for a layer without parameters, until the first input
        _watch(self)
        self._prepare()
        self.reset()

    # --- running

    def step(self, input: Any) -> Tensor:
        """Run a single step.

        Args:
            input: [B, I]; a tuple for a cell with several inputs.

        Returns:
            The output, [B, H]. Every step returns the same tensor: clone an output that you want to keep.

        Raises:
            SizeError: If shapes, types or devices do not fit.
        """
        try:
            fits = (
                input.shape == self._shape
                and input.dtype is self._dtype
                and input.is_cpu
                and input.is_contiguous()
                and not input.is_neg()  # torch may not yet have applied a negation to memory
                and self._own == self._held  # fast, because identical objects are not compared further
                and sum(map(_version, self._watched)) == self._versions
            )
        except (AttributeError, RuntimeError):  # not a tensor, or other parameters, which cannot be compared
            fits = False
        if fits:
            self._call(self._address, input.data_ptr())
            return self.output
        return self._step(input)

    def _step(self, input: Any) -> Tensor:
        """Check everything and run a step: for inputs that must be copied, and for errors."""
        if not self._is_current():
            self.refresh()
        inputs = tuple(input) if isinstance(input, tuple) else (input,)
        self._follow(inputs[0])
        names = outer_inputs(self._layer.cell)
        if len(inputs) != len(names):
            raise SizeError(
                f"step() was given {len(inputs)} inputs; the cell `{self._layer.cell.name}` has {len(names)}: "
                f"{', '.join(names)}. Give a tuple of tensors in this order."
            )
        for name, given, size in zip(names, inputs, self._sizes, strict=True):
            expected = (self.batch_size, size)
            if not isinstance(given, Tensor):
                raise SizeError(
                    f"step() was given a {type(given).__name__} for `{name}`; expected a tensor {list(expected)}."
                )
            if given.shape != expected:
                raise SizeError(
                    f"step() was given `{name}` of the shape {tuple(given.shape)}; expected {expected}, which is "
                    "(batch_size, input size). For another batch size make another stream."
                )
            if given.dtype != self._like.dtype or given.device != self._like.device:
                raise SizeError(
                    f"step() was given `{name}` of {given.dtype} on {given.device}; the stream is of "
                    f"{self._like.dtype} on {self._like.device}. Convert the input, or call refresh() if the layer "
                    "was moved."
                )
        self._chain.step(inputs)
        return self.output

    def _follow(self, given: Any) -> None:
        """For a layer without parameters, adopt the type and the device of an input or a state."""
        if self._known or not isinstance(given, Tensor) or not given.is_floating_point():
            return
        if given.dtype != self._like.dtype or given.device != self._like.device:
            self._like = given.new_zeros(())
            self.refresh()

    # --- state

    @property
    def state(self) -> State:
        """A copy of the state after the last step, in the form that the layer uses. Set it to continue from another.

        Raises:
            SizeError: If the new state does not fit.
        """
        names = self._layer.cell.states
        parts = tuple(tuple(self._chain.state(place)[name].clone() for place in self._places) for name in names)
        if self._layer.same_sizes:
            parts = tuple(torch.stack(part) for part in parts)
        return parts if len(parts) > 1 else parts[0]

    @state.setter
    def state(self, state: State) -> None:
        if state is None:
            self.reset()
            return
        layer, parts = self._layer, (state,) if isinstance(state, Tensor) else state
        if isinstance(parts, tuple | list) and parts:
            self._follow(parts[0][0] if isinstance(parts[0], tuple | list) and parts[0] else parts[0])
        check_state(layer.cell, layer.layers, 1, state, self.batch_size, layer.same_sizes, self._like)
        names = layer.cell.states
        for name, part in zip(names, (state,) if len(names) == 1 else state, strict=True):
            for place, given in zip(self._places, part, strict=True):
                self._chain.state(place)[name].copy_(given.detach())

    def reset(self, rows: Tensor | Sequence[int] | Sequence[bool] | int | None = None) -> None:
        """Start again from zeros, or from the learned initial state.

        Args:
            rows: The rows to reset: their numbers, or B booleans. None for all rows.

        Raises:
            SizeError: For rows that do not exist.
        """
        chosen = self._rows(rows)
        layer = self._layer
        for number, place in enumerate(self._places):
            for name, part in self._chain.state(place).items():
                learned = getattr(layer, f"initial_{name}_l{number}", None)
                part[chosen] = 0.0 if learned is None else learned.detach()

    def _rows(self, rows: Any) -> Tensor | slice:
        if rows is None:
            return slice(None)
        chosen = torch.as_tensor(rows, device=self._like.device)
        if chosen.dtype == torch.bool:
            if chosen.shape != (self.batch_size,):
                raise SizeError(
                    f"rows has the shape {tuple(chosen.shape)}; expected {self.batch_size} times True or False."
                )
            return chosen
        chosen = chosen.reshape(-1) if chosen.numel() else chosen.new_zeros(0, dtype=torch.int64)
        if chosen.is_floating_point() or ((chosen < 0) | (chosen >= self.batch_size)).any():
            raise SizeError(f"rows is {rows!r}; expected whole numbers from 0 to {self.batch_size - 1}.")
        return chosen.long()

    # --- weights

    def refresh(self) -> None:
        """Read the layer's weights, type, device and backend again. The state does not change.

        Raises:
            ConfigError: If the layer's ``backend`` cannot run.
        """
        states = [dict(self._chain.state(place)) for place in self._places]
        self._prepare(self.output)
        for place, held in zip(self._places, states, strict=True):
            for name, part in self._chain.state(place).items():
                part.copy_(held[name])

    @torch.inference_mode(False)  # what is made here is also written outside of this mode
    @torch.no_grad()
    def _prepare(self, output: Tensor | None = None) -> None:
        """Choose the backend of the steps, and prepare everything."""
        layer = self._layer
        parameters = _parameters(layer)
        # Noted before any weight is read, so that the next step notices a change in the meantime.
        self._known = parameters
        self._own, self._held = layer._parameters, dict(layer._parameters)
        # Inference tensors have no version counter.
        self._watched: Iterable[Tensor] = [one for one in parameters if not one.is_inference()]
        self._versions = sum(map(_version, self._watched))
        self._whole = len(self._held) == len(parameters)  # False if a submodule has parameters, as parametrizations do
        if self._whole and len(self._watched) == len(parameters):
            self._watched = self._own.values()  # a live view, so each step checks the current parameters
        if parameters:
            self._like = parameters[0].detach()
        self._sizes = _input_sizes(layer)
        if layer.wiring.is_plain:
            levels, self._places = _levels(layer)
            prepared = stepping.prepare(levels, self.batch_size, self._like, layer.backend, output)
        else:
            self._places = [*range(len(layer.layers))]
            prepared = connect(layer, self.batch_size, self._like, output)
        self._chain: Chain = prepared[0]
        self.backend, self.reason = prepared[1:]
        self.output = self._chain.output
        self._dtype = self._like.dtype
        # The shape of an input that needs no copy; None if every input must be copied.
        self._shape: torch.Size | None = None
        entry = self._chain.entry
        if entry is not None and self._whole:
            self._call, self._address = entry
            self._shape = torch.Size((self.batch_size, self._sizes[0]))

    def _is_current(self) -> bool:
        """Tell whether the layer's parameters are the packed ones, without a known change."""
        if self._whole:
            try:
                same = self._own == self._held
            except RuntimeError:  # other parameters, which cannot be compared
                same = False
        else:
            now = _parameters(self._layer)
            same = len(now) == len(self._known) and all(map(is_, now, self._known))
        return same and sum(map(_version, self._watched)) == self._versions

    def _stepped(self, parameters: Iterable[Tensor]) -> None:
        """Note that an optimiser has updated parameters, if any of them belong to this layer."""
        if not set(map(id, _parameters(self._layer))).isdisjoint(map(id, parameters)):
            self._versions = -1

    @property
    def threads(self) -> list[int]:
        """The number of threads of each layer, and of each learned map before a layer; empty for the reference."""
        return list(self._chain.threads)

    def __repr__(self) -> str:
        return f"Stream({self._layer!r}, batch_size={self.batch_size})"


def _parameters(layer: Any) -> list[Tensor]:
    """Return the layer's parameters; tied parameters appear several times."""
    return [one for _, one in layer.named_parameters(remove_duplicate=False)]


def _input_sizes(layer: Any) -> list[int]:
    """Return the sizes of the inputs that the user gives."""
    bottom = layer.layers[0]
    first, *others = (bottom.size(name) for name in outer_inputs(layer.cell))
    return [first if bottom.projected_from is None else bottom.projected_from, *others]


def _levels(layer: Any) -> tuple[list[Level], list[int]]:
    """Split a layer into levels; return the levels, and the level of each layer."""
    first = layer.first_input
    sources: dict[str, int | tuple[int, str]] = {name: place for place, name in enumerate(outer_inputs(layer.cell))}
    levels: list[Level] = []
    places: list[int] = []
    for number, one in enumerate(layer.layers):
        if one.projected_from is not None:
            owner = layer.wiring.maps_owner(number)
            held = {"W": getattr(layer, f"weight_in_l{owner}").detach()}
            if layer.bias:
                held["b"] = getattr(layer, f"bias_in_l{owner}").detach()
            known = {"input_size": one.projected_from, "hidden_size": one.size(first)}
            levels.append(Level(_MAPS[layer.bias], Weights.of(held), known, {"x": sources[first]}))
            sources[first] = (len(levels) - 1, "h")
        inputs = {name: sources[name] for name in one.step.inputs}
        levels.append(Level(one.step, layer.weights(number), one.sizes, inputs))
        places.append(len(levels) - 1)
        sources |= {f"{state}{BELOW}": (places[-1], state) for state in layer.cell.states}
        sources[first] = (places[-1], layer.cell.states[0])
    return levels, places


# --- optimisers, whose fused steps do not increase the version counters

_open: dict[int, weakref.ref[Stream]] = {}


def _watch(stream: Stream) -> None:
    """Notify a stream of optimiser steps, for as long as the stream lives."""
    _listen()
    key = id(stream)
    _open[key] = weakref.ref(stream, lambda _: _open.pop(key, None))


@cache
def _listen() -> None:
    register_optimizer_step_post_hook(_after_step)


def _after_step(optimiser: Optimizer, *_: Any) -> None:
    if torch.compiler.is_compiling():
        return
    for one in list(_open.values()):
        stream = one()
        if stream is not None:
            stream._stepped(parameter for group in optimiser.param_groups for parameter in group["params"])
