"""Run a case by the library, and hold what comes out against what the equations mean."""

import copy
import math
import warnings
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import torch
from tests.fuzz.case import Case
from tests.fuzz.expected import WORTH, Found, Given, expected, loss_of, numbers
from tests.fuzz.meaning import Doubts, Meaning, Noise, Undefined
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

import gatework
from gatework.errors import ConfigError, GateworkError
from gatework.kernels.cpu import adjoint
from gatework.language import parse

NOISE = 1e-7
ALLOWED = 50  # how many times as far from the truth as noise of a rounding's size takes a result
LEAST = 1000  # roundings of its largest number that a tensor may be off in any case
HOPELESS = 0.05  # a result that rounding alone may change by so much of itself is not compared
FOLDED = 0.2  # one that noise moves by so much of itself need not move by less where noise is less: sin of 1e30
# Found now, so that the processes of a campaign, which are copies of one, need not look for them.
TRANSFORMS: dict[str, Callable[..., Any]] = {
    name: getattr(gatework, name)
    for name in ("layer_norm", "zoneout", "recurrent_dropout", "peephole", "project", "coupled", "replace")
}
TRACE, LAYER, READ = gatework.trace, gatework.Recurrent, gatework.cell
# What a comparison with NaN gives is nobody's law. Nor is, of a matrix of blocks, whether an infinite number of one
# block reaches the units of another: kernels write zeros out, and 0 * inf is NaN.
_BLIND = ("maximum", "minimum", "where", "greater", "sign", "mod", "divides", "relu", "hard_sigmoid", "abs")
_BLIND += ("block_diagonal", "block_upper")
_SPECIAL = {"zero": 0.0, "inf": math.inf, "nan": math.nan, "huge": 1e30, "denormal": 1e-39}


@dataclass(frozen=True)
class Finding:
    """Something that must not be.

    Args:
        kind: ``foreign`` (an exception that is not the library's, when a cell or layer is made), ``late`` (a layer
            that was made and cannot be called), ``wrong`` (a number), ``shape``, ``undefined`` (a layer was made of
            what has no meaning), ``printing`` (the printed cell is not the cell), ``crash`` or ``hang``.
        where: What is wrong, in few words that stay the same when the case is made smaller.
        detail: By how much, or what was said.
    """

    kind: str
    where: str
    detail: str

    @property
    def key(self) -> tuple[str, str]:
        """Give what makes two findings the same."""
        return (self.kind, self.where)


@dataclass
class Verdict:
    """What became of a case.

    Args:
        what: ``right``, ``refused``, ``doubtful`` or ``found``.
        finding: What was found.
        note: Why it was refused or is doubtful.
    """

    what: str
    finding: Finding | None = None
    note: str = ""


class _Refused(Exception):
    """The library refused a case when the cell or the layer was made, as it may."""


class _Caught(Exception):
    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.detail)
        self.finding = finding


class Judge:
    """Judges cases one after the other; layers and cells of earlier ones are used again, as in a user's process."""

    def __init__(self) -> None:
        self._layers: dict[tuple[Any, ...], Any] = {}

    def judge(self, case: Case) -> Verdict:
        """Run a case and compare."""
        try:
            return self._judge(case)
        except _Refused as refused:
            return Verdict("refused", note=str(refused))
        except _Caught as caught:
            return Verdict("found", caught.finding)

    def _judge(self, case: Case) -> Verdict:
        layer = self._layer(case)
        text, states, inputs = layer.cell.equations, list(layer.cell.states), list(layer.cell.inputs)
        meaning = Meaning(text, states, inputs, layer.cell.own_sizes, layer.cell.memories)
        try:
            given, call = prepare(case, layer, meaning)
            with_grads = case.call in ("train", "step", "deliver")
            names = list(meaning.place) if case.call in ("record", "trace", "deliver") else []
            torch.set_num_threads(case.threads)
            # Chunks of one step, as these sequences are too short for several stretches of long chunks.
            with patch.object(adjoint, "DEEPEST", 2 if case.memory == "sqrt" else adjoint.DEEPEST):
                found = _said(lambda: CALLS[case.call](case, layer, call, names), "late", case.call, case)
            torch.set_num_threads(1)
            given.masks = call.masks
            kept = [tuple(record) for record in found.records]
            if case.call in ("record", "trace", "deliver"):
                _all_delivered(case, layer.cell.outputs, kept)
            true, doubts = expected(case, meaning, given, kept, with_grads, Noise())
            moved = [expected(case, meaning, given, kept, with_grads, Noise(NOISE, seed))[0] for seed in (1, 2)]
        except Undefined as undefined:
            raise _Caught(Finding("undefined", "sizes", str(undefined))) from None
        return compare(case, found, true, moved, doubts)

    def _layer(self, case: Case) -> Any:
        if case.layer not in self._layers:
            layer = make(case)
            self._layers = {**dict(list(self._layers.items())[-3:]), case.layer: layer}
        layer = self._layers[case.layer]
        layer.backend, layer.memory = case.backend, case.memory
        return layer.train(case.training)


