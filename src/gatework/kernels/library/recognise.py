"""Recognise a step as one of torch's operators by the structure of its equations, whatever its names are."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from gatework.kernels.library.operators import OPERATORS, Operator
from gatework.kernels.library.polynomial import Atom, Monomial, Polynomial, TooLargeError, polynomials
from gatework.kernels.planning.normal import settled
from gatework.kernels.recent import Recent
from gatework.language.check import parse
from gatework.language.nodes import Apply, Step, walk

_MOST = 512
NOT_ONE = "the equations are not those of torch's LSTM, GRU or RNN"


@dataclass(frozen=True)
class Match:
    """A step that computes the same as one of torch's operators.

    Args:
        operator: The operator.
        weight_ih: The step's matrices on the input, one for each gate in torch's order.
        weight_hh: Its matrices on the output state, likewise.
        bias_ih: For each gate, the vectors whose sum is its first bias; there may be none.
        bias_hh: For each gate, the vectors whose sum is its second bias; there may be none.
    """

    operator: Operator
    weight_ih: tuple[str, ...]
    weight_hh: tuple[str, ...]
    bias_ih: tuple[tuple[str, ...], ...]
    bias_hh: tuple[tuple[str, ...], ...]

    @property
    def has_biases(self) -> bool:
        """Whether there is any bias."""
        return any((*self.bias_ih, *self.bias_hh))


_known: Recent[tuple[int, bool], tuple[Step, Match | str]] = Recent(_MOST)


def recognised(step: Step, drawn: bool) -> Match | str:
    """Find the operator that computes a step.

    Args:
        step: The checked equations.
        drawn: Whether masks are drawn.

    Returns:
        The match; if there is none, the reason as a clause.

    Example:
        >>> match = recognised(parse("s = tanh(d + A @ s + B @ x + e)"), drawn=False)
        >>> match.operator.name, match.weight_ih, match.weight_hh, match.bias_ih
        ('RNN_TANH', ('B',), ('A',), (('d', 'e'),))
        >>> recognised(parse("h = tanh(W @ x - R @ h + b)"), drawn=False)
        "the equations are not those of torch's LSTM, GRU or RNN"
    """
    # The key is an identity: hashing a step walks all its equations. The cache holds the step, so its id stays unique.
    key = (id(step), drawn and bool(step.draws))
    known = _known.get(key)
    if known is None:
        _known[key] = known = (step, _recognised(step, key[1]))
    return known[1]


def _recognised(step: Step, drawn: bool) -> Match | str:
    if drawn:
        return f"masks are drawn at every step ({', '.join(step.draws)}), and torch's operators draw none"
    plain = settled(step, False)
    try:
        written = polynomials(plain)
    except TooLargeError:
        return NOT_ONE
    for operator in OPERATORS.values():
        bindings = _bindings(operator, plain, written)
        if bindings is not None:
            return _match(operator, bindings)
    return _difference(plain)


def _difference(step: Step) -> str:
    """Say what a step has that none of torch's operators has."""
    if len(step.inputs) > 1:
        return f"the step has {len(step.inputs)} inputs ({', '.join(step.inputs)}), and torch's operators take one"
    nodes = [node for line in step.equations for node in walk(line.value)]
    functions = {node.function for node in nodes if isinstance(node, Apply)}
    if functions & {"norm", "mean", "rstd"}:
        return "the step has a normalisation or a mean over units, and torch's operators have none"
    structured = [one.name for one in step.parameters if one.structure != "dense"]
    if structured:
        return f"`{structured[0]}` is a matrix of blocks, and those of torch's operators are dense"
    projections = [one.name for one in step.parameters if one.role == "projection"]
    if projections:
        return f"`{projections[0]}` projects the output, which is left to the reference"
    gains = [one.name for one in step.parameters if one.role == "vector"]
    if gains:
        return f"`{gains[0]}` is a learned vector that is not only added, and torch's operators add theirs"
    return NOT_ONE


# --- matching


@cache
def _pattern(operator: Operator) -> dict[str, Polynomial]:
    """Return an operator's equations as polynomials."""
    return polynomials(parse(operator.equations, states=operator.states))


def _match(operator: Operator, names: "_Names") -> Match:
    """Bring the step's names for an operator's parameters into torch's order."""

    def one(letter: str) -> tuple[str, ...]:
        return tuple(names[f"{letter}_{gate}"][0] for gate in operator.gates)

    def several(letter: str) -> tuple[tuple[str, ...], ...]:
        return tuple(names.get(f"{letter}_{gate}", ()) for gate in operator.gates)

    return Match(operator, one("W"), one("R"), several("b"), several("c"))


