"""Interventions: hold a gate open, set a unit to zero or replace a state, between two time steps."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Real
from typing import Any, SupportsIndex

import torch
from torch import Tensor, nn

from gatework.errors import SizeError
from gatework.kernels import Result
from gatework.language.handles import overridden
from gatework.nn import Recurrent
from gatework.tracing.doors import Further, Visit, only_layer, visited

Which = Sequence[SupportsIndex] | Tensor | SupportsIndex | None
Value = float | Tensor | Sequence[Any]


@contextmanager
def clamp(
    layer_or_model: nn.Module,
    values: Mapping[str, Value] | None = None,
    /,
    *,
    units: Which = None,
    layer: int | None = None,
    direction: int | None = None,
    start: int = 0,
    stop: int | None = None,
    rows: Which = None,
    **named: Value,
) -> Iterator[None]:
    """Hold quantities at given values while a layer runs.

    Everything that is computed later uses the value: the rest of the step, later steps, and the layers above. No
    gradient flows through a clamped quantity, but a value that is a tensor receives a gradient. A clamped run uses
    kernels like any other run, but for what has values at positions of a memory, which the reference clamps. Clamps can
    be nested; if two of them clamp the same quantity, the inner one wins. A clamp affects only the current thread.

    Args:
        layer_or_model: A layer, or a module that contains one.
        values: The value of each quantity: a number, or a tensor, array or nested list of numbers that broadcasts to
            [T, B, H], where H is the number of clamped units; to [T, B, L] for one number at each position of a memory,
            and to [T, B, L, H] for a vector at each. Beyond a row's positions it has no influence. NaN is refused.
        units: The units to clamp, as whole numbers from 0 in a list, an array or a tensor; None for all. The units of
            what has one number at each position of a memory are the positions.
        layer: The layer, counted from 0 at the input; None for all layers that have the quantity.
        direction: 0 for forward in time, 1 for backward in time; None for both.
        start: The first step to clamp, in the order of the input.
        stop: The step after the last step to clamp; None for the end.
        rows: The rows of the batch to clamp; None for all.
        **named: Values by keyword, as in ``clamp(layer, f=1.0)``.

    Raises:
        SizeError: For a quantity, a layer or a unit that does not exist, and for a value that does not fit.

    Example:
        >>> import gatework
        >>> lstm, given = gatework.LSTM(3, 4), torch.randn(5, 2, 3)
        >>> with gatework.clamp(lstm, i=0.0, units=[3]):
        ...     kept = gatework.trace(lstm, given)
        >>> bool((kept["c"][..., 3] == 0).all())
        True
    """
    target = only_layer(layer_or_model)
    held = {name: _value(name, given) for name, given in {**(values or {}), **named}.items()}
    if not held:
        raise SizeError("clamp() was given no quantity to hold. Say for example f=1.0.")
    _check_times(start, stop)
    where = _Where(_numbers("units", units), _numbers("rows", rows), start, stop)
    chosen = _chosen(target, layer, direction)
    _check_values(target, chosen, where, held)

    def visit(visit: Visit, further: Further) -> Result:
        if (visit.number, visit.direction) not in chosen:
            return further(visit)
        return further(_held(visit, target.layers[visit.number].size, where, held))

    def holds(number: int, direction: int) -> frozenset[str]:
        return frozenset(held) if (number, direction) in chosen else frozenset()

    with visited(target, visit, changes=True, holds=holds):
        yield


@dataclass(frozen=True)
class _Where:
    """The units, rows and steps to clamp; None for all."""

    units: list[int] | None
    rows: list[int] | None
    start: int
    stop: int | None


def _held(visit: Visit, size_of: Any, where: _Where, values: Mapping[str, float | Tensor]) -> Visit:
    """Change a run so that its equations take the clamped values as inputs."""
    own = {line.target for line in visit.step.equations}
    names = tuple(name for name in values if name in own)
    if not names:
        return visit
    taken = overridden(visit.step, names)
    further: dict[str, Tensor] = {}
    for name in names:
        chosen, value = _sequences(visit, name, visit.shape(name, size_of(name)), where, values[name])
        further |= {taken.chosen[name]: visit.inward(chosen), taken.value[name]: visit.inward(value)}
    return visit.with_inputs(taken.step, tuple(further[name] for name in taken.step.inputs[len(visit.inputs) :]))


def _sequences(
    visit: Visit, name: str, one: tuple[int, ...], where: _Where, value: float | Tensor
) -> tuple[Tensor, Tensor]:
    """Return where a quantity is clamped (1 or 0), and its values there: [T, B, ...] each; ``one`` is a row's shape."""
    like = visit.state[0]
    shape = (visit.batch.steps, visit.batch.rows, *one)
    units = list(range(shape[-1])) if where.units is None else where.units
    rows = list(range(shape[1])) if where.rows is None else where.rows
    _check_inside("rows", rows, shape[1])
    _check_inside(f"units of `{name}`", units, shape[-1])
    chosen = like.new_zeros(shape)
    held = like.new_zeros(shape[1:])
    held[torch.tensor(rows, dtype=torch.int64)[:, None], ..., torch.tensor(units, dtype=torch.int64)] = 1
    chosen[where.start : where.stop] = held
    part = (*shape[:-1], len(units))
    try:
        given = torch.as_tensor(value, dtype=like.dtype, device=like.device).broadcast_to(part)
    except RuntimeError:
        shape_given = tuple(torch.as_tensor(value).shape)
        form = "[T, B, L, units]" if len(one) > 1 else "[T, B, L]" if visit.step.is_bare(name) else "[T, B, units]"
        raise SizeError(
            f"The value of `{name}` has the shape {shape_given}; expected a number, or a shape that broadcasts to "
            f"{form} = {part}."
        ) from None
    if where.units is None:
        return chosen, given.contiguous()
    place = torch.tensor(units, dtype=torch.int64, device=like.device)
    return chosen, like.new_zeros(shape).index_copy(-1, place, given.contiguous())