def _all_delivered(case: Case, outputs: Sequence[str], kept: Sequence[Collection[str]]) -> None:
    """See that every layer delivers what the cell names; of other lines it has those that its options leave it."""
    for place, names in enumerate(kept):
        missing = [name for name in outputs if name not in names]
        if missing:
            raise _Caught(Finding("wrong", f"names by {case.call}", f"{', '.join(missing)} is missing in {place}"))


def make(case: Case) -> Any:
    """Make the layer of a case, its parameters drawn and laid out as the case says."""
    cell = _said(lambda: _cell(case), "foreign", "cell")
    meaning = Meaning(case.equations, case.states, case.inputs, (), case.memories)
    if list(cell.states) != meaning.states and not case.transforms:
        raise _Caught(Finding("wrong", "states", f"{cell.states} for {meaning.states}"))
    _still_named(case, cell)
    kept = {"delivered": cell.outputs, "sized": cell.own_sizes, "memories": cell.memories}
    again = _said(lambda: parse(str(cell), cell.states, cell.inputs, **kept), "printing", "cell", case)
    if again != cell.step:
        raise _Caught(Finding("printing", "cell", f"{cell} is not read as what it was printed from"))
    _said(cell.latex, "printing", "latex", case)
    sizes = case.hidden_size
    layer = _said(
        lambda: LAYER(
            cell,
            case.input_size[0] if len(case.input_size) == 1 else tuple(case.input_size),
            sizes[0] if len(set(sizes)) == 1 else list(sizes),
            len(sizes),
            case.bias,
            case.batch_first,
            bidirectional=case.bidirectional,
            proj_size=case.proj_size,
            learn_initial_state=case.learn_initial_state,
            input_projection=case.input_projection,
            below_projection=case.below_projection,
            skip=case.skip,
            connection=case.connection,
            tie_layers=case.tie_layers,
            sizes=case.sizes,
            memory_size=_memory_sizes(case, cell),
            backend=case.backend,
            memory=case.memory,
            dtype=getattr(torch, case.dtype),
        ),
        "foreign",
        "layer",
    )
    for name, parameter in list(layer.named_parameters()):
        drawn = numbers(case.seed, name, *parameter.shape)
        size = case.scale * (parameter.shape[-1] ** -0.5 if parameter.dim() == 2 else 0.5)
        strided = _strided(drawn * size, case.weights)
        setattr(
            layer,
            name,
            nn.Parameter(strided.to(parameter.dtype) if case.weights == "plain" else _like(strided, parameter)),
        )
    return layer


def _cell(case: Case) -> Any:
    named = {"outputs": case.outputs, "sizes": case.own_sizes, "memories": case.memories}
    cell = READ(case.equations, states=case.states, inputs=case.inputs, **named)
    for name, options in case.transforms:
        cell = TRANSFORMS[name](cell, **options)
    return cell


