"""Every table: what stands against what, on which shapes, and what is asked for."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from benchmarks.cpu import jax_peer, onnx_peer, torchrecurrent_peer
from benchmarks.cpu.attention import attention, stacks
from benchmarks.cpu.contestants import (
    Network,
    Shape,
    gradients_by_name,
    in_double,
    over_sequence,
    random_input,
    random_state,
    reached_state,
    twin_of,
)
from benchmarks.cpu.machine import MISSING as PEAK_MISSING
from benchmarks.cpu.machine import Peak
from benchmarks.cpu.measure import Contestant, Pair
from benchmarks.cpu.plan import MODES, Plan, Table, drop_in, label_of, lstm_flops, recurrent
from benchmarks.cpu.targets import Target
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

import gatework
from gatework.language.nodes import Apply, walk

_STEPS_BEFORE_CHAOS = 8

# --- torch.nn.LSTM, GRU and RNN


def _torch_sides(plan: Plan, name: str, shape: Shape) -> tuple[Network, Network]:
    units = shape[2]
    torch.manual_seed(0)
    theirs = getattr(nn, name)(units, units)
    ours = twin_of(theirs, drop_in(plan, name, units))
    given, state = random_input(shape, units), random_state(shape, 2 if name == "LSTM" else 1)
    return (
        over_sequence(f"gatework.{name}", ours, given, state),
        over_sequence(f"torch.nn.{name}", theirs, given, state),
    )


def torch_pair(plan: Plan, name: str, mode: str, shape: Shape) -> Pair:
    """Set a drop-in layer beside the layer of torch it stands in for.

    Args:
        plan: The run.
        name: ``LSTM``, ``GRU`` or ``RNN``.
        mode: ``inference`` or ``training``.
        shape: (B, T, H).

    Returns:
        The pair, both with the same weights.
    """
    ours, theirs = map(MODES[mode], _torch_sides(plan, name, shape))
    return Pair(label_of(shape), ours, theirs, flops=lstm_flops(shape, mode) if name == "LSTM" else 0.0)


def against_torch(plan: Plan, name: str, targets: Mapping[str, Target]) -> list[Table]:
    """Make the tables of a drop-in layer."""
    return [
        Table(
            f"gatework.{name} against torch.nn.{name}",
            mode,
            target,
            {label_of(shape): partial(torch_pair, plan, name, mode, shape) for shape in plan.sizes.shapes},
        )
        for mode, target in targets.items()
    ]


# --- the eager reference


def _reference_pair(plan: Plan, cell: str, mode: str, shape: Shape) -> Pair:
    units = shape[2]
    options = {"proj_size": units // 2} if "proj_size" in gatework.CELLS[cell].step.size_keys else {}
    judge = recurrent(replace(plan, backend="reference"), cell, units, **options)
    ours = twin_of(judge, recurrent(plan, cell, units, **options))
    given, state = random_input(shape, units), reached_state(judge, shape, units)
    compared = _before_chaos(judge, given)
    timed = MODES[mode](over_sequence("gatework", ours, given, state))
    return Pair(
        f"{cell} {label_of(shape)}",
        replace(timed, numbers=MODES[mode](over_sequence("gatework", ours, compared, state)).numbers),
        MODES[mode](over_sequence("the reference", judge, given, state)),
        judge=MODES[mode](over_sequence("the reference", judge, compared, state)),
        exact=lambda: MODES[mode](in_double(judge, compared, state)).numbers(),
    )


def _before_chaos(layer: gatework.Recurrent, given: Tensor) -> Tensor:
    """Give the steps over which numbers are compared: all of them, but few for a cell with layer norm.

    Over a hundred steps such a cell carries one rounding to where float32 runs no longer agree with each other, the
    reference with itself in another order among them. Times are always those of all steps.
    """
    functions = {
        node.function for line in layer.cell.step.equations for node in walk(line.value) if isinstance(node, Apply)
    }
    return given[:_STEPS_BEFORE_CHAOS] if "norm" in functions else given


def against_reference(plan: Plan) -> list[Table]:
    """Make the tables of every cell in the registry against the eager reference."""
    wanted = {"inference": Target(mean=5), "training": Target(mean=7)}
    grid = [(cell, shape) for shape in plan.sizes.cells for cell in gatework.CELLS]
    return [
        Table(
            "every cell of the registry against the eager reference",
            mode,
            target,
            {f"{cell} {label_of(shape)}": partial(_reference_pair, plan, cell, mode, shape) for cell, shape in grid},
        )
        for mode, target in wanted.items()
    ]


# --- JAX


def _jax_pair(plan: Plan, mode: str, shape: Shape) -> Pair:
    layer = recurrent(plan, "peephole", shape[2])
    given, state = random_input(shape, shape[2]), random_state(shape, 2)
    make = jax_peer.jax_training if mode == "training" else jax_peer.jax_inference
    theirs = make(layer, given, state)
    return Pair(label_of(shape), MODES[mode](over_sequence("gatework", layer, given, state)), theirs)


def against_jax(plan: Plan) -> list[Table]:
    """Make the tables of the LSTM with peepholes against JAX."""
    return [
        Table(
            "the LSTM with peepholes against jitted JAX, lax.scan",
            mode,
            Target(mean=2.5),
            {label_of(shape): partial(_jax_pair, plan, mode, shape) for shape in plan.sizes.shapes},
            missing=jax_peer.MISSING,
        )
        for mode in MODES
    ]


# --- torchrecurrent


def _torchrecurrent_pair(plan: Plan, cell: str, mode: str, shape: Shape) -> Pair:
    layer = recurrent(plan, cell, shape[2])
    given, state = random_input(shape, shape[2]), random_state(shape, len(layer.cell.states))
    ours = replace(over_sequence("gatework", layer, given, state), gradients=lambda: gradients_by_name(layer))
    ours, theirs = MODES[mode](ours), MODES[mode](torchrecurrent_peer.theirs(cell, layer, given, state))
    return Pair(f"{cell} {label_of(shape)}", ours, theirs)


def against_torchrecurrent(plan: Plan) -> list[Table]:
    """Make the tables of the cells that torchrecurrent has too."""
    wanted = {"inference": Target(mean=5), "training": Target(mean=6)}
    grid = [(cell, shape) for cell in torchrecurrent_peer.SHARED for shape in plan.sizes.shapes]
    return [
        Table(
            "shared cells against torchrecurrent",
            mode,
            target,
            {
                f"{cell} {label_of(shape)}": partial(_torchrecurrent_pair, plan, cell, mode, shape)
                for cell, shape in grid
            },
            missing=torchrecurrent_peer.MISSING,
            remarks=tuple(
                f"left out, for the equations differ: {k}: {v}" for k, v in torchrecurrent_peer.DIFFERENT.items()
            ),
        )
        for mode, target in wanted.items()
    ]


# --- ragged lengths


def _ragged_sides(plan: Plan, shape: Shape, is_packed: bool) -> tuple[Network, Network]:
    rows, longest, units = shape
    torch.manual_seed(0)
    theirs = nn.LSTM(units, units)
    ours = twin_of(theirs, drop_in(plan, "LSTM", units))
    generator = torch.Generator().manual_seed(6)
    lengths = torch.randint(longest // 10, longest + 1, (rows,), generator=generator)
    given = random_input(shape, units)[: int(lengths.max())]
    if is_packed:
        return _over_packed("gatework.LSTM", ours, given, lengths), _over_packed(
            "torch.nn.LSTM", theirs, given, lengths
        )
    left, right = given.clone(), given.clone()

    def unpadded() -> tuple[Tensor, Any]:
        output, state = theirs(pack_padded_sequence(right, lengths, enforce_sorted=False))
        return pad_packed_sequence(output)[0], state

    return (
        Network("gatework.LSTM", ours, lambda: ours(left, lengths=lengths), {"input": left}),
        Network("torch.nn.LSTM", theirs, unpadded, {"input": right}),
    )


def _over_packed(name: str, module: nn.Module, given: Tensor, lengths: Tensor) -> Network:
    packed = pack_padded_sequence(given, lengths, enforce_sorted=False)
    leaf = packed.data.clone()
    own = PackedSequence(leaf, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)
    return Network(name, module, lambda: module(own), {"input": leaf})


def _ragged_pair(plan: Plan, mode: str, is_packed: bool, label: str) -> Pair:
    ours, theirs = map(MODES[mode], _ragged_sides(plan, plan.sizes.ragged, is_packed))
    return Pair(label, ours, theirs)


def ragged(plan: Plan) -> list[Table]:
    """Make the tables of sequences of many lengths, packed before the call or in it."""
    rows, longest, units = plan.sizes.ragged
    forms = {
        f"packed {label_of(plan.sizes.ragged)}": True,
        f"padded, with lengths {label_of(plan.sizes.ragged)}": False,
    }
    title = f"gatework.LSTM against torch.nn.LSTM, {rows} lengths from {longest // 10} to {longest}, H = {units}"
    return [
        Table(
            title,
            mode,
            Target(mean=3.5),
            {label: partial(_ragged_pair, plan, mode, is_packed, label) for label, is_packed in forms.items()},
        )
        for mode in MODES
    ]


# --- one step at a time


def _stream_pair(plan: Plan, units: int, threads: int, form: str, label: str) -> Pair:
    layer = recurrent(plan, "lstm", units).eval()
    given = random_input((1, 20, units), units)  # [T, 1, I]
    feeds = [one[None].numpy() for one in given]

    def numbers(step: Callable[[Any], Any], sequence: Any) -> dict[str, Tensor]:
        with torch.no_grad():
            outputs = (torch.as_tensor(step(one)).clone() for one in sequence)  # the memory may be used again
            return {f"step {place}": output.flatten() for place, output in enumerate(outputs)}

    def ours() -> Contestant:
        step, first = layer.stream().step, given[0]
        return Contestant("gatework", lambda: step(first), partial(numbers, layer.stream().step, given))

    def theirs() -> Contestant:
        kind, first = onnx_peer.FORMS[form], feeds[0]
        step, fresh = kind(layer, threads).step, kind(layer, threads).step
        return Contestant("ONNX Runtime", lambda: step(first), partial(numbers, fresh, feeds))

    return Pair(label, ours(), theirs())


def streaming(plan: Plan) -> list[Table]:
    """Make the table of single steps, against sessions of one thread and of all, in every form."""
    grid = {
        f"H = {units}, {form}, its threads: {threads}": (units, threads, form)
        for units in plan.sizes.streaming
        for form in onnx_peer.FORMS
        for threads in dict.fromkeys((1, plan.threads))
    }
    entries = {label: partial(_stream_pair, plan, *row, label) for label, row in grid.items()}
    title = "one step of an LSTM, B = 1, against ONNX Runtime"
    return [Table(title, "streaming", Target(least=1), entries, missing=onnx_peer.MISSING)]


# --- against ourselves and the machine


def _share_pair(plan: Plan, mode: str, shape: Shape) -> Pair:
    ours, judge = map(MODES[mode], _torch_sides(plan, "LSTM", shape))
    peak, rounds = Peak(plan.threads), plan.sizes.peak_rounds
    loop = Contestant("multiply-adds alone", lambda: peak.run(rounds), dict)
    return Pair(label_of(shape), ours, loop, judge, lstm_flops(shape, mode), peak.flops(rounds))


def share(plan: Plan) -> list[Table]:
    """Make the tables of the share of the machine's peak that an LSTM reaches."""
    wanted = {"inference": 0.88, "training": 0.75}
    return [
        Table(
            "gatework.LSTM against the machine's multiply-adds, measured turn by turn",
            mode,
            Target("of the peak", least=least, of_rate=True),
            {label_of(plan.sizes.share): partial(_share_pair, plan, mode, plan.sizes.share)},
            missing=PEAK_MISSING,
        )
        for mode, least in wanted.items()
    ]


