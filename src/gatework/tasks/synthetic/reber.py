"""The Reber grammar: predict the next symbol of strings that are single, embedded, or continual."""

from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np
import torch
from numpy.typing import NDArray

from gatework.data.targets import IGNORED
from gatework.tasks.task import Batch, Gap, Published, Split, Success, Synthetic, Task

Numbers = NDArray[np.int64]
# Each node has two edges, taken with probability 1/2 each: a symbol, and the node that it leads to.
Ways = dict[str, tuple[tuple[str, str], tuple[str, str]]]

SYMBOLS = "BTSXPVE"
# How many times longer than in training the streams are that models are measured on: in the end as long as the paper's.
_LONGER: dict[Split, int] = {"train": 1, "valid": 10, "test": 100}
_1997 = "Hochreiter & Schmidhuber 1997, Neural Computation 9(8), section 5.1"
_2000 = (
    "Gers, Schmidhuber & Cummins 2000, Learning to forget: continual prediction with LSTM, "
    "Neural Computation 12(10), section 4"
)

# The diagram of Reber 1967, from figure 3 of the paper of 1997. If a node has only one edge, it is listed twice.
_REBER: Ways = {
    "start": (("B", "fork"), ("B", "fork")),
    "fork": (("T", "upper"), ("P", "lower")),
    "upper": (("S", "upper"), ("X", "bridge")),
    "lower": (("T", "lower"), ("V", "foot")),
    "bridge": (("X", "lower"), ("S", "last")),
    "foot": (("P", "bridge"), ("V", "last")),
    "last": (("E", "end"), ("E", "end")),
}


@dataclass(frozen=True)
class Grammar:
    """A grammar as tables over its nodes; node 0 is the start and the last node is the end.

    Args:
        symbols: The symbol of each edge ``[N, 2]``.
        follows: The node at the end of each edge ``[N, 2]``.
        stays: For each edge, the edge that replaces it as long as the string must continue ``[N, 2]``.
        legal: The legal symbols at each node ``[N, V]``, bool.
        before: The number of steps before the string whose length the gap limits.
    """

    symbols: Numbers
    follows: Numbers
    stays: Numbers
    legal: NDArray[np.bool_]
    before: int

    @property
    def end(self) -> int:
        """The node after the last symbol."""
        return len(self.symbols) - 1

    def held(self, gap: int) -> int:
        """Return the step before which a string must not start its last two symbols, to be as long as the gap."""
        return self.before + gap - 2


def _tables(ways: Ways, before: int) -> Grammar:
    """Number the nodes of a grammar in their order, with the end last."""
    number = {name: place for place, name in enumerate((*ways, "end"))}
    symbols = np.zeros((len(number), 2), dtype=np.int64)
    follows = np.full((len(number), 2), number["end"])  # from the end on nothing changes
    stays = np.tile(np.arange(2), (len(number), 1))
    legal = np.zeros((len(number), len(SYMBOLS)), dtype=bool)
    for name, both in ways.items():
        node = number[name]
        for side, (symbol, target) in enumerate(both):
            symbols[node, side] = SYMBOLS.index(symbol)
            follows[node, side] = number[target]
            legal[node, SYMBOLS.index(symbol)] = True
            if target.endswith("last"):
                stays[node, side] = 1 - side
    return Grammar(symbols, follows, stays, legal, before)


def _embed(inner: Ways) -> Ways:
    """Embed a grammar: B, then T or P, then a string of the grammar, then the same T or P again, then E."""
    ways: Ways = {"start": (("B", "choice"), ("B", "choice")), "choice": (("T", "T start"), ("P", "P start"))}
    for outer in "TP":
        for name, ((one, target), (other, second)) in inner.items():
            ways[f"{outer} {name}"] = ((one, f"{outer} {target}"), (other, f"{outer} {second}"))
        ways[f"{outer} end"] = ((outer, "close"), (outer, "close"))
    ways["close"] = (("E", "end"), ("E", "end"))
    return ways


_PLAIN = _tables(_REBER, before=0)
_EMBEDDED = _tables(_embed(_REBER), before=2)
# One string after the other: edges to the end lead to the beginning instead.
_STREAM = replace(_EMBEDDED, follows=np.where(_EMBEDDED.follows == _EMBEDDED.end, 0, _EMBEDDED.follows))


def _walk(rng: np.random.Generator, grammar: Grammar, size: int, steps: int, held: int) -> tuple[Numbers, Numbers]:
    """Follow ``size`` random paths until all are at the end, or for a given number of steps if that is not 0.

    Returns:
        The nodes ``[T + 1, B]``, and the symbols on the edges between them ``[T, B]``.
    """
    nodes, symbols = [np.zeros(size, dtype=np.int64)], []
    while len(symbols) < steps if steps else bool((nodes[-1] != grammar.end).any()):
        side = rng.integers(0, 2, size=size)
        if len(symbols) < held:
            side = grammar.stays[nodes[-1], side]
        symbols.append(grammar.symbols[nodes[-1], side])
        nodes.append(grammar.follows[nodes[-1], side])
    return np.stack(nodes), np.stack(symbols)


