"""The slow, plain meaning of a Step, written once more and independently of the kernels: float64, one vector a name.

What has a value at each position of a memory has one row for each, [L, size].
"""

import torch
from torch import Tensor

from gatework.language import FUNCTIONS, Apply, Name, Number, Outer, Product, Step
from gatework.language.functions import NORM_EPSILON
from gatework.language.nodes import Node

_PLAIN = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "neg": lambda a: -a,
    "sigmoid": lambda a: 1 / (1 + torch.exp(-a)),
    "relu": lambda a: torch.where(a > 0, a, 0.0),
    "softplus": lambda a: torch.log1p(torch.exp(a)),
    "log_sigmoid": lambda a: -torch.log1p(torch.exp(-a)),
    "hard_sigmoid": lambda a: torch.clamp(a / 6 + 0.5, 0.0, 1.0),
    "gelu": lambda a: a * 0.5 * (1 + torch.erf(a / 2**0.5)),
    "where": lambda a, b, c: torch.where(a != 0, b, c),
    "greater": lambda a, b: (a > b).to(torch.float64),
    "mod": torch.remainder,
    "divides": lambda a, b: (torch.remainder(b, a) == 0).to(torch.float64),
    "mean": lambda a: a.mean() + 0 * a,
    "rstd": lambda a: 0 * a + 1 / torch.sqrt(((a - a.mean()) ** 2).mean() + NORM_EPSILON),
    "norm": lambda a: (a - a.mean()) / torch.sqrt(((a - a.mean()) ** 2).mean() + NORM_EPSILON),
    "match": lambda a, b: torch.stack([(row * b).sum() for row in a])[:, None],
    "weigh": lambda a, b: sum((number * row for number, row in zip(a, b, strict=True)), torch.zeros(b.shape[1])),
    "spread": lambda a, b: torch.stack([number * b for number in a]),
    "softmax": lambda a: torch.exp(a) / torch.exp(a).sum(),
    "total": lambda a: sum(a, torch.zeros(a.shape[1])),
    "exists": lambda a: torch.ones(len(a), 1, dtype=torch.float64),
    "place": lambda a: torch.arange(1.0, len(a) + 1, dtype=torch.float64)[:, None],
    "shift": lambda a, b: torch.stack(
        [a[at] if 0 <= (at := row - int(b)) < len(a) else 0 * a[0] for row in range(len(a))]
    ),
}


def full_matrix(stored: Tensor, structure: str, blocks: int) -> Tensor:
    """Write a structured matrix out with its zeros."""
    if structure == "dense":
        return stored
    rows = stored.shape[0]
    columns = stored.shape[1] * (blocks if structure == "block_diagonal" else 1)
    row, column = torch.arange(rows) * blocks // rows, torch.arange(columns) * blocks // columns
    if structure == "block_upper":
        return torch.where(row[:, None] <= column, stored, 0.0)
    return torch.where(row[:, None] == column, stored.repeat(1, blocks), 0.0)


def stored_matrix(full: Tensor, structure: str, blocks: int) -> Tensor:
    """Store a gradient the way its matrix is stored."""
    if structure == "block_diagonal":
        row = torch.arange(full.shape[0]) * blocks // full.shape[0]
        return torch.stack([line.view(blocks, -1)[block] for line, block in zip(full, row, strict=True)])
    return full_matrix(full, structure, blocks)


def evaluate_step(
    step: Step, size: int, inputs: dict[str, Tensor], state: dict[str, Tensor], weights: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Compute every line of one step for one sample; vectors [size] and matrices, all float64."""
    values: dict[str, Tensor] = {}

    def of(node: Node) -> Tensor:
        match node:
            case Number(value):
                return torch.tensor(value, dtype=torch.float64)
            case Name(name, previous):
                return state[name] if previous else next(t[name] for t in (values, inputs, weights) if name in t)
            case Product(matrix, operand, structure, blocks, transposed):
                full = full_matrix(weights[matrix], structure, blocks)
                full = full.T if transposed else full
                values_of = of(operand)
                return values_of @ full.T if values_of.dim() == 2 else full @ values_of.expand(full.shape[1])
            case Outer(left, right, structure, blocks):
                lefts, rights = (side if side.dim() == 2 else side[None] for side in (of(left), of(right)))
                pairs = zip(lefts.expand(len(rights), -1), rights.expand(len(lefts), -1), strict=True)
                return stored_matrix(torch.stack([torch.outer(*pair) for pair in pairs]).sum(0), structure, blocks)
            case Apply("period", (Number(blocks),)):
                return 2.0 ** (torch.arange(size) * int(blocks) // size).to(torch.float64)
            case Apply(function, arguments):
                compute = _PLAIN.get(function) or getattr(torch, FUNCTIONS[function].torch or "")
                return compute(*map(of, arguments))
        raise AssertionError(node)

    for equation in step.equations:
        if equation.target in step.draws:
            values[equation.target] = inputs[equation.target]
        else:
            values[equation.target] = of(equation.value)
    return values