def _value(name: str, given: Any) -> float | Tensor:
    """Convert the value of a clamp to a number or a tensor."""
    value: Any = given
    try:
        if not isinstance(given, Tensor):
            # NumPy numbers become Python numbers. A list may contain tensors.
            value = _plain(given)
            value = torch.tensor(value) if isinstance(value, list) else value
            value = float(value) if isinstance(value, Real) and not isinstance(value, bool) else value
    except (TypeError, ValueError, RuntimeError, OverflowError):
        value = None
    if not isinstance(value, float | Tensor) or (isinstance(value, Tensor) and value.is_complex()):
        raise SizeError(f"The value of `{name}` is {given!r}; expected a number or a tensor.")
    if math.isnan(value) if isinstance(value, float) else not value.is_meta and bool(value.isnan().any()):
        raise SizeError(f"The value of `{name}` is NaN, at least in part; expected a number, or a tensor of numbers.")
    return value


def _plain(given: Any) -> Any:
    """Convert an array, a tensor or a sequence to nested lists of numbers; a number stays a number."""
    if hasattr(given, "tolist"):
        return given.tolist()
    return [_plain(one) for one in given] if isinstance(given, Sequence) and not isinstance(given, str) else given


def _numbers(what: str, which: Any) -> list[int] | None:
    if which is None:
        return None
    plain = _plain(list(which) if isinstance(which, range | set | frozenset) else which)
    numbers = plain if isinstance(plain, list) else [plain]
    if not numbers or any(isinstance(one, bool) or not isinstance(one, int) or one < 0 for one in numbers):
        raise SizeError(f"{what} is {which!r}; expected whole numbers from 0, or None for all.")
    return list(dict.fromkeys(numbers))


def _chosen(target: Recurrent, layer: int | None, direction: int | None) -> set[tuple[int, int]]:
    """Choose layers and directions."""
    directions = 2 if target.bidirectional else 1
    for what, given, count in (("layer", layer, target.num_layers), ("direction", direction, directions)):
        if given is not None:
            _check_inside(what, [given], count)
    return {(number, way) for number, way, _ in target._runs() if layer in (None, number) and direction in (None, way)}


def _check_inside(what: str, numbers: Sequence[int], count: int) -> None:
    for number in numbers:
        if not 0 <= number < count:
            raise SizeError(f"{what} names {number}; expected numbers from 0 to {count - 1}.")


def _check_times(start: int, stop: int | None) -> None:
    """Refuse invalid steps. A step beyond the end is allowed: a clamp may apply to inputs of several lengths."""
    if isinstance(start, bool) or not isinstance(start, int) or start < 0:
        raise SizeError(f"start is {start!r}; expected the number of a step, from 0.")
    if stop is not None and (isinstance(stop, bool) or not isinstance(stop, int) or stop < start):
        raise SizeError(f"stop is {stop!r}; expected a step after start={start}, or None for the end.")


def _check_values(
    target: Recurrent, chosen: set[tuple[int, int]], where: _Where, values: Mapping[str, float | Tensor]
) -> None:
    """Refuse a quantity that no chosen layer has, and units that the quantity does not have."""
    layers = [target.layers[number] for number in dict.fromkeys(number for number, _ in sorted(chosen))]
    for name in values:
        having = [
            one for one in layers if name in {line.target for line in one.step.equations} and name not in one.step.draws
        ]
        if not having:
            lines = [line.target for one in layers for line in one.step.equations if line.target not in one.step.draws]
            known = ", ".join(f"`{line}`" for line in dict.fromkeys(lines))
            raise SizeError(f"`{name}` cannot be held: the equations have {known}.")
        for one in having:
            if one.step.is_bare(name):  # the run tells how many positions there are
                continue
            _check_inside(f"units of `{name}`", where.units or [], one.size(name))
