"""Traces: every named quantity of a layer's equations, at every step."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Unpack

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from gatework.errors import SizeError
from gatework.kernels import Result
from gatework.language import Step
from gatework.language.handles import Parted, fixed, parted
from gatework.nn import Recurrent
from gatework.nn.options import MemoryOptions
from gatework.nn.sequences import as_tuple
from gatework.tracing.doors import Further, Visit, Visitor, prefix_of, recurrent_layers, visited
from gatework.tracing.traces import Trace, TracedLayer


@torch.no_grad()
def trace(
    layer_or_model: nn.Module,
    input: Any,
    names: Iterable[str] | str | None = None,
    parts: bool = False,
    state: Any = None,
    lengths: Tensor | Sequence[int] | None = None,
    reset: Tensor | None = None,
    **options: Unpack[MemoryOptions],
) -> Trace:
    """Run a layer or a model, and record what its equations compute at every step.

    A traced run uses the same kernels as an untraced one, in the current mode of the model, and its output is the same,
    bit by bit. The trace has no gradient; :meth:`gatework.Recurrent.record` returns quantities with gradients.

    Args:
        layer_or_model: A layer, or any module that contains gatework layers.
        input: The input of the layer or the model; a tuple for a model with several arguments, or for a cell with
            several inputs.
        names: The quantities to record, such as ``["c", "f * c"]`` or ``["l1.c"]``, or a single name as a string.
            Inputs may be named too. None for all quantities that have a line, but for those with a vector at each
            position of a memory, which kernels do not write.
        parts: Whether to record the addends of the states' equations as well, such as ``f * c``.
        state: As for the ``forward`` of the layer or the model; None is not passed on.
        lengths: As for the ``forward`` of the layer or the model; None is not passed on.
        reset: As for the ``forward`` of the layer or the model; None is not passed on.
        **options: ``memories`` and ``memory_lengths``, as for the ``forward`` of the layer or the model.

    Returns:
        The trace, a mapping from keys such as ``l0.i`` to tensors [T, B, H]. Time comes first for every form of the
        input, and runs forward for both directions. What has a number at each position of a memory is [T, B, L], and
        [T, B, L, H] with a vector at each; it is 0 beyond a row's positions.

    Raises:
        SizeError: For a name that no equation has, for an input that is not a tensor, and for a layer that the model
            runs more than once.

    Example:
        >>> import gatework
        >>> kept = gatework.trace(gatework.LSTM(3, 4), torch.randn(5, 2, 3), parts=True)
        >>> kept["f"].shape
        torch.Size([5, 2, 4])
        >>> bool((kept["f * c"] + kept["i * g"] == kept["c"]).all())
        True
    """
    layers = recurrent_layers(layer_or_model)
    wanted = _wanted(names)
    _check_names(layers, wanted)
    recorder = _Recorder(wanted, parts, alone=len(layers) == 1)
    with ExitStack() as stack:
        for path, layer in layers.items():
            stack.enter_context(visited(layer, recorder.visitor(path, layer)))
        output = run_model(layer_or_model, input, state, lengths=lengths, reset=reset, **options)
    final = None
    if isinstance(layer_or_model, Recurrent):
        output, final = output
    told = tuple(recorder.layers)
    return Trace(recorder.tensors, tuple(one.prefix for one in told), output, final, told)


def _wanted(names: Any) -> tuple[str, ...] | None:
    """Return the given names as a tuple; None for all."""
    if names is None or isinstance(names, str):
        return None if names is None else (names,)
    given = tuple(names) if isinstance(names, Iterable) else (names,)
    if not all(isinstance(name, str) for name in given):
        raise SizeError(f"names is {names!r}; expected names such as ['c', 'f * c'], one such text, or None for all.")
    return given


def run_model(model: nn.Module, input: Any, state: Any, **options: Any) -> Any:
    """Run a layer or a model on its input, with the state and the options that are not None."""
    given = {name: value for name, value in options.items() if value is not None}
    if isinstance(model, Recurrent):
        for one in as_tuple(input):
            if not isinstance(one, Tensor | PackedSequence):
                raise SizeError(
                    f"The input is of the type {type(one).__name__}; expected a tensor [T, B, size] or a "
                    "PackedSequence. torch.as_tensor() makes one of numbers, and of an array."
                )
        return model(input, state, **given)  # torch's layers call it hx
    if state is not None:
        given["state"] = state
    return model(*as_tuple(input), **given)


class _Recorder:
    """Records the quantities of every layer.

    Args:
        names: The names to record; None for all.
        parts: Whether to record all parts, even those that are not named.
        alone: Whether there is only one stack of layers, so that keys need no path.
    """

    def __init__(self, names: tuple[str, ...] | None, parts: bool, *, alone: bool) -> None:
        self.names = names
        self.parts = parts
        self.alone = alone
        self.tensors: dict[str, Tensor] = {}
        self.layers: list[TracedLayer] = []

    def visitor(self, path: str, layer: Recurrent) -> Visitor:
        """Return the visitor of one layer."""
        return lambda visit, further: self.visit(path, layer, visit, further)

    def visit(self, path: str, layer: Recurrent, visit: Visit, further: Further) -> Result:
        """Run one layer in one direction, and record its quantities."""
        prefix = prefix_of("" if self.alone else path, visit.number, visit.direction)
        if any(known.prefix == prefix for known in self.layers):
            raise SizeError(
                f"The layer {f'`{path}`' if path else 'given'} was run more than once in one run of the model, so its "
                "steps have no one order. Trace the layer itself, on the input of each run."
            )
        options, drawn = visit.options, visit.options["draws"] is not None
        taken = parted(visit.step)
        lines = {name: taken.parts.get(name, name) for name in self.wanted(prefix, taken, drawn)}
        step = taken.step if any(name in taken.parts for name in lines) else visit.step
        # What is at positions is recorded even if it is the same number at all: it is 0 beyond those of a row.
        away = {*visit.held, *step.positions}
        numbers = {name: number for name, number in fixed(step, drawn).items() if name not in away}
        asked = [line for line in lines.values() if line not in numbers]
        record = tuple(dict.fromkeys((*options["record"], *asked)))
        result = further(replace(visit, step=step, options={**options, "record": record}))
        for name, line in lines.items():
            size = layer.layers[visit.number].size(taken.of.get(name, name))
            known = visit.full(numbers[line], size) if line in numbers else result.recorded[line].detach()
            self.tensors[f"{prefix}.{name}"] = visit.outward(known)
        self.layers.append(_described(prefix, path, layer, visit, taken))
        return result

    def wanted(self, prefix: str, taken: Parted, drawn: bool) -> list[str]:
        """Name the quantities to record of a layer, in the order of the equations, with parts last."""
        step = taken.step
        own = [line.target for line in step.equations if line.target not in taken.parts.values()]
        named = {name.removeprefix(f"{prefix}.") for name in self.names or ()}
        parts = [part for part in taken.parts if self.parts or part in named]
        if self.names is None:
            # A mask that is not drawn is just its probability. Vectors at positions would keep a run from the kernels,
            # unless the cell delivers them and does so anyway.
            left_out = {*(() if drawn else step.draws), *(set(step.positions) - {*step.states, *step.delivered})}
            return [*(name for name in own if name not in left_out or step.is_bare(name)), *parts]
        return [*(name for name in (*own, *step.inputs) if name in named), *parts]


def _described(prefix: str, path: str, layer: Recurrent, visit: Visit, taken: Parted) -> TracedLayer:
    """Describe a layer for the readers of the trace."""
    restart, fresh = visit.options["restart"], visit.options["initial"]
    step = visit.step
    fresh = [torch.zeros_like(one) for one in visit.state] if fresh is None else fresh
    banks, known = visit.options["banks"], zip(step.places, visit.options["extents"], strict=True)
    return TracedLayer(
        prefix=prefix,
        module=path,
        number=visit.number,
        direction=visit.direction,
        cell=layer.cell.name,
        step=step,
        drawn=visit.options["draws"] is not None,
        parts=dict(taken.of),
        inputs={name: visit.outward(one.detach()) for name, one in zip(step.inputs, visit.inputs, strict=True)},
        before=_by_name(step, visit, visit.state),
        fresh=_by_name(step, visit, fresh),
        restart=None if restart is None else visit.outward_rows(restart.mT).mT,
        lengths=visit.lengths,
        banks={name: visit.outward_rows(one.detach()) for name, one in zip(step.banks, banks, strict=True)},
        extents={name: visit.outward_rows(one) for name, one in known if one is not None},
    )


def _by_name(step: Step, visit: Visit, states: Sequence[Tensor]) -> dict[str, Tensor]:
    return {name: visit.outward_rows(one.detach()) for name, one in zip(step.states, states, strict=True)}


def _known(layers: Mapping[str, Recurrent]) -> Iterator[tuple[str, str]]:
    """Yield all quantities that can be recorded, as pairs of a prefix and a name."""
    for path, layer in layers.items():
        for number, direction, one in layer._runs():
            taken = parted(one.step)
            own = (line.target for line in one.step.equations)
            for name in (*own, *taken.parts, *one.step.inputs):
                yield prefix_of("" if len(layers) == 1 else path, number, direction), name


def _check_names(layers: Mapping[str, Recurrent], names: tuple[str, ...] | None) -> None:
    pairs = dict.fromkeys(_known(layers))
    bare = dict.fromkeys(name for _, name in pairs)
    keys = {f"{prefix}.{name}" for prefix, name in pairs}
    prefixes = ", ".join(f"`{one}`" for one in dict.fromkeys(prefix for prefix, _ in pairs))
    for name in names or ():
        if name not in bare and name not in keys:
            own = next((own for own in bare if name.endswith(f".{own}")), None)
            layer = None if own is None else name.removesuffix(f".{own}")
            if layer is not None and any(prefix == layer for prefix, _ in pairs):
                known = ", ".join(f"`{one}`" for prefix, one in pairs if prefix == layer)
                raise SizeError(f"`{name}` cannot be traced: the equations of `{layer}` have {known}.")
            if layer is not None:
                raise SizeError(f"`{name}` cannot be traced: there is no layer `{layer}`; the layers are {prefixes}.")
            known = ", ".join(f"`{one}`" for one in bare)
            raise SizeError(f"`{name}` cannot be traced: the equations have {known}.")