def _ask(grammar: Grammar, nodes: Numbers, symbols: Numbers) -> Batch:
    """Make each symbol except the first a target, predicted from those before it."""
    there = nodes[1:-1]
    targets = np.where(there == grammar.end, IGNORED, symbols[1:])
    return Batch(
        torch.from_numpy(symbols[:-1]), torch.from_numpy(targets), legal=torch.from_numpy(grammar.legal[there])
    )


def _strings(rng: np.random.Generator, grammar: Grammar, size: int, gap: int) -> Batch:
    nodes, symbols = _walk(rng, grammar, size, 0, grammar.held(gap))
    # The last symbol of a string is a target, but not an input.
    lengths = (nodes[1:-1] != grammar.end).sum(axis=0)
    return replace(_ask(grammar, nodes, symbols), lengths=torch.from_numpy(lengths))


def draw(rng: np.random.Generator, size: int, gap: int, split: Split) -> Batch:
    """Draw strings of the Reber grammar; the target is the next symbol, and all legal symbols count as correct.

    Args:
        rng: The random generator.
        size: The number of sequences B.
        gap: The least length of a string: until then, edges that would end the string too early are not taken.
        split: Not used.

    Returns:
        Inputs and targets ``[T, B]``, and the legal symbols ``[T, B, 7]``.
    """
    return _strings(rng, _PLAIN, size, gap)


def draw_embedded(rng: np.random.Generator, size: int, gap: int, split: Split) -> Batch:
    """Draw strings of the embedded Reber grammar; the target is the next symbol, and all legal symbols are correct.

    Args:
        rng: The random generator.
        size: The number of sequences B.
        gap: The least length of the inner string: until then, edges that would end the string too early are not taken.
        split: Not used.

    Returns:
        Inputs and targets ``[T, B]``, and the legal symbols ``[T, B, 7]``.
    """
    return _strings(rng, _EMBEDDED, size, gap)


def draw_stream(rng: np.random.Generator, size: int, gap: int, split: Split) -> Batch:
    """Draw streams of embedded Reber strings, with nothing between one and the next.

    Args:
        rng: The random generator.
        size: The number of streams B.
        gap: Steps T of a stream in training.
        split: For ``valid`` streams are ten times as long, for ``test`` a hundred times.

    Returns:
        Inputs and targets ``[T, B]``, and the legal symbols ``[T, B, 7]``.
    """
    return _ask(_STREAM, *_walk(rng, _STREAM, size, _LONGER[split] * gap + 1, 0))


def _always_the_same(grammar: Grammar, steps: int, held: int) -> dict[str, float]:
    """Return the best baseline with a constant answer, for each metric, exact up to 1e-12 of all strings."""
    rows = np.arange(len(grammar.symbols))[:, None]
    # The edges that are taken while strings must continue, and afterwards.
    sides = grammar.stays, np.broadcast_to(np.arange(2), grammar.stays.shape)
    moves = np.zeros((2, len(rows), len(rows)))
    for phase, side in enumerate(sides):
        np.add.at(moves[phase], (rows, grammar.follows[rows, side]), 0.5)
    # All strings at once: which part of them is at each node, step by step.
    spread, visits = np.eye(len(rows))[0], np.zeros((2, len(rows)))
    step = 0
    while step <= steps if steps else spread[:-1].sum() > 1e-12:
        phase = int(step >= held)
        if step:  # the first symbol is not a target
            visits[phase, :-1] += spread[:-1]
        spread = spread @ moves[phase]
        step += 1
    asked = np.zeros(len(SYMBOLS))
    for side, visited in zip(sides, visits, strict=True):
        np.add.at(asked, grammar.symbols[rows, side], visited[:, None] / 2)
    share = asked[asked > 0] / asked.sum()
    # An order of preference is correct if the legal symbols come first: one symbol, or two symbols in any order.
    there, places = visits.sum(axis=0), np.arange(len(SYMBOLS))
    right = [
        sum(there[(grammar.legal == np.isin(places, first)).all(axis=1)].sum() for first in (pair[:1], pair))
        for pair in permutations(range(len(SYMBOLS)), 2)
    ]
    return {"loss": float(-(share * np.log(share)).sum()), "accuracy": float(max(right) / there.sum())}


def guess(gap: int) -> dict[str, float]:
    """Return the best baseline with a constant answer, for each metric.

    Args:
        gap: The least length of a string.

    Returns:
        ``loss`` and ``accuracy``.
    """
    return _always_the_same(_PLAIN, 0, _PLAIN.held(gap))


def guess_embedded(gap: int) -> dict[str, float]:
    """Return the best baseline with a constant answer, for each metric.

    Args:
        gap: The least length of the string inside.

    Returns:
        ``loss`` and ``accuracy``.
    """
    return _always_the_same(_EMBEDDED, 0, _EMBEDDED.held(gap))


