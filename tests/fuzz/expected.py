"""What a layer must give for a case, by the meaning of its equations."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from tests.fuzz.case import Case, comes_from_below, outer_inputs
from tests.fuzz.meaning import Doubts, Meaning, Noise, Run, written_out
from torch import Tensor

# How near a jump, how large and how small is too much for a type; and the largest relative error of a number in it.
WORTH = {"float64": (1e-9, 1e200, 1e-200, 2.3e-16), "float32": (2e-4, 1e25, 1e-30, 1.2e-7)}


@dataclass
class Given:
    """The numbers of a case, all in float64, and whether a gradient is wanted.

    Args:
        inputs: [T, B, size] each, zero in padding.
        state: For each layer and direction one tensor [B, size] for each state.
        weights: For each layer and direction the parameters by name; ``initial_<state>`` among them.
        maps: For each layer its learned maps, weight and bias, by name: ``in`` before the layer, ``gate`` of a
            highway, and the inputs from below for which a map of the stack's input stands.
        masks: For each layer and direction the drawn masks [T, B, size]; None in evaluation.
        reset: bool [T, B], or None.
        lengths: One for each row.
        banks: The banks by name, [B, L, size]; positions that a row does not have hold what its first one does.
        present: For each memory which positions rows have, bool [B, L].
    """

    inputs: list[Tensor]
    state: list[list[Tensor]]
    weights: list[dict[str, Tensor]]
    maps: list[dict[str, list[Tensor]]]
    masks: list[dict[str, Tensor]] | None
    reset: Tensor | None
    lengths: list[int]
    banks: dict[str, Tensor] = field(default_factory=dict)
    present: dict[str, Tensor] = field(default_factory=dict)

    def leaves(self, case: Case) -> dict[str, Tensor]:
        """Give everything that a gradient may reach, by name; what layers share, once."""
        directions = 2 if case.bidirectional else 1
        found = {f"input {place}": one for place, one in enumerate(self.inputs)}
        found |= {f"bank {name}": one for name, one in self.banks.items()}
        for place, (states, weights) in enumerate(zip(self.state, self.weights, strict=True)):
            found |= {f"state {number} of {place}": one for number, one in enumerate(states)}
            shared = case.owner(place // directions) != place // directions
            kept = [name for name in weights if not shared or name.startswith("initial_")]
            found |= {f"{name} of {place}": weights[name] for name in kept}
        for number, maps in enumerate(self.maps):
            if case.maps_owner(number) == number:
                named = ((f"map {key} {part} of {number}", one) for key in maps for part, one in enumerate(maps[key]))
                found |= dict(named)
        return found


@dataclass
class Found:
    """What comes out: of a run of the library, or of the meaning.

    Args:
        output: [T, B, size].
        state: For each layer and direction one tensor [B, size] for each state.
        records: For each layer and direction its quantities [T, B, size].
        grads: By the names of :meth:`Given.leaves`.
    """

    output: Tensor
    state: list[list[Tensor]]
    records: list[dict[str, Tensor]]
    grads: dict[str, Tensor] = field(default_factory=dict)

    def parts(self) -> dict[str, Tensor]:
        """Give every tensor by name."""
        found = {"output": self.output}
        for place, states in enumerate(self.state):
            found |= {f"last state {number} of {place}": one for number, one in enumerate(states)}
        for place, one in enumerate(self.records):
            found |= {f"record {name} of {place}": part for name, part in one.items()}
        return found | {f"gradient of {name}": one for name, one in self.grads.items()}


def numbers(seed: int, name: str, *shape: int) -> Tensor:
    """Draw numbers that a seed and a name decide, exact in float32."""
    place = sum(ord(letter) * 31**index for index, letter in enumerate(name)) % (1 << 31)
    generator = torch.Generator().manual_seed(seed * 7919 + place)
    return torch.randn(*shape, generator=generator, dtype=torch.float32).double()


def loss_of(
    case: Case, output: Tensor, state: list[list[Tensor]], records: Sequence[Mapping[str, Tensor]] = ()
) -> Tensor:
    """Weigh all that the loss of a case looks at; of records always all."""
    total = output.new_zeros(())
    for place, record in enumerate(records):
        for name, one in record.items():
            total = total + (one * numbers(case.seed, f"loss {name} {place}", *one.shape).to(one.dtype)).sum()
    if case.looks_at in ("both", "output"):
        total = total + (output * numbers(case.seed, "loss output", *output.shape).to(output.dtype)).sum()
    if case.looks_at in ("both", "state"):
        for place, states in enumerate(state):
            for number, one in enumerate(states):
                weight = numbers(case.seed, f"loss state {place} {number}", *one.shape)
                total = total + (one * weight.to(one.dtype)).sum()
    return total


def expected(
    case: Case, meaning: Meaning, given: Given, names: Sequence[Collection[str]], grads: bool, noise: Noise
) -> tuple[Found, Doubts]:
    """Evaluate a case.

    Args:
        case: The case.
        meaning: Its equations, as they are after all transformations.
        given: Its numbers.
        names: Quantities to record, for each layer and direction.
        grads: Whether gradients are wanted.
        noise: What every result is put off by.

    Returns:
        The results, and what makes them doubtful.

    Raises:
        Undefined: Where sizes do not fit.
    """
    doubts = Doubts(*WORTH[case.dtype][:3])
    leaves = {name: one.clone().requires_grad_(grads) for name, one in given.leaves(case).items()}
    outer = outer_inputs(meaning.inputs, meaning.states)
    below = {name: leaves[f"input {place}"] for place, name in enumerate(outer)}
    banks = {name: _only_there(leaves[f"bank {name}"], given.present[meaning.at[name]]) for name in given.banks}
    first, outside, run = outer[0], below[outer[0]], Run({}, noise, doubts)
    directions = 2 if case.bidirectional else 1
    found, passed = Found(torch.zeros(()), [], []), []
    for number, hidden in enumerate(case.hidden_size):
        before = below[first]
        maps = {
            key: [leaves[f"map {key} {part} of {case.maps_owner(number)}"] for part in range(len(parts))]
            for key, parts in given.maps[number].items()
        }
        if number and case.skip in ("in", "both"):
            below[first] = torch.cat([below[first], outside], -1)
        if "in" in maps:
            below[first] = _mapped(run, below[first], *maps["in"])
        below |= {key: _mapped(run, outside, *parts) for key, parts in maps.items() if key in meaning.inputs}
        outputs, kept = [], {}
        for direction in range(directions):
            place = len(found.state)
            owner = case.owner(number) * directions + direction
            weights = {
                name: leaves[f"{name} of {place if name.startswith('initial_') else owner}"]
                for name in given.weights[place]
            }
            states = [leaves[f"state {index} of {place}"] for index in range(len(meaning.states))]
            if not case.given_state:  # what is learned is the first state
                learned = [weights.get(f"initial_{name}") for name in meaning.states]
                states = [
                    one if value is None else value.expand(one.shape)
                    for one, value in zip(states, learned, strict=True)
                ]
            masks = None if given.masks is None else given.masks[place]
            values, last = _run(
                case, meaning, given, below, weights, states, masks, hidden, direction == 1, noise, doubts, banks
            )
            outputs.append(values[meaning.states[0]])
            found.state.append(last)
            found.records.append({name: values[name] for name in names[place]} if names else {})
            kept = kept or values
        below |= {f"{state}_below": kept[state] for state in meaning.states}
        passed.append(torch.cat(outputs, -1))
        if number and case.connection == "residual":
            passed[-1] = run.note(passed[-1] + before)
        if number and case.connection == "highway":
            gate = run.note(torch.sigmoid(_mapped(run, before, *maps["gate"])))
            passed[-1] = run.note(run.note(gate * passed[-1]) + run.note(run.note(1 - gate) * before))
        if not comes_from_below(first, meaning.states[1:]):
            below[first] = passed[-1]
    found.output = torch.cat(passed, -1) if case.skip in ("out", "both") else passed[-1]
    if grads:
        total = loss_of(case, found.output, found.state, found.records if case.call == "deliver" else ())
        wanted = (
            torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
            if total.requires_grad
            else [None] * len(leaves)
        )
        found.grads = {
            name: torch.zeros_like(leaf) if grad is None else grad
            for (name, leaf), grad in zip(leaves.items(), wanted, strict=True)
        }
    return found, doubts


def _only_there(bank: Tensor, present: Tensor) -> Tensor:
    """Let positions that a row does not have hold its first one, without a gradient."""
    return torch.where(present[..., None], bank, bank[:, :1].detach())


def _zero_beyond(values: Tensor, present: Tensor | None) -> Tensor:
    return values if present is None else torch.where(present[..., None], values, 0.0)


def _mapped(run: Run, value: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Apply a learned map, [..., columns] to [..., rows]."""
    sums = run.note(run.noise(weight * value.unsqueeze(-2)).sum(-1))
    return sums if bias is None else run.note(sums + bias)