def _memory_sizes(case: Case, cell: Any) -> dict[str, int] | None:
    """Give the sizes of the banks that a cell still has, without those with one number at each position."""
    meaning = Meaning(cell.equations, list(cell.states), list(cell.inputs), cell.own_sizes, cell.memories)
    named = {name: case.memory_size[name] for name in meaning.banks if not meaning.is_number(name)}
    return named or None


def _still_named(case: Case, cell: Any) -> None:
    """See that a transformed cell delivers what it did, and names the same sizes, as far as it has these names."""
    meaning = Meaning(cell.equations, list(cell.states), list(cell.inputs), (), cell.memories)
    known = {*meaning.place, *meaning.inputs, *meaning.vectors}
    own = [[name for name in entry.split("=") if name in known] for entry in case.own_sizes]
    right = [name for name in case.outputs if name in known], ["=".join(names) for names in own if names]
    if (list(cell.outputs), list(cell.own_sizes)) != right:
        given = f"{list(cell.outputs)} and {list(cell.own_sizes)}"
        raise _Caught(Finding("wrong", "names of a cell", f"{given} for {right[0]} and {right[1]}"))


def _said(call: Callable[[], Any], kind: str, where: str, case: Case | None = None) -> Any:
    """Call, and make findings of exceptions. Without a case the library may refuse."""
    try:
        return call()
    except Undefined:
        raise
    except GateworkError as error:
        if case is None:
            raise _Refused(f"{type(error).__name__}: {error}") from None
        raise _Caught(Finding(kind, f"{where}: {type(error).__name__}", _first(error))) from None
    except Exception as error:
        raise _Caught(Finding(kind, f"{where}: {type(error).__name__}", _first(error))) from None


def _first(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:200]


# --- how things lie in memory


def _strided(values: Tensor, how: str) -> Tensor:
    """Lay values out in memory in another way; ``expanded`` makes all rows the first one."""
    if how == "plain" or values.dim() == 0 or not values.numel():
        return values
    if how == "cut":
        room = torch.full((*values.shape[:-1], values.shape[-1] + 3), math.nan, dtype=values.dtype)
        room[..., 1:-2] = values
        return room[..., 1:-2]
    if how == "transposed" and values.dim() > 1:
        return values.transpose(-1, -2).contiguous().transpose(-1, -2)
    if how == "expanded" and values.dim() > 1:
        return values[:1].clone().expand(values.shape)
    room = torch.full((2 * len(values), *values.shape[1:]), math.nan, dtype=values.dtype)
    room[::2] = values
    return room[::2]


def _like(strided: Tensor, like: Tensor) -> Tensor:
    """Change the type of a tensor and keep its strides."""
    if strided.dtype == like.dtype:
        return strided
    size = 1 + sum((length - 1) * stride for length, stride in zip(strided.shape, strided.stride(), strict=True))
    room = torch.full((size,), math.nan, dtype=like.dtype)
    view = room.as_strided(strided.shape, strided.stride())
    (view[:1] if 0 in strided.stride() else view).copy_(strided[:1] if 0 in strided.stride() else strided)
    return view


# --- the numbers of a case


@dataclass
class Call:
    """What the layer is given.

    Args:
        inputs: The leaves, [T, B, size] each in the layout of the case.
        state: The leaves of the first state, by layer and direction; None where none is given.
        lengths: As the user gives them.
        reset: bool [T, B].
        masks: The masks that were drawn.
        banks: The leaves of the banks by name, [B, L, size], or [B, L] with one number at each position.
        extents: For each memory that is told how many positions each row has.
    """

    inputs: list[Tensor]
    state: list[list[Tensor]] | None
    lengths: list[int] | None
    reset: Tensor | None
    masks: list[dict[str, Tensor]] | None = None
    banks: dict[str, Tensor] = field(default_factory=dict)
    extents: dict[str, list[int]] = field(default_factory=dict)


