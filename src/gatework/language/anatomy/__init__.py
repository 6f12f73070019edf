"""What a cell consists of, read from its equations in one place.

Kernels, traces, pictures and the explorer's page ask the same questions about equations, and get the same answers here:

* of an expression: the addends of a sum, the factors of a product, what multiplies a name, what a definition says;
* of a line: the bounds of its value, and its role;
* of a state: what it keeps, what is written to it, which gates decide, and its line before a mask.
"""

from gatework.language.anatomy.expressions import (
    addends,
    factors,
    has_product,
    is_matrix,
    is_sum_of_products,
    mixes_units,
    separable,
    signed_addends,
    slope,
    written_out,
)
from gatework.language.anatomy.lines import (
    Bounds,
    Role,
    find_activations,
    find_bounds,
    find_roles,
)
from gatework.language.anatomy.masks import before_mask, origin, own_line
from gatework.language.anatomy.states import Gate, State, find_states, gate_biases

__all__ = [
    "Bounds",
    "Gate",
    "Role",
    "State",
    "addends",
    "before_mask",
    "factors",
    "find_activations",
    "find_bounds",
    "find_roles",
    "find_states",
    "gate_biases",
    "has_product",
    "is_matrix",
    "is_sum_of_products",
    "mixes_units",
    "origin",
    "own_line",
    "separable",
    "signed_addends",
    "slope",
    "written_out",
]