_SINGLE_OPTIONS: Mapping[str, dict[str, Any]] = {
    "peephole": {"peephole": "ifo"},
    "coupled": {"coupled": True},
    "layer norm": {"layer_norm": True},
    "zoneout": {"zoneout": 0.1},
    "recurrent dropout": {"recurrent_dropout": 0.1},
}
_OPTIONS = {**_SINGLE_OPTIONS, "all together": {k: v for one in _SINGLE_OPTIONS.values() for k, v in one.items()}}


def _option_pair(plan: Plan, option: str, mode: str, shape: Shape) -> Pair:
    units = shape[2]
    judge = drop_in(replace(plan, backend="reference"), "LSTM", units, **_OPTIONS[option])
    ours = twin_of(judge, drop_in(plan, "LSTM", units, **_OPTIONS[option]))
    given, state = random_input(shape, units), random_state(shape, 2)
    plain = drop_in(plan, "LSTM", units)
    compared = _before_chaos(judge, given)
    timed = MODES[mode](over_sequence("with it", ours, given, state))
    return Pair(
        option,
        replace(timed, numbers=MODES[mode](over_sequence("with it", ours, compared, state)).numbers),
        MODES[mode](over_sequence("plain", plain, given, state)),
        judge=MODES[mode](over_sequence("the reference", judge, compared, state)),
        exact=lambda: MODES[mode](in_double(judge, compared, state)).numbers(),
    )


