"""From nodes back to text: the printed text parses to the same nodes."""

from collections.abc import Mapping

from gatework.language.nodes import Apply, Equation, Name, Node, Number, Outer, Product, Step
from gatework.language.positions import BESIDE
from gatework.language.spelling import SPELLINGS, Strength, number


def show(step: Step) -> str:
    """Print the equations of a Step as text that parses back to the same Step.

    Args:
        step: The checked equations.

    Returns:
        One equation per line, with the comments in a column.

    Example:
        >>> from gatework.language import parse
        >>> print(show(parse("h=tanh(W@x+R@h+b) # state", states="h")))
        h = tanh(W @ x + R @ h + b)  # state
    """
    return show_equations(step.equations)


def show_equations(equations: tuple[Equation, ...]) -> str:
    """Print equations, one per line, with the comments in a column.

    Args:
        equations: Resolved equations.

    Returns:
        The text.
    """
    lines = {equation.target: index for index, equation in enumerate(equations)}
    texts = [
        f"{equation.target} = {_Printer(lines, index).text(equation.value)}" for index, equation in enumerate(equations)
    ]
    commented = [len(text) for text, equation in zip(texts, equations, strict=True) if equation.comment]
    width = max(commented, default=0)
    return "\n".join(
        f"{text:{width}}  # {equation.comment}" if equation.comment else text
        for text, equation in zip(texts, equations, strict=True)
    )


def show_node(node: Node) -> str:
    """Print one expression. Each of the previous step's values is written ``prev(name)``.

    Args:
        node: The expression.

    Returns:
        The text.
    """
    return _Printer({}, 0).text(node)


def show_within(node: Node, lines: Mapping[str, int], index: int) -> str:
    """Print one expression as in a line of equations. It writes ``prev`` only if the reading rule requires it.

    Args:
        node: The expression.
        lines: The index of the line of each name that has one.
        index: The index of the line that the expression stands in.

    Returns:
        The text.
    """
    return _Printer(lines, index).text(node)


class _Printer:
    """Prints the expressions of one line. It knows which names are the previous step's by the reading rule."""

    def __init__(self, lines: Mapping[str, int], index: int) -> None:
        self.lines = lines
        self.index = index

    def text(self, node: Node, least: Strength = Strength.NONE) -> str:
        """Print a node, in parentheses if it binds less tightly than its surroundings need."""
        text, strength = self.bare(node)
        return f"({text})" if strength < least else text

    def bare(self, node: Node) -> tuple[str, Strength]:
        if isinstance(node, Number):
            return number(node.value), Strength.SIGN if node.value < 0 else Strength.ATOM
        if isinstance(node, Name):
            if node.previous and self.lines.get(node.name, -1) < self.index:
                return f"prev({node.name})", Strength.ATOM
            return node.name, Strength.ATOM
        if isinstance(node, Product):
            matrix = node.matrix if node.structure == "dense" else f"{node.structure}({node.matrix}, {node.blocks})"
            return (
                f"{matrix}{'.T' if node.transposed else ''} @ {self.text(node.operand, Strength.SIGN)}",
                Strength.TERM,
            )
        if isinstance(node, Outer):
            text = f"outer({self.text(node.left)}, {self.text(node.right)})"
            return (text if node.structure == "dense" else f"{node.structure}({text}, {node.blocks})"), Strength.ATOM
        return self.applied(node)

    def applied(self, node: Apply) -> tuple[str, Strength]:
        if node.function in BESIDE and isinstance(node.arguments[0], Name):
            left, operand = self.text(node.arguments[0]), node.arguments[1]
            if left == node.arguments[0].name:  # left of `@` stands a name, and no `prev`
                return f"{left} @ {self.text(operand, Strength.SIGN)}", Strength.TERM
        spelling = SPELLINGS[node.function]
        strength = spelling.strength
        if strength == Strength.ATOM:
            return f"{spelling.text}({', '.join(self.text(argument) for argument in node.arguments)})", strength
        if strength == Strength.SIGN:
            # A minus sign and a constant would parse as one number, so the constant is put in parentheses.
            return f"{spelling.text}{self.text(node.arguments[0], strength)}", strength
        left, right = node.arguments
        # Operators group to the left, so an equally strong right side needs parentheses.
        return f"{self.text(left, strength)} {spelling.text} {self.text(right, Strength(strength + 1))}", strength