def guess_stream(gap: int) -> dict[str, float]:
    """Return the best baseline with a constant answer, for each metric, on evaluation streams.

    Args:
        gap: Steps of a stream in training.

    Returns:
        ``loss`` and ``accuracy``.
    """
    return _always_the_same(_STREAM, _LONGER["test"] * gap, 0)


_HELD = "; 5 leaves the grammar as it is"
_LENGTHENED = (
    "Strings are lengthened by never taking a way out too early; both symbols count as legal at such a place, as ever."
)

reber = Task(
    name="reber",
    foretells=True,
    title="Reber grammar",
    asks="Which symbols may come next, after each symbol of a string of the Reber grammar?",
    source=f"{_1997}, after Reber 1967 and Cleeremans, Servan-Schreiber & McClelland 1989",
    kind="choice",
    inputs=len(SYMBOLS),
    outputs=len(SYMBOLS),
    symbols=True,
    alphabet=tuple(SYMBOLS),
    classes=tuple(SYMBOLS),
    gap=Gap(5, f"least length of a string, in symbols{_HELD}", least=5),
    success=Success("solved", at_least=1.0, words="Every symbol that may come scores above all others, at every step."),
    chance=guess,
    examples=Synthetic(draw),
    defaults={"hidden_size": 16, "batch_size": 32, "learning_rate": 1e-2, "steps": 500},
    notes=f"{_LENGTHENED} No published figure is given here, because none was looked up.",
)

embedded_reber = Task(
    name="embedded_reber",
    foretells=True,
    title="Embedded Reber grammar",
    asks="Which symbols may come next, after each symbol of a string? The second symbol, T or P, is also the second "
    "last; between them is a string of the Reber grammar.",
    source=f"{_1997}, experiment 1",
    kind="choice",
    inputs=len(SYMBOLS),
    outputs=len(SYMBOLS),
    symbols=True,
    alphabet=tuple(SYMBOLS),
    classes=tuple(SYMBOLS),
    gap=Gap(5, f"least length of the string inside, in symbols{_HELD}", least=5),
    success=Success(
        "solved",
        at_least=1.0,
        words="Every symbol that may come scores above all others, at every step, as in the paper, which requires it "
        "for 256 training strings and 256 test strings.",
    ),
    chance=guess_embedded,
    published=(
        Published("RTRL, 3 units", "some trials succeed, after 173,000 strings", f"{_1997}, table 1"),
        Published("RTRL, 12 units", "some trials succeed, after 25,000 strings", f"{_1997}, table 1"),
        Published("Elman net, 15 units", "no trial succeeds within 200,000 strings", f"{_1997}, table 1"),
        Published("Recurrent cascade-correlation", "50 % succeed, after 182,000 strings", f"{_1997}, table 1"),
        Published("LSTM 1997, 4 blocks of 1 cell", "97 % succeed, after 9,500 strings", f"{_1997}, table 1"),
        Published("LSTM 1997, 3 blocks of 2 cells", "100 % succeed, after 8,440 strings", f"{_1997}, table 1"),
    ),
    examples=Synthetic(draw_embedded),
    defaults={"hidden_size": 32, "batch_size": 32, "learning_rate": 1e-2, "steps": 1000},
    notes=f"{_LENGTHENED} New strings are drawn for every step, instead of a fixed set of 256.",
)

continual_reber = Task(
    name="continual_reber",
    foretells=True,
    title="Continual embedded Reber grammar",
    asks="Which symbols may come next, after each symbol of an endless stream of embedded Reber strings, in which the "
    "ends of the strings are not marked?",
    source=f"{_2000}",
    kind="choice",
    inputs=len(SYMBOLS),
    outputs=len(SYMBOLS),
    symbols=True,
    alphabet=tuple(SYMBOLS),
    classes=tuple(SYMBOLS),
    gap=Gap(1000, "steps of a stream in training; models are measured on streams a hundred times as long", least=20),
    success=Success(
        "solved",
        at_least=1.0,
        words="No error in any of the streams; in the paper, in ten streams of 100,000 symbols.",
    ),
    chance=guess_stream,
    published=(
        Published("LSTM 1997", "no net of 100 learns it", f"{_2000}, table 2"),
        Published("LSTM 1997, state reset between strings", "74 % of nets learn it", f"{_2000}, table 2"),
        Published("LSTM with forget gates", "18 % of nets learn it", f"{_2000}, table 2"),
        Published("LSTM with forget gates, learning rate decaying", "62 % of nets learn it", f"{_2000}, table 2"),
    ),
    examples=Synthetic(draw_stream, windows=10, test_size=10),
    defaults={"hidden_size": 16, "batch_size": 16, "learning_rate": 1e-2, "steps": 1500},
    notes="The paper trains online and stops a stream at the first error. Here training uses whole streams, a tenth of "
    "a stream at a time.",
)