def prepare(case: Case, layer: Any, meaning: Meaning) -> tuple[Given, Call]:
    """Draw the numbers of a case, for the library and for the meaning."""
    dtype, rows = getattr(torch, case.dtype), max(case.rows, 1)
    lengths = case.lengths or [case.steps] * rows
    inputs, leaves = [], []
    ended = (torch.arange(case.steps)[:, None] >= torch.tensor(lengths))[..., None]
    for place, size in enumerate(case.input_size):
        drawn = _with_special(case, numbers(case.seed, f"input {place}", case.steps, rows, size))
        drawn = _strided(drawn, "expanded") if case.given == "expanded" else drawn
        padding = 0.0 if case.given == "expanded" or case.packed else math.nan
        inputs.append(drawn.masked_fill(ended, 0.0))
        leaf = drawn if case.given == "expanded" else drawn.masked_fill(ended, padding)
        leaves.append(_like(_strided(leaf, case.given), torch.zeros((), dtype=dtype)).requires_grad_())
    state, held, weights, maps = [], [], [], []
    for number, one in enumerate(layer.layers):
        maps.append(_maps(case, layer, number))
        for direction in range(2 if case.bidirectional else 1):
            place = len(state)
            suffix = f"_l{number}" + "_reverse" * direction
            named = dict(layer.named_weights(number, direction))
            learned = {f"initial_{name}": getattr(layer, f"initial_{name}{suffix}", None) for name in meaning.states}
            named |= {name: value for name, value in learned.items() if value is not None}
            weights.append(named)
            shapes = [(rows, one.size(name)) for name in meaning.states]
            drawn = [0.5 * numbers(case.seed, f"state {place} {index}", *shape) for index, shape in enumerate(shapes)]
            if not case.given_state:
                first = [learned[f"initial_{name}"] for name in meaning.states]
                drawn = [
                    torch.zeros(shape).double() if value is None else value.expand(shape)
                    for value, shape in zip(first, shapes, strict=True)
                ]
            state.append([_double(one) for one in drawn])
            held.append([one.detach().to(dtype, copy=True).requires_grad_() for one in drawn])
    reset = None
    if case.reset:
        reset = numbers(case.seed, "reset", case.steps, rows) > 0.3
    given = Given(
        inputs,
        state,
        [{name: _double(one) for name, one in named.items()} for named in weights],
        [{key: [_double(one) for one in parts] for key, parts in found.items()} for found in maps],
        None,
        reset,
        lengths,
    )
    call = Call(leaves, held if case.given_state else None, case.lengths, reset)
    _remember(case, meaning, given, call)
    return given, call


def _remember(case: Case, meaning: Meaning, given: Given, call: Call) -> None:
    """Draw the banks of a case; what stands at positions that a row does not have is NaN."""
    rows, first = max(case.rows, 1), {entry.split("=")[0]: place for place, entry in enumerate(case.memories)}
    for name, memory in meaning.banks.items():
        # A transformation may leave a memory without its first bank; the positions are still those of its entry.
        own = next(place for place, entry in enumerate(case.memories) if name in entry.split("="))
        place = first.get(memory, own)
        count, extents = case.positions[place], case.extents[place]
        size = 1 if meaning.is_number(name) else case.memory_size[name]
        drawn = numbers(case.seed, f"bank {name}", rows, count, size)
        present = torch.arange(count) < torch.tensor([count] * rows if extents is None else extents)[:, None]
        given.banks[name], given.present[memory] = drawn.masked_fill(~present[..., None], 0.0), present
        if extents is not None:
            call.extents[memory] = extents
        spoilt = drawn.masked_fill(~present[..., None], math.nan)
        leaf = spoilt.squeeze(-1) if meaning.is_number(name) else spoilt
        how = "plain" if case.given == "expanded" else case.given
        call.banks[name] = _like(
            _strided(leaf, how), torch.zeros((), dtype=getattr(torch, case.dtype))
        ).requires_grad_()


