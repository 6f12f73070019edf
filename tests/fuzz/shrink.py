"""Make what fails as small as it can be: fewer cases, fewer options, smaller sizes, a shorter text."""

import ast
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

from tests.fuzz.case import NAMES, Case, outer_inputs
from tests.fuzz.children import Outcome, Session, run
from tests.fuzz.grammar import fitted

_SIGNS: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_SIZES = (1, 2, 3, 4, 5, 8, 9, 16, 17)
_NOT_PLAIN = ("equations", "states", "inputs", "transforms", "input_size", "hidden_size", "call", "seed", "own_sizes")
_NOT_PLAIN += ("memories", "memory_size", "positions", "extents")


def shrink(session: Session, seconds: float = 40.0) -> tuple[Session, Outcome]:
    """Make a session smaller that ends in a finding.

    Args:
        session: The session.
        seconds: How long to try.

    Returns:
        A session with the same finding, and what became of it; as it was where nothing smaller does it.
    """
    best, outcome = session, run(session)
    wanted = outcome.finding
    if wanted is None:
        return best, outcome
    deadline = time.monotonic() + seconds
    best = replace(best, cases=best.cases[: len(outcome.verdicts)])
    again = True
    while again and time.monotonic() < deadline:
        again = False
        for smaller in _smaller(best):
            if time.monotonic() > deadline:
                break
            tried = run(smaller)
            if tried.finding is not None and tried.finding.key == wanted.key:
                best, outcome, again = replace(smaller, cases=smaller.cases[: len(tried.verdicts)]), tried, True
                break
    return best, outcome


def _smaller(session: Session) -> Iterator[Session]:
    """Yield sessions that are smaller in one thing, the most hopeful first."""
    cases = session.cases
    if len(cases) > 1:
        yield replace(session, cases=cases[-1:])
        for place in range(len(cases) - 1):
            yield replace(session, cases=cases[:place] + cases[place + 1 :])
    if session.fenced:
        yield replace(session, fenced=False)
    for change in _changes(cases[-1]):
        changed = tuple(fitted(change(case)) for case in cases)
        if changed != cases:
            yield replace(session, cases=changed)
    if len(cases) > 1:  # what differs between the cases is made smaller last
        for place, case in enumerate(cases):
            for change in _changes(case):
                one = fitted(change(case))
                if one != case:
                    yield replace(session, cases=(*cases[:place], one, *cases[place + 1 :]))


def _changes(case: Case) -> Iterator[Callable[[Case], Case]]:
    default = Case("")
    if case.transforms:
        yield lambda one: one.but(transforms=[])
        for place in range(len(case.transforms)):
            yield lambda one, place=place: one.but(transforms=one.transforms[:place] + one.transforms[place + 1 :])
    for name in NAMES:
        plain = name not in _NOT_PLAIN
        if plain and getattr(case, name) != getattr(default, name):
            yield lambda one, name=name: one.but(**{name: getattr(default, name)})
    for place in range(len(case.outputs)):
        yield lambda one, place=place: one.but(outputs=one.outputs[:place] + one.outputs[place + 1 :])
    if case.own_sizes:
        yield lambda one: _with_own_sizes(one, ())
    for entry in case.own_sizes:
        names = {name for other in case.own_sizes if other != entry for name in other.split("=")}
        yield lambda one, names=names: _with_own_sizes(one, names)
        for last in entry.split("=")[1:]:
            yield lambda one, last=last: _with_own_sizes(one, {*"=".join(one.own_sizes).split("=")} - {last})
    for text in texts(case.equations):
        yield lambda one, text=text: _with_text(one, text)
    if len(case.hidden_size) > 1:
        yield lambda one: one.but(hidden_size=one.hidden_size[:-1] or one.hidden_size)
    for size in _SIZES:
        if size < max(case.hidden_size):
            yield lambda one, size=size: replace(
                one,
                hidden_size=[size] * len(one.hidden_size),
                input_size=[size if given == one.hidden_size[0] else given for given in one.input_size],
            )
    for place, given in enumerate(case.input_size):
        for size in _SIZES:
            if size < given:
                yield lambda one, place=place, size=size: replace(
                    one, input_size=[*one.input_size[:place], size, *one.input_size[place + 1 :]]
                )
    for name, had in case.sizes.items():
        for size in _SIZES:
            if size < had:
                yield lambda one, name=name, size=size: one.but(sizes={**one.sizes, name: size})
    for place, (count, extents) in enumerate(zip(case.positions, case.extents, strict=True)):
        if extents is not None:
            yield lambda one, place=place: _with_positions(one, place, one.positions[place], None)
        for fewer in _SIZES:
            if fewer < count:
                most = None if extents is None else [min(one, fewer) for one in extents]
                yield lambda one, place=place, fewer=fewer, most=most: _with_positions(one, place, fewer, most)
    for name, had in case.memory_size.items():
        if had > 1:
            yield lambda one, name=name: one.but(memory_size={**one.memory_size, name: 1})
    for steps in (1, 2, 3):
        if steps < case.steps:
            yield lambda one, steps=steps: replace(
                one,
                steps=steps,
                lengths=None if one.lengths is None else [min(length, steps) for length in one.lengths],
            )
    if case.rows > 1:
        yield lambda one: one.but(rows=1, lengths=None if one.lengths is None else one.lengths[:1])
        yield lambda one: one.but(rows=2, lengths=None if one.lengths is None else one.lengths[:2])
    if case.seed:
        yield lambda one: one.but(seed=0)