_Names = Mapping[str, tuple[str, ...]]  # the pattern's name -> the step's names; a bias may have none or several


def _bindings(operator: Operator, step: Step, written: Mapping[str, Polynomial]) -> _Names | None:
    """Find the step's names for the parameters of an operator; None if the step is not this operator."""
    if len(step.states) != len(operator.states) or len(step.inputs) != 1:
        return None
    pattern = _pattern(operator)
    bindings: list[_Names] = [{"x": step.inputs} | {a: (b,) for a, b in zip(operator.states, step.states, strict=True)}]
    for own, other in zip(operator.states, step.states, strict=True):
        bindings = [names for before in bindings for names in _sums(pattern[own], written[other], before)]
    return bindings[0] if bindings else None


def _bound(names: _Names, name: str, value: tuple[str, ...]) -> Iterator[_Names]:
    """Bind a name, unless it has another value already."""
    if name not in names:
        yield {**names, name: value}
    elif names[name] == value:
        yield names


def _sums(pattern: Polynomial, other: Polynomial, names: _Names) -> Iterator[_Names]:
    """Match two polynomials: every term has its counterpart. But a bias may be missing, or be a sum of several."""
    own, own_biases = _parted(pattern)
    theirs, their_biases = _parted(other)
    if len(own) == len(theirs) and len(own_biases) >= len(their_biases):
        for bound in _terms(own, theirs, names):
            yield from _biases(list(own_biases.items()), their_biases, bound)


def _parted(polynomial: Polynomial) -> tuple[list[tuple[Monomial, float]], dict[Monomial, tuple[str, ...]]]:
    """Separate terms from biases. A bias is an added learned vector; biases are keyed by their other factors."""
    terms: list[tuple[Monomial, float]] = []
    biases: dict[Monomial, tuple[str, ...]] = {}
    for monomial, factor in polynomial:
        learned = [atom for atom, power in monomial if atom.kind == "vector" and power == 1]
        if len(learned) == 1 and factor == 1.0:
            rest = monomial - {(learned[0], 1)}
            biases[rest] = tuple(sorted((*biases.get(rest, ()), learned[0].name)))
        else:
            terms.append((monomial, factor))
    return terms, biases


def _terms(own: list[tuple[Monomial, float]], theirs: list[tuple[Monomial, float]], names: _Names) -> Iterator[_Names]:
    """Match terms in any order."""
    if not own:
        yield names
        return
    (monomial, factor), *left = own
    for place, (candidate, times) in enumerate(theirs):
        if factor == times:
            for bound in _products(list(monomial), list(candidate), names):
                yield from _terms(left, theirs[:place] + theirs[place + 1 :], bound)


def _biases(
    own: list[tuple[Monomial, tuple[str, ...]]], theirs: Mapping[Monomial, tuple[str, ...]], names: _Names
) -> Iterator[_Names]:
    """Match biases by their other factors; each bias of the pattern has one name."""
    if not own:
        if not theirs:
            yield names
        return
    (rest, (name,)), *left = own
    for candidate, vectors in theirs.items():
        for bound in _products(list(rest), list(candidate), names):
            for again in _bound(bound, name, vectors):
                yield from _biases(left, {key: one for key, one in theirs.items() if key != candidate}, again)
    for bound in _bound(names, name, ()):
        yield from _biases(left, theirs, bound)


def _products(own: list[tuple[Atom, int]], theirs: list[tuple[Atom, int]], names: _Names) -> Iterator[_Names]:
    """Match factors in any order."""
    if not own and not theirs:
        yield names
    if not own or len(own) != len(theirs):
        return
    (atom, power), *left = own
    for place, (candidate, times) in enumerate(theirs):
        if power == times and atom.kind == candidate.kind and len(atom.below) == len(candidate.below):
            for bound in _atoms(atom, candidate, names):
                yield from _products(left, theirs[:place] + theirs[place + 1 :], bound)


def _atoms(own: Atom, other: Atom, names: _Names) -> Iterator[_Names]:
    """Match two atoms of one kind."""
    bound = [names] if not own.name else list(_bound(names, own.name, (other.name,)))
    for part, counterpart in zip(own.below, other.below, strict=True):
        bound = [again for before in bound for again in _sums(part, counterpart, before)]
    yield from bound