def _maps(case: Case, layer: Any, number: int) -> dict[str, list[Tensor]]:
    """Find the learned maps of a layer."""
    found: dict[str, list[Tensor]] = {}
    for key in ("in", "gate", *case.inputs):
        names = (f"{kind}_{key}_l{case.maps_owner(number)}" for kind in ("weight", "bias"))
        parts = [getattr(layer, name) for name in names if hasattr(layer, name)]
        if parts and (key in ("in", "gate") or number == 0):
            found[key] = parts
    return found


def _double(tensor: Tensor) -> Tensor:
    return tensor.detach().double().clone(memory_format=torch.contiguous_format)


def _with_special(case: Case, drawn: Tensor) -> Tensor:
    if not case.special:
        return drawn
    places = numbers(case.seed, "special", *drawn.shape) > 0.8
    if case.special != "denormal":
        places[:, 1:] = False
    value = _SPECIAL[case.special] * (1e-270 if case.special == "denormal" and case.dtype == "float64" else 1.0)
    return drawn.masked_fill(places, value)


# --- calls


def _arguments(case: Case, layer: Any, call: Call) -> tuple[Any, Any, dict[str, Any]]:
    """Bring what is given into the form of the layer's arguments."""
    options: dict[str, Any] = _memories(case, call)
    inputs: list[Any] = list(call.inputs)
    if case.rows == 0:
        inputs = [one.squeeze(1) for one in inputs]
    elif case.batch_first and not case.packed:
        inputs = [one.transpose(0, 1) for one in inputs]
    if case.packed:
        lengths = torch.tensor(call.lengths or [case.steps] * case.rows)
        inputs = [pack_padded_sequence(one, lengths, enforce_sorted=False) for one in inputs]
    elif call.lengths is not None:
        options["lengths"] = torch.tensor(call.lengths)
    if call.reset is not None:
        options["reset"] = call.reset.squeeze(1) if case.rows == 0 else call.reset.T if case.batch_first else call.reset
    return inputs[0] if len(inputs) == 1 else tuple(inputs), _state(case, layer, call.state), options


def _memories(case: Case, call: Call) -> dict[str, Any]:
    """Bring the banks into the form of the layer's arguments."""
    if not call.banks:
        return {}
    banks = {name: one.squeeze(0) if case.rows == 0 else one for name, one in call.banks.items()}
    single = len(banks) == 1 and case.seed % 2 == 0
    options: dict[str, Any] = {"memories": next(iter(banks.values())) if single else banks}
    if call.extents:
        options["memory_lengths"] = next(iter(call.extents.values())) if single else dict(call.extents)
    return options


def _state(case: Case, layer: Any, state: list[list[Tensor]] | None) -> Any:
    if state is None:
        return None
    parts: list[Any] = [list(one) for one in zip(*state, strict=True)]
    parts = [[one.squeeze(0) for one in part] if case.rows == 0 else part for part in parts]
    parts = [torch.stack(part) if layer.same_sizes else tuple(part) for part in parts]
    return parts[0] if len(parts) == 1 else tuple(parts)


def _states_of(case: Case, layer: Any, state: Any) -> list[list[Tensor]]:
    parts = (state,) if len(layer.cell.states) == 1 else state
    found = [[one.unsqueeze(0) if case.rows == 0 else one for one in part] for part in parts]
    return [list(one) for one in zip(*found, strict=True)]


def _sequence(case: Case, value: Any) -> Tensor:
    """Bring a result to [T, B, size]."""
    if isinstance(value, PackedSequence):
        return pad_packed_sequence(value, total_length=case.steps)[0]
    if case.rows == 0:
        return value.unsqueeze(1)
    return value.transpose(0, 1) if case.batch_first else value


def _masks(case: Case, layer: Any, call: Call, given: Any, state: Any, options: dict[str, Any]) -> None:
    """Learn which masks the seed of a case draws, by recording them."""
    if not case.training or case.call in ("stream", "step"):
        return
    cell = layer.cell
    names = list(Meaning(cell.equations, list(cell.states), list(cell.inputs), (), cell.memories).masks)
    torch.manual_seed(case.seed)
    with torch.no_grad():
        records = _allowing_auto(case, layer, lambda: layer.record(given, state, names=names, **options))[2]
    call.masks = [{name: _sequence(case, one).double() for name, one in record.items()} for record in records]
    for record in call.masks:
        for name, mask in record.items():
            if not bool(((mask == 0) | (mask == 1)).all()):
                raise _Caught(Finding("wrong", "mask", f"{name} holds other numbers than 0 and 1"))