def _with_positions(case: Case, place: int, positions: int, extents: list[int] | None) -> Case:
    new = case.but(positions=list(case.positions), extents=list(case.extents))
    new.positions[place], new.extents[place] = positions, extents
    return new


def _with_text(case: Case, text: str) -> Case:
    """Give the case other equations, and drop the states, inputs, outputs and sizes that they lack."""
    lines = [line.split(" = ")[0] for line in text.split("\n")]
    states = case.states if case.states is None else [name for name in case.states if name in lines]
    names = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    kept = [name for name in case.inputs if name in names]
    had = dict(zip(outer_inputs(case.inputs, case.states or ()), case.input_size, strict=False))
    # An input from below whose state is gone is an input like others.
    sizes = [had.get(name, case.hidden_size[0]) for name in outer_inputs(kept, states or ())]
    outputs = [name for name in case.outputs if name in lines]
    new = case.but(equations=text, states=states, inputs=kept or ["x"], outputs=outputs)
    return _with_memories(_with_own_sizes(new.but(input_size=sizes or case.input_size[:1]), names), names)


def _with_memories(case: Case, names: Collection[str]) -> Case:
    """Keep those of the banks that any of these names is."""
    kept = [[name for name in entry.split("=") if name in names] for entry in case.memories]
    left = [place for place, entry in enumerate(kept) if entry]
    return case.but(
        memories=["=".join(kept[place]) for place in left],
        positions=[case.positions[place] for place in left],
        extents=[case.extents[place] for place in left],
    )


def _with_own_sizes(case: Case, names: Collection[str]) -> Case:
    """Keep those of the cell's own sizes that any of these names has."""
    entries, sizes = [], {}
    for entry in case.own_sizes:
        first, *_ = had = entry.split("=")
        left = [name for name in had if name in names]
        if left:
            entries.append("=".join(left))
            sizes |= {left[0]: case.sizes[first]} if first in case.sizes else {}
    return case.but(own_sizes=entries, sizes=sizes)


def texts(equations: str) -> Iterator[str]:
    """Yield shorter texts: without a line, with a line put where it is read, with an expression less."""
    lines = equations.split("\n")
    for place, line in enumerate(lines):
        name, value = line.split(" = ", 1)
        rest = lines[:place] + lines[place + 1 :]
        if rest:
            yield "\n".join(rest)
            if not value.startswith("bernoulli"):
                yield "\n".join(_put(other, name, value) for other in rest)
    for place, line in enumerate(lines):
        name, value = line.split(" = ", 1)
        for shorter in sorted(set(_shorter(ast.parse(value, mode="eval").body)), key=len):
            yield "\n".join([*lines[:place], f"{name} = {shorter}", *lines[place + 1 :]])


def _put(line: str, name: str, value: str) -> str:
    class Put(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.AST:
            return ast.parse(value, mode="eval").body if node.id == name else node

    target, right = line.split(" = ", 1)
    return f"{target} = {ast.unparse(Put().visit(ast.parse(right, mode='eval').body))}"


def _shorter(tree: ast.expr) -> Iterator[str]:
    """Yield the expression with one of its parts in the place of the whole, anywhere in it."""
    parts: list[ast.expr] = []
    if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.MatMult):
        parts = [tree.right]
        if not isinstance(tree.left, ast.Name):
            left = tree.left.value if isinstance(tree.left, ast.Attribute) else tree.left
            yield f"{ast.unparse(left)} @ {_bracketed(tree.right)}"
            if isinstance(left, ast.Call):
                yield f"{ast.unparse(left.args[0])} @ {_bracketed(tree.right)}"
        for below in _shorter(tree.right):
            yield f"{ast.unparse(tree.left)} @ ({below})"
    elif isinstance(tree, ast.BinOp):
        parts = [tree.left, tree.right]
        sign = _SIGNS[type(tree.op)]
        for below in _shorter(tree.left):
            yield f"({below}) {sign} {_bracketed(tree.right)}"
        for below in _shorter(tree.right):
            yield f"{_bracketed(tree.left)} {sign} ({below})"
    elif isinstance(tree, ast.UnaryOp):
        parts = [tree.operand]
        for below in _shorter(tree.operand):
            yield f"-({below})"
    elif isinstance(tree, ast.Call) and ast.unparse(tree.func) not in ("prev", "bernoulli", "period"):
        parts = list(tree.args)
        for place, argument in enumerate(tree.args):
            for below in _shorter(argument):
                others = [ast.unparse(one) for one in tree.args]
                yield f"{ast.unparse(tree.func)}({', '.join([*others[:place], below, *others[place + 1 :]])})"
    for part in parts:
        yield ast.unparse(part)


def _bracketed(tree: ast.expr) -> str:
    return ast.unparse(tree) if isinstance(tree, ast.Name | ast.Call | ast.Constant) else f"({ast.unparse(tree)})"