def options(plan: Plan) -> list[Table]:
    """Make the tables of what an option costs; its numbers are held against the reference with the same masks."""
    wanted = {"inference": 1.3, "training": 1.5}
    shape = plan.sizes.options
    return [
        Table(
            f"options of gatework.LSTM against the plain one, {label_of(shape)}",
            mode,
            Target("times the time", most=most),
            {option: partial(_option_pair, plan, option, mode, shape) for option in _OPTIONS},
        )
        for mode, most in wanted.items()
    ]


_OF_LSTM = {"inference": Target(mean=1.2, least=1), "training": Target(mean=1.5, least=1)}
_OF_OTHERS = dict.fromkeys(MODES, Target(mean=3))
TABLES: Mapping[str, Callable[[Plan], list[Table]]] = {
    "lstm": lambda plan: against_torch(plan, "LSTM", _OF_LSTM),
    "gru": lambda plan: against_torch(plan, "GRU", _OF_OTHERS),
    "rnn": lambda plan: against_torch(plan, "RNN", _OF_OTHERS),
    "reference": against_reference,
    "jax": against_jax,
    "torchrecurrent": against_torchrecurrent,
    "ragged": ragged,
    "streaming": streaming,
    "share": share,
    "options": options,
    "attention": attention,
    "stacks": stacks,
}