def _train(case: Case, layer: Any, call: Call, names: list[str]) -> Found:
    given, state, options = _arguments(case, layer, call)
    _masks(case, layer, call, given, state, options)
    torch.manual_seed(case.seed)
    output, final = _allowing_auto(case, layer, lambda: layer(given, state, **options))
    found = Found(_sequence(case, output), _states_of(case, layer, final), [])
    return _with_grads(case, layer, call, found)


def _with_grads(case: Case, layer: Any, call: Call, found: Found) -> Found:
    """Add the gradients of everything, by name."""
    total = loss_of(case, found.output, found.state, found.records if case.call == "deliver" else ())
    leaves = [*call.inputs, *(one for states in call.state or [] for one in states), *call.banks.values()]
    parameters = list(layer.parameters())
    everything = [*leaves, *parameters]
    grads: Sequence[Tensor | None] = [None] * len(everything)
    if total.requires_grad:
        grads = torch.autograd.grad(total, everything, allow_unused=True)
    filled = [torch.zeros_like(one) if grad is None else grad for one, grad in zip(everything, grads, strict=True)]
    for one, grad in zip(everything, filled, strict=True):
        if one.shape != grad.shape or one.dtype != grad.dtype:
            raise _Caught(Finding("shape", "gradient", f"{tuple(grad.shape)} of {grad.dtype} for {tuple(one.shape)}"))
    found.grads = {f"input {place}": grad for place, grad in enumerate(filled[: len(call.inputs)])}
    rest = iter(filled[len(call.inputs) : len(leaves)])
    for place, states in enumerate(call.state or []):
        found.grads |= {f"state {number} of {place}": next(rest) for number in range(len(states))}
    for name, bank in call.banks.items():
        grad = next(rest)
        found.grads[f"bank {name}"] = grad.unsqueeze(-1) if bank.dim() == 2 else grad
    # A layer whose parameters are the gradients gives them by the names of the equations.
    carrier = copy.deepcopy(layer)
    for (name, _), grad in zip(layer.named_parameters(), filled[len(leaves) :], strict=True):
        setattr(carrier, name, nn.Parameter(grad.detach().contiguous()))
    directions = 2 if case.bidirectional else 1
    for number in range(len(layer.layers)):
        if case.maps_owner(number) == number:
            for key, parts in _maps(case, carrier, number).items():
                found.grads |= {f"map {key} {part} of {number}": one.detach() for part, one in enumerate(parts)}
        for direction in range(directions):
            place, suffix = number * directions + direction, f"_l{number}" + "_reverse" * direction
            if case.owner(number) == number:
                named = carrier.named_weights(number, direction)
                found.grads |= {f"{name} of {place}": one.detach() for name, one in named.items()}
            for name in layer.cell.states:
                if hasattr(carrier, f"initial_{name}{suffix}"):
                    found.grads[f"initial_{name} of {place}"] = getattr(carrier, f"initial_{name}{suffix}").detach()
    return found


def _allowing_auto(case: Case, layer: Any, call: Callable[[], Any]) -> Any:
    """Call; where kernels alone were asked for and say that they cannot, what ``auto`` takes is run."""
    try:
        return call()
    except ConfigError:
        if case.backend != "cpu":
            raise
        layer.backend = "auto"
        return call()


def _forward(case: Case, layer: Any, call: Call, names: list[str]) -> Found:
    given, state, options = _arguments(case, layer, call)
    with torch.no_grad():
        _masks(case, layer, call, given, state, options)
        torch.manual_seed(case.seed)
        output, final = _allowing_auto(case, layer, lambda: layer(given, state, **options))
    return Found(_sequence(case, output), _states_of(case, layer, final), [])


