"""What equations mean, written from the page of the language alone: no line here comes from the library.

The text is read by Python's own ``ast`` and evaluated with plain operations of torch in float64, one step after the
other; gradients are autograd's. It is slow, and simple enough to be believed.

Beside the values there is what they are worth. Evaluated again with ``noise``, every elementary result is off by a
random amount, forwards and backwards, and how far the results move says how far rounding may move them. ``Doubts``
collects what rounding decides: which side of a jump a value falls on, and what no number can hold.
"""

import ast
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from tests.fuzz.case import comes_from_below
from torch import Tensor

EPSILON = 1e-5  # added to a variance
_ONE = ".one"  # the size of one number at each position


class Undefined(Exception):
    """Equations to which the page of the language gives no meaning."""


@dataclass
class Doubts:
    """Why a result need not be the same number by number.

    Args:
        close: How near to a jump is too near, relative to what is compared.
        largest: Beyond this a number may be infinite in the type of the run.
        smallest: Below this a number may be zero in the type of the run.
    """

    close: float
    largest: float
    smallest: float
    found: set[str] = field(default_factory=set)

    def jump(self, left: Tensor, right: Tensor) -> None:
        """Note values that lie on one side of a jump by no more than rounding; exactly on it they are defined."""
        apart, size = (left - right).abs(), left.abs() + right.abs() + 1e-3
        if bool(((apart > 0) & (apart < self.close * size)).any()):
            self.found.add("jump")

    def angle(self, angle: Tensor) -> None:
        """Note angles whose rounding is a whole turn or more, so that their sine may be any."""
        size = angle.detach().abs()
        if bool((size[size.isfinite()] > 1e6).any()):  # noise of 1e-7 of them would be a good part of a turn
            self.found.add("folded")

    def value(self, value: Tensor) -> None:
        """Note numbers that the type of the run may not hold."""
        size = value.detach().abs()
        if not bool(size.isfinite().all()):
            self.found.add("not finite")
        elif bool((size > self.largest).any()):
            self.found.add("large")
        if bool(((size > 0) & (size < self.smallest)).any()):
            self.found.add("small")


class Noise:
    """Puts every elementary result off by a random part of it.

    Args:
        size: The largest part; 0 for none.
        seed: What the noise is drawn from.
    """

    def __init__(self, size: float = 0.0, seed: int = 0) -> None:
        self.size = size
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, value: Tensor) -> Tensor:
        if not self.size:
            return value
        return value * self._factors(value)

    def back(self, value: Tensor) -> Tensor:
        """Put off what comes back to one of an operation's arguments, as it is rounded by itself."""
        return _Back.apply(value, self) if self.size and value.requires_grad else value

    def _factors(self, value: Tensor) -> Tensor:
        drawn = torch.rand(value.shape, generator=self.generator, dtype=torch.float64)
        return 1 + self.size * (2 * drawn - 1)