def _run(
    case: Case,
    meaning: Meaning,
    given: Given,
    below: Mapping[str, Tensor],
    weights: dict[str, Tensor],
    state: list[Tensor],
    masks: Mapping[str, Tensor] | None,
    hidden: int,
    reverse: bool,
    noise: Noise,
    doubts: Doubts,
    banks: Mapping[str, Tensor],
) -> tuple[dict[str, Tensor], list[Tensor]]:
    """Run one layer in one direction: every quantity [T, B, size], and the last states."""
    steps, rows = given.inputs[0].shape[:2]
    initial = [weights.get(f"initial_{name}") for name in meaning.states]
    known = {name: one.shape[0] for name, one in weights.items() if one.dim() == 1 and name in meaning.vectors}
    known |= {name: below[name].shape[-1] for name in meaning.inputs if name in below}
    known |= {name: one.shape[-1] for name, one in banks.items()}
    known |= dict(zip(meaning.states, (one.shape[-1] for one in state), strict=True))
    known |= {f"{name}.own": case.sizes.get(name, hidden) for name in meaning.sized}
    written: dict[str, Tensor] = {name: weights[name] for name in meaning.vectors if name in weights}
    for name, (structure, blocks) in meaning.matrices.items():
        if name not in weights:  # it meets an input that the lowest layer has not
            continue
        full, kept = written_out(weights[name], structure, blocks)
        known |= {f"{name}.rows": full.shape[0], f"{name}.columns": full.shape[1]}
        written |= {name: full, f"{name}.kept": kept}
    sizes = meaning.sizes(known, hidden)
    for name in meaning.vectors:  # a bias that bias=False takes out is zero
        if name not in written:
            written[name] = torch.zeros(sizes[name], dtype=torch.float64)
    for name in meaning.matrices:
        if name not in written:
            shape = (sizes[f"{name}.rows"], sizes[f"{name}.columns"])
            written |= {
                name: torch.zeros(shape, dtype=torch.float64),
                f"{name}.kept": torch.ones(shape, dtype=torch.bool),
            }
    run = Run(sizes, noise, doubts)
    numbers_only = [name for name in meaning.at if meaning.is_number(name)]
    lengths = torch.tensor(given.lengths)
    fresh = [
        torch.zeros_like(one) if learned is None else learned.expand(rows, -1)
        for one, learned in zip(state, initial, strict=True)
    ]
    collected: dict[int, dict[str, Tensor]] = {}
    for time in range(steps)[::-1] if reverse else range(steps):
        if given.reset is not None:
            mark = time + 1 if reverse else time
            starts = given.reset[mark] & (mark < lengths) if mark < steps else torch.zeros(rows, dtype=torch.bool)
            state = [torch.where(starts[:, None], new, old) for new, old in zip(fresh, state, strict=True)]
        # Rows that are over are not computed, so that nothing of them can reach a gradient.
        active = torch.nonzero(time < lengths).squeeze(1)
        now = {name: below[name][time][active] for name in meaning.inputs if name in below}
        now |= {name: torch.zeros(len(active), sizes[name]).double() for name in meaning.inputs if name not in below}
        now |= {name: one[active] for name, one in banks.items()}
        run.present = {name: one[active] for name, one in given.present.items()}
        now |= {} if masks is None else {name: one[time][active] for name, one in masks.items()}
        held = {name: one[active] for name, one in zip(meaning.states, state, strict=True)}
        values = meaning.step(now, held, written, run)
        shown = {name: _zero_beyond(one, run.present.get(meaning.at.get(name, ""))) for name, one in values.items()}
        shown |= {name: shown[name].squeeze(-1) for name in numbers_only if name in shown}
        collected[time] = {
            name: torch.zeros(rows, *one.shape[1:]).double().index_copy(0, active, one) for name, one in shown.items()
        }
        state = [old.index_copy(0, active, values[name]) for name, old in zip(meaning.states, state, strict=True)]
    whole = {name: torch.stack([collected[time][name] for time in range(steps)]) for name in meaning.place}
    return whole, state