def _record(case: Case, layer: Any, call: Call, names: list[str]) -> Found:
    given, state, options = _arguments(case, layer, call)
    _masks(case, layer, call, given, state, options)
    torch.manual_seed(case.seed)
    output, final, records = _allowing_auto(case, layer, lambda: layer.record(given, state, names=names, **options))
    kept = [{name: _sequence(case, one) for name, one in record.items()} for record in records]
    return Found(_sequence(case, output), _states_of(case, layer, final), kept)


def _deliver(case: Case, layer: Any, call: Call, names: list[str]) -> Found:
    """Record with gradients: what the cell delivers, or all lines where it names none."""
    given, state, options = _arguments(case, layer, call)
    _masks(case, layer, call, given, state, options)
    wanted = None if layer.cell.outputs else names
    torch.manual_seed(case.seed)
    output, final, records = _allowing_auto(case, layer, lambda: layer.record(given, state, names=wanted, **options))
    kept = [{name: _sequence(case, one) for name, one in record.items()} for record in records]
    return _with_grads(case, layer, call, Found(_sequence(case, output), _states_of(case, layer, final), kept))


def _step(case: Case, layer: Any, call: Call, names: list[str]) -> Found:
    state, outputs, read = _state(case, layer, call.state), [], _memories(case, call)
    if read and case.seed % 3 and case.rows:  # what memories alone decide is computed at the first step
        read = {"memories": layer.remember(**read)}
    for time in range(case.steps):
        inputs = [one[time].squeeze(0) if case.rows == 0 else one[time] for one in call.inputs]
        output, state = _allowing_auto(
            case,
            layer,
            lambda given=inputs, last=state: layer.step(given[0] if len(given) == 1 else tuple(given), last, **read),
        )
        outputs.append(output.unsqueeze(0) if case.rows == 0 else output)
    return _with_grads(case, layer, call, Found(torch.stack(outputs), _states_of(case, layer, state), []))


def _stream(case: Case, layer: Any, call: Call, names: list[str]) -> Found:
    stream = _allowing_auto(case, layer, lambda: layer.stream(max(case.rows, 1)))
    if call.state is not None:
        stream.state = _state(case, layer, call.state)
    outputs = []
    for time in range(case.steps):
        inputs = [one.detach()[time] for one in call.inputs]
        outputs.append(stream.step(inputs[0] if len(inputs) == 1 else tuple(inputs)).clone())
    return Found(torch.stack(outputs), _states_of(case, layer, stream.state), [])


def _trace(case: Case, layer: Any, call: Call, names: list[str]) -> Found:
    given, state, options = _arguments(case, layer, call)
    _masks(case, layer, call, given, state, options)
    torch.manual_seed(case.seed)
    kept = _allowing_auto(case, layer, lambda: TRACE(layer, given, state=state, **options))
    records: list[dict[str, Tensor]] = []
    for number in range(len(layer.layers)):
        for direction in range(2 if case.bidirectional else 1):
            prefix = f"l{number}" + "_reverse" * direction
            records.append({name: kept[f"{prefix}.{name}"] for name in names if f"{prefix}.{name}" in kept})
    return Found(_sequence(case, kept.output), _states_of(case, layer, kept.state), records)


CALLS: dict[str, Callable[[Case, Any, Call, list[str]], Found]] = {
    "train": _train,
    "forward": _forward,
    "record": _record,
    "deliver": _deliver,
    "stream": _stream,
    "step": _step,
    "trace": _trace,
}


# --- the verdict


