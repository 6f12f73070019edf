"""From text to nodes: the grammar, and one sentence for each way to break it.

Python's own ``ast`` reads the text, and every node of its tree is checked against a closed grammar. Nothing is ever
evaluated. :mod:`check` resolves the names afterwards.
"""

import ast
import keyword
import math
import re
from dataclasses import dataclass

from gatework.errors import EquationError, did_you_mean, printable
from gatework.language.functions import FUNCTIONS, MOST_BLOCKS, MOST_PERIODS, WRITABLE
from gatework.language.nodes import Apply, Equation, Name, Node, Number, Outer, Product


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits on the length of a text.

    Args:
        characters: The most characters.
        equations: The most lines that assign.
        depth: The most levels of an expression, and of nested parentheses.
        name: The most characters of a name.
    """

    characters: int
    equations: int
    depth: int
    name: int


WRITTEN = Limits(characters=20_000, equations=200, depth=60, name=40)
"""The limits of what a person may write."""

DERIVED = Limits(characters=400_000, equations=4_000, depth=180, name=120)
"""The limits of what the library prints and reads again: with spaces, ``prev``, and what options and probes add."""


_ALLOWED = re.compile(r"[A-Za-z0-9_+\-*/@().,= \t\n\\]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_STUCK = re.compile(
    r"(?<!\w)(?>0[xX][\da-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+"
    r"|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d[\d_]*)?[jJ]?)(?=[A-Za-z_])"
)
_INSTEAD = {
    "^": "write `x * x` for a square",
    "%": "write `mod(a, b)`",
    "<": "write `greater(b, a)`, which is 1 where a < b and 0 elsewhere",
    ">": "write `greater(a, b)`, which is 1 where a > b and 0 elsewhere",
    "⊙": "write `*` for an elementwise product",
    "∘": "write `*` for an elementwise product",
    "×": "write `*` for an elementwise product",
    "·": "write `*` for an elementwise product and `@` for a matrix product",
    "−": "write `-`, the plain minus sign",
    "σ": "write `sigmoid(...)`",
    "[": "a product such as `W @ x + R @ h` takes the place of a matrix on joined vectors",
    "'": "write `prev(c)` for last step's value",
}
_OPERATORS: dict[type[ast.operator], str] = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div"}
_STRUCTURES = ("block_diagonal", "block_upper")
NOT_NAMES = frozenset((*FUNCTIONS, *_STRUCTURES, "prev", "outer"))


def read(text: str, limits: Limits = WRITTEN) -> tuple[Equation, ...]:
    """Read equations, one per line, into nodes whose names are not resolved yet.

    Args:
        text: The equations. Lines may be indented freely and may continue inside parentheses.
        limits: The limits on the text.

    Returns:
        The equations in order. A name marked ``previous`` was written ``prev(name)``.

    Raises:
        EquationError: If the text is not in the grammar. The message shows the line and a caret.
    """
    if not isinstance(text, str):
        raise EquationError(
            f"The equations are given as {type(text).__name__}; expected text, one equation a line, such as "
            "'h = tanh(W @ x + R @ h + b)'."
        )
    if len(text) > limits.characters:
        raise EquationError(f"The equations have {len(text):,} characters; at most {limits.characters:,} are read.")
    _scan("\n".join(_stripped(text)), limits.depth)
    text = normalised(text)
    try:
        module = ast.parse(text)
    except SyntaxError as error:
        raise _syntax(error, text) from None
    except (RecursionError, MemoryError, ValueError):
        raise EquationError("The equations are nested too deeply to be read. Split them into several lines.") from None
    if not module.body:
        raise EquationError(
            "There are no equations in the text. Write one a line, such as `h = tanh(W @ x + R @ h + b)`."
        )
    if len(module.body) > limits.equations:
        raise EquationError(f"There are {len(module.body)} equations; at most {limits.equations} are read.")
    lines = text.split("\n")
    return tuple(_Reader(text, lines, limits).equation(statement) for statement in module.body)


def normalised(text: str) -> str:
    """Remove the indentation of every line, so that text inside indented code reads as it looks.

    Args:
        text: The equations as written.

    Returns:
        The same lines without space at either end. Their comments are printable, because many places show them.
    """
    parts = (line.partition("#") for line in _stripped(text))
    return "\n".join(f"{code}{mark}{printable(comment)}" for code, mark, comment in parts)


def _stripped(text: str) -> list[str]:
    return [line.strip() for line in re.split(r"\r\n|\r|\n", text)]


def _scan(text: str, most: int) -> None:
    """Refuse characters outside the language, and brackets nested too deeply, before anything is parsed."""
    for number, line in enumerate(text.split("\n"), start=1):
        code, _, comment = line.partition("#")
        for column, symbol in enumerate(code):
            if not _ALLOWED.match(symbol):
                hint = _INSTEAD.get(
                    symbol, "equations are made of names, numbers, + - * / @, parentheses and functions"
                )
                message = f"The symbol `{symbol}` is not part of the language; {hint}."
                raise EquationError(message, text=text, line=number, column=column)
        if "**" in code:
            message = "The symbol `**` is not part of the language; write `x * x` for a square."
            raise EquationError(message, text=text, line=number, column=code.index("**"))
        stuck = _STUCK.search(code)
        if stuck:  # Python would accept some, with a warning
            message = "A number runs into a name here; write `2 * x`, and names that begin with a letter."
            raise EquationError(message, text=text, line=number, column=stuck.start())
        half = _SURROGATE.search(comment)
        if half:
            message = "This character is no valid Unicode; leave it out of the comment."
            raise EquationError(message, text=text, line=number, column=len(code) + 1 + half.start())
    depth = 0
    for symbol in text:
        depth += (symbol == "(") - (symbol == ")")
        if depth > most:
            raise EquationError(f"Parentheses are nested more than {most} deep. Split the line into several.")


def _syntax(error: SyntaxError, text: str) -> EquationError:
    lines = text.split("\n")
    line = min(max(error.lineno or 1, 1), len(lines))
    column = max((error.offset or 1) - 1, 0)
    for word in re.finditer(r"[A-Za-z_]\w*", lines[line - 1].split("#", 1)[0]):
        if keyword.iskeyword(word[0]):
            message = (
                f"`{word[0]}` is a word of Python and cannot name a quantity; choose another, such as `{word[0]}_`."
            )
            return EquationError(message, text=text, line=line, column=word.start())
    message = f"This line cannot be read ({error.msg}); an equation looks like `f = sigmoid(W_f @ x + R_f @ h + b_f)`."
    return EquationError(message, text=text, line=line, column=column)


class _Reader:
    """Turns Python's syntax tree into nodes, or says where and why it is not in the grammar."""

    def __init__(self, text: str, lines: list[str], limits: Limits) -> None:
        self.text = text
        self.lines = lines
        self.limits = limits

    def fault(self, message: str, where: ast.AST) -> EquationError:
        line, column = _position(where)
        return EquationError(message, text=self.text, line=line, column=column)

    def equation(self, statement: ast.stmt) -> Equation:
        if not isinstance(statement, ast.Assign):
            raise self.fault("An equation has the form `name = expression`, and this line has not.", statement)
        target = statement.targets[0]
        if len(statement.targets) > 1 or not isinstance(target, ast.Name):
            raise self.fault("Left of `=` stands one name, such as `c = f * c + i * g`.", statement)
        if target.id in NOT_NAMES:
            raise self.fault(f"`{target.id}` is a function of the language and cannot name a quantity.", target)
        self.check_length(target.id, target)
        value = self.node(statement.value, 0)
        last = self.lines[(statement.end_lineno or statement.lineno) - 1]
        comment = last.split("#", 1)[1].strip() if "#" in last else ""
        return Equation(target.id, value, comment, statement.lineno)

    def check_length(self, name: str, where: ast.AST) -> None:
        if len(name) > self.limits.name:
            raise self.fault(f"This name has {len(name)} characters; at most {self.limits.name} are allowed.", where)

    def node(self, tree: ast.expr, depth: int) -> Node:
        if depth > self.limits.depth:
            raise self.fault(
                f"This expression is more than {self.limits.depth} levels deep; split it into several lines.", tree
            )
        at = _position(tree)
        match tree:
            case ast.Constant():
                return self.number(tree)
            case ast.Name(id=name):
                if name in NOT_NAMES:
                    raise self.fault(f"`{name}` is a function; write `{name}(...)` with what it applies to.", tree)
                self.check_length(name, tree)
                return Name(name, at=at)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                below = self.node(operand, depth + 1)
                return Number(-below.value, at) if isinstance(below, Number) else Apply("neg", (below,), at)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.node(operand, depth + 1)
            case ast.BinOp(op=ast.MatMult()):
                return self.product(tree, depth)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                return Apply(_OPERATORS[type(op)], (self.node(left, depth + 1), self.node(right, depth + 1)), at)
            case ast.Call():
                return self.call(tree, depth)
            case ast.Attribute(attr="T"):
                raise self.fault("A transposed matrix stands only left of `@`, as in `R.T @ d`.", tree)
            case ast.Tuple():
                raise self.fault("A comma stands only between the arguments of a function.", tree)
        raise self.fault("This is not part of the language: names, numbers, + - * / @ and functions are.", tree)

    def number(self, tree: ast.Constant) -> Number:
        value = tree.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.fault(f"`{value!r}` is no number of the language; write a decimal number such as 0.5.", tree)
        if (isinstance(value, int) and abs(value) > 2**53) or not math.isfinite(value):
            raise self.fault("This number is too large to be represented.", tree)
        return Number(float(value), _position(tree))

    def product(self, tree: ast.BinOp, depth: int) -> Product:
        """Read ``R @ h``, ``R.T @ d``, ``block_diagonal(R, 4) @ h`` and ``block_diagonal(R, 4).T @ d``."""
        left, transposed, structure, blocks = tree.left, False, "dense", 1
        if isinstance(left, ast.Attribute):
            if left.attr != "T":
                raise self.fault(f"`.{left.attr}` is not part of the language; `R.T` is the transposed matrix.", left)
            left, transposed = left.value, True
        if isinstance(left, ast.Call) and isinstance(left.func, ast.Name) and left.func.id in _STRUCTURES:
            structure = left.func.id
            if len(left.args) != 2 or left.keywords:
                raise self.fault(f"`{structure}` takes a matrix and a number of blocks: `{structure}(R, 4) @ h`.", left)
            blocks = self.count(left.args[1], structure, MOST_BLOCKS)
            left = left.args[0]
        if not isinstance(left, ast.Name) or left.id in NOT_NAMES:
            hint = " Weights need a name too: `a = softmax(score)`, then `a @ m`." if isinstance(left, ast.Call) else ""
            raise self.fault(
                "Left of `@` stands the name of a matrix; write `p * (W @ x)` for an elementwise factor and "
                f"`A @ (B @ x)` for two matrices.{hint}",
                left,
            )
        self.check_length(left.id, left)
        return Product(left.id, self.node(tree.right, depth + 1), structure, blocks, transposed, _position(left))

    def call(self, tree: ast.Call, depth: int) -> Node:
        if not isinstance(tree.func, ast.Name):
            raise self.fault("Only the functions of the language can be called.", tree)
        name, at = tree.func.id, _position(tree)
        if tree.keywords or any(isinstance(argument, ast.Starred) for argument in tree.args):
            raise self.fault(f"Arguments of `{name}` are written in order, without names or stars.", tree)
        if name == "prev":
            if len(tree.args) != 1 or not isinstance(tree.args[0], ast.Name):
                raise self.fault("`prev` takes the name of one state: `prev(c)` is last step's c.", tree)
            return Name(tree.args[0].id, True, _position(tree.args[0]))
        if name in _STRUCTURES and tree.args and isinstance(tree.args[0], ast.Call):
            return self.outer(tree, depth)
        if name == "outer":
            if len(tree.args) != 2:
                raise self.fault("`outer` takes two vectors: `outer(d, x)`.", tree)
            return Outer(self.node(tree.args[0], depth + 1), self.node(tree.args[1], depth + 1), at=at)
        if name in _STRUCTURES:
            raise self.fault(f"`{name}(R, n)` stands only left of `@`, as in `{name}(R, 4) @ h`.", tree)
        if name not in WRITABLE:
            choices = (*WRITABLE, "prev", *_STRUCTURES)
            raise self.fault(
                f"There is no function `{name}`.{did_you_mean(name, choices) or f' There are: {_list(choices)}.'}", tree
            )
        row = FUNCTIONS[name]
        if len(tree.args) != row.arity:
            raise self.fault(f"`{name}` takes {row.arity} argument{'s' * (row.arity > 1)}, not {len(tree.args)}.", tree)
        if name == "period":
            return Apply(name, (Number(float(self.count(tree.args[0], name, MOST_PERIODS))),), at)
        arguments = tuple(self.node(argument, depth + 1) for argument in tree.args)
        if name == "bernoulli":
            self.probability(arguments[0], tree)
        return Apply(name, arguments, at)

    def outer(self, tree: ast.Call, depth: int) -> Outer:
        """Read ``block_diagonal(outer(d, h), 4)``, the gradient of a structured matrix."""
        assert isinstance(tree.func, ast.Name)
        inner = self.node(tree.args[0], depth + 1)
        if not isinstance(inner, Outer) or len(tree.args) != 2:
            raise self.fault(f"`{tree.func.id}` takes a matrix and a number of blocks.", tree)
        blocks = self.count(tree.args[1], tree.func.id, MOST_BLOCKS)
        return Outer(inner.left, inner.right, tree.func.id, blocks, _position(tree))

    def count(self, tree: ast.expr, name: str, most: int) -> int:
        value = tree.value if isinstance(tree, ast.Constant) else None
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise self.fault(f"`{name}` needs a whole number of blocks from 1 to {most}.", tree)
        return value

    def probability(self, node: Node, tree: ast.Call) -> None:
        if not isinstance(node, Number) or not 0 <= node.value <= 1:
            raise self.fault("`bernoulli` needs a probability from 0 to 1, written as a number.", tree)


def _position(tree: ast.AST) -> tuple[int, int]:
    # Outside comments the text is ASCII, so the byte offsets of ast are columns.
    return (getattr(tree, "lineno", 0), getattr(tree, "col_offset", 0))


def _list(choices: tuple[str, ...]) -> str:
    return ", ".join(choices)
