"""The language of cells: equations as text, as checked nodes, as their gradient, and as text again.

Standard library only.
"""

from gatework.language.check import check, parse
from gatework.language.derive import derive
from gatework.language.folding import without
from gatework.language.functions import FUNCTIONS, Function
from gatework.language.latex import latex, latex_adjoint
from gatework.language.nodes import Apply, Equation, Name, Node, Number, Outer, Parameter, Product, Step
from gatework.language.show import show

__all__ = [
    "FUNCTIONS",
    "Apply",
    "Equation",
    "Function",
    "Name",
    "Node",
    "Number",
    "Outer",
    "Parameter",
    "Product",
    "Step",
    "check",
    "derive",
    "latex",
    "latex_adjoint",
    "parse",
    "show",
    "without",
]