def compare(case: Case, found: Found, true: Found, moved: list[Found], doubts: Doubts) -> Verdict:
    """Hold results against the truth, with as much doubt as there is."""
    parts, right = found.parts(), true.parts()
    others = [one.parts() for one in moved]
    if doubts.found & {"jump", "large", "folded"} or (case.special not in ("", "denormal") and "small" in doubts.found):
        for name, one in parts.items():
            _check_shape(name, one, right[name])
        return Verdict("doubtful", note=", ".join(sorted(doubts.found)))
    hopeless = False
    for name, one in parts.items():
        truth = right[name]
        _check_shape(name, one, truth)
        only = _rows_to_compare(case, name, doubts)
        if only is None:
            continue
        noisy = [other[name] for other in others]
        hopeless |= not _near(case, name, *(only(tensor.detach()) for tensor in (one, truth, *noisy)))
        if "not finite" in doubts.found and not _blind(case) and not name.startswith("gradient"):
            _same_places(case, name, one.detach(), truth.detach())
    notes = sorted(doubts.found) + ["rounding"] * hopeless
    return Verdict("doubtful" if notes else "right", note=", ".join(notes))


def _blind(case: Case) -> bool:
    return case.dtype == "float32" or any(f"{name}(" in case.equations for name in _BLIND)


def _rows_to_compare(case: Case, name: str, doubts: Doubts) -> Callable[[Tensor], Tensor] | None:
    """Say which part of a tensor has certain numbers: where the first row has none, the other rows."""
    gradient = name.startswith("gradient of ")
    if "steep" in doubts.found and gradient:
        return None
    if "not finite" not in doubts.found:
        return lambda tensor: tensor
    what = name.removeprefix("gradient of ")
    if not case.special or case.special == "denormal" or case.given == "expanded":
        return None
    if what == "output" or what.startswith(("record", "input")):
        return lambda tensor: tensor[:, 1:]
    if what.startswith(("last state", "state ")):
        return lambda tensor: tensor[1:]
    return None


def _check_shape(name: str, one: Tensor, truth: Tensor) -> None:
    if one.shape != truth.shape:
        what = _kind(name)
        raise _Caught(Finding("shape", what, f"{name} has the shape {tuple(one.shape)}; expected {tuple(truth.shape)}"))


def _near(case: Case, name: str, one: Tensor, truth: Tensor, *noisy: Tensor) -> bool:
    """See that a tensor is as near to the truth as rounding lets it be; False where rounding decides everything."""
    if not truth.numel():
        return True
    most = truth.abs().max().item()
    if not math.isfinite(most):
        return False
    unit = WORTH[case.dtype][3]
    moves = max((other - truth).abs().max().item() for other in noisy)
    least = 1e-30 if case.dtype == "float32" else 1e-200
    if not math.isfinite(moves) or (moves > FOLDED * most and most > NOISE):
        return False
    allowed = ALLOWED * moves * unit / NOISE + LEAST * unit * most + least
    if allowed > HOPELESS * most and most > 1e3 * least:
        return False
    error = (one.double() - truth).abs()
    worst = math.nan if bool(error.isnan().any()) else error.max().item()
    if not worst <= allowed:
        detail = f"{name} is off by {worst:.2g}; its largest number is {most:.2g}, and rounding allows {allowed:.2g}"
        raise _Caught(Finding("wrong", f"{_kind(name)} by {case.call}", detail))
    return True


def _same_places(case: Case, name: str, one: Tensor, truth: Tensor) -> None:
    """See that NaN and infinities stand where they do by the equations."""
    same = (
        (one.isnan() == truth.isnan())
        & ((one == math.inf) == (truth == math.inf))
        & ((one == -math.inf) == (truth == -math.inf))
    )
    if not bool(same.all()):
        place = tuple((~same).nonzero()[0].tolist())
        detail = f"{name}{list(place)} is {one[place].item():.3g}, and by the equations {truth[place].item():.3g}"
        raise _Caught(Finding("wrong", f"not finite {_kind(name)} by {case.call}", detail))


def _kind(name: str) -> str:
    """Name what a tensor is, without the names that a case chose."""
    gradient, what = name.startswith("gradient of "), name.removeprefix("gradient of ")
    kinds = ("output", "last state", "record", "input", "state", "bank", "map", "initial")
    kind = next((one for one in kinds if what.startswith(one)), "weights")
    return f"gradient of {kind}" if gradient else kind


def judge(case: Case) -> Verdict:
    """Judge one case by itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Judge().judge(case)