class _Back(torch.autograd.Function):
    """Hand a value on, and put its gradient off."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, noise: Noise) -> Tensor:
        ctx.noise = noise
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0] * ctx.noise._factors(grads[0]), None


@dataclass(frozen=True)
class Line:
    """One equation: its name, the tree of its expression, and its place."""

    name: str
    tree: ast.expr
    place: int


class Meaning:
    """The equations of a cell.

    Args:
        text: One equation a line.
        states: Names carried from step to step, the output first; None for those read before their own line.
        inputs: Names given at every step.
        own_sizes: Names with sizes of their own; ``z=mu`` says that mu has the size of z.
        memories: Names of memories; ``m=k`` says that k is a bank at the positions of m.
    """

    def __init__(
        self,
        text: str,
        states: list[str] | None,
        inputs: list[str],
        own_sizes: Sequence[str] = (),
        memories: Sequence[str] = (),
    ) -> None:
        source = "\n".join(line.strip() for line in text.splitlines())
        self.lines: list[Line] = []
        for place, statement in enumerate(ast.parse(source).body):
            assert isinstance(statement, ast.Assign)
            assert isinstance(statement.targets[0], ast.Name)
            self.lines.append(Line(statement.targets[0].id, statement.value, place))
        self.place = {line.name: line.place for line in self.lines}
        self.inputs = list(inputs)
        self.states = self._early() if states is None else list(states)
        self.masks = {
            line.name: float(ast.literal_eval(line.tree.args[0]))
            for line in self.lines
            if isinstance(line.tree, ast.Call) and _called(line.tree) == "bernoulli"
        }
        self.banks = {name: entry.split("=")[0] for entry in memories for name in entry.split("=")}
        self.at = dict(self.banks)  # what has a value at each position of which memory
        for line in self.lines:
            memory = self._along(line.tree)
            if memory is not None:
                self.at[line.name] = memory
        self.matrices: dict[str, tuple[str, int]] = {}
        self.vectors: dict[str, bool] = {}  # whether it is only ever added
        self._above: dict[str, str] = {}
        for line in self.lines:
            self._collect(line.tree, None)
        for line in self.lines:
            size = self._size(line.tree)
            if size is None and line.name in self.at:  # nothing but places
                size = _ONE
            if size is not None:
                self._join(line.name, size)
        for name in inputs:
            if comes_from_below(name, self.states):
                self._join(name, name.removesuffix("_below"))
        self.sized = [entry.split("=")[0] for entry in own_sizes]
        for first, *others in (entry.split("=") for entry in own_sizes):
            for other in (*others, f"{first}.own"):
                self._join(first, other)

    @property
    def biases(self) -> set[str]:
        """Name the vectors that are only ever added."""
        return {name for name, added in self.vectors.items() if added}

    def _early(self) -> list[str]:
        early = {
            node.id
            for line in self.lines
            for node in ast.walk(line.tree)
            if isinstance(node, ast.Name) and self.place.get(node.id, -1) >= line.place
        }
        early |= {
            node.args[0].id
            for line in self.lines
            for node in ast.walk(line.tree)
            if isinstance(node, ast.Call) and _called(node) == "prev" and isinstance(node.args[0], ast.Name)
        }
        found = sorted(early & set(self.place), key=lambda name: (name != "h", self.place[name]))
        return found if "h" in found or "h" not in self.place else ["h", *found]

    def _along(self, tree: ast.expr) -> str | None:
        """Give the memory at whose positions an expression has values."""
        if isinstance(tree, ast.Name):
            return self.at.get(tree.id)
        if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.MatMult):
            below = self._along(tree.right)
            if isinstance(tree.left, ast.Name) and tree.left.id in self.at:  # numbers @ bank is a sum
                return None if below else self.at[tree.left.id]
            return below
        if isinstance(tree, ast.Call) and _called(tree) in ("weigh", "total"):
            return None
        parts = (below for below in ast.iter_child_nodes(tree) if isinstance(below, ast.expr))
        skipped = (tree.func,) if isinstance(tree, ast.Call) else ()
        return next((one for below in parts if below not in skipped and (one := self._along(below))), None)

    def is_number(self, name: str) -> bool:
        """Say whether a name has one number at each position."""
        return name in self.at and self.root(name) == self.root(_ONE)

    # --- what is learned, and what has one size

    def _collect(self, tree: ast.expr, parent: ast.expr | None) -> None:
        """Find matrices and learned vectors."""
        if self._is_sum_or_match(tree):
            assert isinstance(tree, ast.BinOp)
            self._collect(tree.right, tree)
        elif isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.MatMult):
            name, structure, blocks, _ = _matrix(tree.left)
            self.matrices[name] = (structure, blocks)
            self._collect(tree.right, tree)
        elif isinstance(tree, ast.Name):
            if tree.id not in self.place and tree.id not in self.inputs and tree.id not in self.banks:
                added = isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Add | ast.Sub)
                added |= isinstance(parent, ast.UnaryOp)
                self.vectors[tree.id] = self.vectors.get(tree.id, True) and added
        elif isinstance(tree, ast.Call):
            for argument in tree.args:
                self._collect(argument, tree)
        elif isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.UAdd):
            self._collect(tree.operand, parent)
        else:
            for below in ast.iter_child_nodes(tree):
                if isinstance(below, ast.expr):
                    self._collect(below, tree)

    def _is_sum_or_match(self, tree: ast.expr) -> bool:
        """Say whether the left of ``@`` is no matrix, but has values at positions."""
        if not isinstance(tree, ast.BinOp) or not isinstance(tree.op, ast.MatMult):
            return False
        return isinstance(tree.left, ast.Name) and tree.left.id in self.at

    def _positional(self, tree: ast.expr) -> tuple[str, list[ast.expr]] | None:
        """Give the function of a memory's positions that an expression is, and its arguments."""
        if self._is_sum_or_match(tree):
            assert isinstance(tree, ast.BinOp)
            return ("weigh" if self._along(tree.right) else "match"), [tree.left, tree.right]
        if isinstance(tree, ast.Call) and _called(tree) in _POSITIONAL:
            return _called(tree), tree.args
        return None

    def root(self, member: str) -> str:
        """Give the name that stands for all that has one size."""
        while self._above.setdefault(member, member) != member:
            member = self._above[member]
        return member

    def _join(self, left: str | None, right: str | None) -> str | None:
        if left is None or right is None:
            return left if right is None else right
        self._above[self.root(right)] = self.root(left)
        return self.root(left)

    def _size(self, tree: ast.expr) -> str | None:
        """Give the size of an expression; None for a plain number, which goes with any."""
        if isinstance(tree, ast.Constant):
            return None
        if isinstance(tree, ast.Name):
            return self.root(tree.id)
        if isinstance(tree, ast.UnaryOp):
            return self._size(tree.operand)
        positional = self._positional(tree)
        if positional is not None:
            name, arguments = positional
            held = [self._size(argument) for argument in arguments]
            # Places by themselves are one number at each position.
            held = [
                _ONE if size is None and self._along(one) else size for size, one in zip(held, arguments, strict=True)
            ]
            if name == "match":
                self._join(*held)
            elif name in ("weigh", "spread", "softmax"):
                self._join(held[0], _ONE)
            if name in ("match", "softmax", "exists"):
                return self.root(_ONE)
            return None if name == "place" else held[-1] if name in ("weigh", "spread") else held[0]
        if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.MatMult):
            name, structure, _, transposed = _matrix(tree.left)
            rows, columns = f"{name}.rows", f"{name}.columns"
            if structure == "block_upper":
                self._join(rows, columns)
            if transposed:
                rows, columns = columns, rows
            self._join(columns, self._size(tree.right))
            return self.root(rows)
        if isinstance(tree, ast.BinOp):
            return self._join(self._size(tree.left), self._size(tree.right))
        assert isinstance(tree, ast.Call)
        if _called(tree) == "bernoulli":
            return None
        if _called(tree) == "period":
            return self.root(_period(tree))
        size = None
        for argument in tree.args:
            size = self._join(size, self._size(argument))
        return size

    def sizes(self, known: Mapping[str, int], hidden: int) -> "Sizes":
        """Give every size.

        Args:
            known: The size of names, and of ``<matrix>.rows`` and ``<matrix>.columns``.
            hidden: The size of all else.

        Raises:
            Undefined: Where one thing would have two sizes.
        """
        found: dict[str, int] = {self.root(_ONE): 1} if self.banks else {}
        for member, size in known.items():
            root = self.root(member)
            if found.setdefault(root, size) != size:
                raise Undefined(f"{member} has the size {size}, and what it goes with {found[root]}")
        return Sizes(self, found, hidden)

    # --- values

    def step(
        self, given: Mapping[str, Tensor], state: Mapping[str, Tensor], weights: Mapping[str, Tensor], run: "Run"
    ) -> dict[str, Tensor]:
        """Compute every line of one step.

        Args:
            given: Inputs and drawn masks, [B, size].
            state: The states before it, [B, size].
            weights: Matrices written out with their zeros, and vectors.
            run: Sizes, noise and doubts.

        Returns:
            The value of every line, [B, size].
        """
        values: dict[str, Tensor] = {}
        rows = next(iter(state.values())).shape[0]
        for line in self.lines:
            if line.name in self.masks and line.name in given:
                values[line.name] = given[line.name]
                continue
            found = self._value(line.tree, line.place, values, given, state, weights, run)
            positions = (run.present[self.at[line.name]].shape[1],) if line.name in self.at else ()
            values[line.name] = found.expand(rows, *positions, run.sizes[line.name])
        return values

    def _value(
        self,
        tree: ast.expr,
        place: int,
        values: Mapping[str, Tensor],
        given: Mapping[str, Tensor],
        state: Mapping[str, Tensor],
        weights: Mapping[str, Tensor],
        run: "Run",
    ) -> Tensor:
        def of(below: ast.expr) -> Tensor:
            return self._value(below, place, values, given, state, weights, run)

        if isinstance(tree, ast.Constant):
            assert isinstance(tree.value, int | float)
            return torch.tensor(float(tree.value), dtype=torch.float64)
        if isinstance(tree, ast.Name):
            if tree.id in self.place:
                return values[tree.id] if self.place[tree.id] < place else state[tree.id]
            return given[tree.id] if tree.id in given else weights[tree.id]
        positional = self._positional(tree)
        if positional is not None:
            memory = self.at[tree.left.id] if isinstance(tree, ast.BinOp) and isinstance(tree.left, ast.Name) else None
            memory = memory or next(one for part in positional[1] if (one := self._along(part)))
            back = [run.noise.back(of(argument)) for argument in positional[1]]
            return run.note(_POSITIONAL[positional[0]](run, run.present[memory][..., None], *back))
        if isinstance(tree, ast.UnaryOp):
            return of(tree.operand) if isinstance(tree.op, ast.UAdd) else -of(tree.operand)
        if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.MatMult):
            name, _, _, transposed = _matrix(tree.left)
            matrix, vector = weights[name], of(tree.right)
            matrix = matrix.T if transposed else matrix
            kept = weights[f"{name}.kept"]
            kept = kept.T if transposed else kept
            vector = (
                vector.expand(*vector.shape[:-1], matrix.shape[1]) if vector.dim() else vector.expand(len(matrix.T))
            )
            # What a structure leaves out is left out: zero times infinity is no part of the sum.
            terms = torch.where(kept, matrix * torch.where(kept, vector.unsqueeze(-2), 0.0), 0.0)
            return run.note(run.noise(terms).sum(-1))
        if isinstance(tree, ast.BinOp):
            left, right = _meeting(run.noise.back(of(tree.left)), run.noise.back(of(tree.right)))
            match tree.op:
                case ast.Add():
                    return run.note(left + right)
                case ast.Sub():
                    return run.note(left - right)
                case ast.Mult():
                    return run.note(left * right)
                case ast.Div():
                    return run.note(left / right)
        assert isinstance(tree, ast.Call), ast.dump(tree)
        name = _called(tree)
        if name == "prev":
            assert isinstance(tree.args[0], ast.Name)
            return state[tree.args[0].id]
        if name == "period":
            size, parts = run.sizes[_period(tree)], int(ast.literal_eval(tree.args[0]))
            if size % parts:
                raise Undefined(f"{size} units cannot have {parts} equal parts")
            return 2.0 ** (torch.arange(size) // (size // parts)).double()
        if name == "bernoulli":
            return torch.tensor(float(ast.literal_eval(tree.args[0])), dtype=torch.float64)
        return run.note(_FUNCTIONS[name](run, *_meeting(*(run.noise.back(of(argument)) for argument in tree.args))))


class Sizes(Mapping[str, int]):
    """The size of every name."""

    def __init__(self, meaning: Meaning, found: dict[str, int], hidden: int) -> None:
        self._meaning, self._found, self._hidden = meaning, found, hidden

    def __getitem__(self, name: str) -> int:
        return self._found.get(self._meaning.root(name), self._hidden)

    def __iter__(self) -> Any:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


@dataclass
class Run:
    """What an evaluation carries along; ``present`` says which positions of a memory rows have, bool [B, L]."""

    sizes: Mapping[str, int]
    noise: Noise
    doubts: Doubts
    present: Mapping[str, Tensor] = field(default_factory=dict)

    def note(self, value: Tensor) -> Tensor:
        """Note what a result is worth, and put it off by the noise."""
        self.doubts.value(value)
        return self.noise(value)


def _meeting(*values: Tensor) -> list[Tensor]:
    """Let vectors of rows, [B, size], meet what rows have at positions, [B, L, size]."""
    most = max(value.dim() for value in values)
    return [value.unsqueeze(-2) if most == 3 and value.dim() == 2 else value for value in values]


def written_out(stored: Tensor, structure: str, blocks: int) -> tuple[Tensor, Tensor]:
    """Write a matrix out with its zeros, and say which numbers of it there are.

    Args:
        stored: As a layer stores it: a block-diagonal one as [rows, columns / blocks].
        structure: ``dense``, ``block_diagonal`` or ``block_upper``.
        blocks: The number of blocks.

    Raises:
        Undefined: Where the blocks do not divide the matrix.
    """
    rows, columns = stored.shape
    columns *= blocks if structure == "block_diagonal" else 1
    if structure == "dense":
        return stored, torch.ones(rows, columns, dtype=torch.bool)
    if rows % blocks or columns % blocks:
        raise Undefined(f"{blocks} blocks do not divide a matrix of {rows} by {columns}")
    row = (torch.arange(rows) // (rows // blocks))[:, None]
    column = (torch.arange(columns) // (columns // blocks))[None, :]
    if structure == "block_upper":
        return stored, row <= column
    return stored.repeat(1, blocks), row == column


def _matrix(tree: ast.expr) -> tuple[str, str, int, bool]:
    """Give name, structure, blocks and whether it is transposed, of what stands left of ``@``."""
    transposed = isinstance(tree, ast.Attribute)
    if isinstance(tree, ast.Attribute):
        tree = tree.value
    if isinstance(tree, ast.Call):
        assert isinstance(tree.args[0], ast.Name)
        return tree.args[0].id, _called(tree), int(ast.literal_eval(tree.args[1])), transposed
    assert isinstance(tree, ast.Name)
    return tree.id, "dense", 1, transposed


def _called(tree: ast.Call) -> str:
    assert isinstance(tree.func, ast.Name)
    return tree.func.id


def _period(tree: ast.Call) -> str:
    return f"period.{tree.lineno}.{tree.col_offset}"


def _mean(run: Run, a: Tensor) -> Tensor:
    return run.noise(a).mean(-1, keepdim=True).expand(a.shape)


def _rstd(run: Run, a: Tensor) -> Tensor:
    # The mean's own gradient is zero: what is apart from it adds up to nothing. A program may leave it out, and then
    # rounding does not cancel, so that noise is not to cancel either.
    mean = run.noise(a).mean(-1, keepdim=True)
    apart = run.noise(a - (mean.detach() if run.noise.size else mean))
    return (1 / torch.sqrt(run.noise(apart * apart).mean(-1, keepdim=True) + EPSILON)).expand(a.shape)


def _norm(run: Run, a: Tensor) -> Tensor:
    back = run.noise.back  # what comes back to the two factors nearly cancels, and each is rounded by itself
    return back(run.noise(back(a) - run.noise(a).mean(-1, keepdim=True))) * back(run.noise(_rstd(run, back(a))))


def _jump(compute: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Run, Tensor, Tensor], Tensor]:
    def apply(run: Run, a: Tensor, b: Tensor) -> Tensor:
        run.doubts.jump(a.detach(), b.detach())
        return compute(a, b)

    return apply


def _corner(compute: Callable[[Tensor], Tensor], *places: float) -> Callable[[Run, Tensor], Tensor]:
    def apply(run: Run, a: Tensor) -> Tensor:
        for place in places:
            run.doubts.jump(a.detach(), torch.tensor(place, dtype=torch.float64))
        return compute(a)

    return apply


def _hard_sigmoid(a: Tensor) -> Tensor:
    ends = torch.where(a > 0, 1.0, torch.where(a.isnan(), a, 0.0))
    return torch.where(a.abs() < 3, a / 6 + 0.5, ends)


def _root(run: Run, a: Tensor) -> Tensor:
    if bool((a == 0).any()):
        run.doubts.found.add("steep")
    return torch.sqrt(a)


def _mod(run: Run, a: Tensor, b: Tensor) -> Tensor:
    whole = a.detach() / b.detach()
    run.doubts.jump(whole, whole.round())
    return a - b * torch.floor(whole)


def _divides(run: Run, a: Tensor, b: Tensor) -> Tensor:
    whole = b.detach() / a.detach()
    run.doubts.jump(whole, whole.round())
    return (torch.fmod(b, a) == 0).double().detach()


def _where(run: Run, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    run.doubts.jump(a.detach(), torch.zeros((), dtype=torch.float64))
    return torch.where(a != 0, b, c)


def _saturating(
    compute: Callable[[Tensor], Tensor], slope: Callable[[Tensor], Tensor]
) -> Callable[[Run, Tensor], Tensor]:
    """Let noise reach a slope that is computed from the result, as every program computes it: 1 - y * y near y = 1."""

    def apply(run: Run, a: Tensor) -> Tensor:
        if not run.noise.size:
            return compute(a)
        finite = a.isfinite()  # NaN in one row says nothing about the noise of the others
        plain = torch.where(finite, a, torch.zeros_like(a))
        result = run.noise(compute(plain.detach()))
        return torch.where(finite, result + slope(result) * (plain - plain.detach()), compute(a))

    return apply


# --- what reads the positions of a memory: values are [B, L, size], and which positions there are is bool [B, L, 1]


def _there(present: Tensor, values: Tensor) -> Tensor:
    return torch.where(present, values, 0.0)


def _softmax(run: Run, present: Tensor, a: Tensor) -> Tensor:
    if not a.shape[1]:
        return a
    most = torch.where(present, a, -math.inf).detach().amax(-2, keepdim=True)
    apart = run.note(a - torch.where(present.any(-2, keepdim=True), most, 0.0))
    powers = run.note(_there(present, torch.exp(torch.where(present, apart, 0.0))))
    total = run.noise(powers).sum(-2, keepdim=True)
    return run.noise.back(powers) / torch.where(total == 0, 1.0, total)


def _match(run: Run, present: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return run.noise(a * _meeting(a, b)[1]).sum(-1, keepdim=True)


def _weigh(run: Run, present: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return run.noise(_there(present, a) * _there(present, b)).sum(-2)


def _shift(run: Run, present: Tensor, a: Tensor, by: Tensor) -> Tensor:
    count, kept = a.shape[1], _there(present, a)
    rows = [kept[:, place - int(by)] if 0 <= place - int(by) < count else 0 * a[:, 0] for place in range(count)]
    return torch.stack(rows, 1) if rows else a


_POSITIONAL: dict[str, Callable[..., Tensor]] = {
    "match": _match,
    "weigh": _weigh,
    "spread": lambda run, present, a, b: a * _meeting(a, b)[1],
    "softmax": _softmax,
    "total": lambda run, present, a: run.noise(_there(present, a)).sum(-2),
    "exists": lambda run, present, a: present.double(),
    "place": lambda run, present, a: torch.arange(1.0, a.shape[1] + 1).double()[None, :, None].expand(len(a), -1, 1),
    "shift": _shift,
}
_FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "sigmoid": _saturating(torch.sigmoid, lambda y: y * (1 - y)),
    "tanh": _saturating(torch.tanh, lambda y: 1 - y * y),
    "relu": _corner(torch.relu, 0.0),
    "exp": lambda run, a: torch.exp(a),
    "log": lambda run, a: torch.log(a),
    "sqrt": _root,
    "abs": _corner(torch.abs, 0.0),
    "sin": lambda run, a: (run.doubts.angle(a), torch.sin(a))[1],
    "cos": lambda run, a: (run.doubts.angle(a), torch.cos(a))[1],
    "erf": lambda run, a: torch.erf(a),
    "softplus": lambda run, a: torch.logaddexp(a, torch.zeros_like(a)),
    "log_sigmoid": lambda run, a: -torch.logaddexp(-a, torch.zeros_like(a)),
    "hard_sigmoid": _corner(_hard_sigmoid, -3.0, 3.0),
    "gelu": lambda run, a: a * run.noise(0.5 * (1 + run.noise(torch.erf(a / math.sqrt(2))))),
    "maximum": _jump(torch.maximum),
    "minimum": _jump(torch.minimum),
    "where": _where,
    "greater": _jump(lambda a, b: (a > b).double()),
    "sign": _corner(lambda a: torch.sign(a).detach(), 0.0),
    "mod": _mod,
    "divides": _divides,
    "mean": _mean,
    "rstd": _rstd,
    "norm": _norm,
}
