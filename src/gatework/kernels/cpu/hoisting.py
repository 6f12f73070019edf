"""Compute what memories alone decide, once for a call, by torch's operations: autograd sees it, and no kernel does."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from gatework.errors import KernelError
from gatework.kernels.call import Call
from gatework.kernels.planning.lowering import Lowered, NotLowered, lower
from gatework.kernels.recent import Recent
from gatework.kernels.reference import arithmetic, memories
from gatework.kernels.weights import Weights
from gatework.language.anatomy import written_out
from gatework.language.nodes import Apply, Name, Node, Number, Product, Step, along
from gatework.language.show import show_node


def refusal(step: Step, record: tuple[str, ...]) -> str | None:
    """Say why kernels cannot run a step with memories; None if they can."""
    told = _lowered(step, record)
    return told if isinstance(told, str) else None


def lowered_step(call: Call) -> Step:
    """Return the step that kernels run for a call: without what its memories alone decide."""
    return _known(call).step if call.step.memories else call.step


def hoisted_texts(call: Call) -> list[str]:
    """Write what is computed once for a call, as the equations do."""
    named = _known(call).banks if call.step.memories else ()
    return [show_node(node) for _, node in named]


def hoisted(call: Call) -> Call:
    """Return the call of the lowered step, with the banks that it reads.

    Raises:
        KernelError: If kernels cannot run the step.
    """
    if not call.step.memories:
        return call
    told = _known(call)
    computed = _Computed(call, dict(told.banks))
    banks = tuple(computed.bank(name, told.step) for name in told.step.banks)
    extents = dict(zip(call.step.places, call.extents, strict=True))
    places = tuple(extents[call.step.positions.get(name, "") or computed.place(name)] for name in told.step.places)
    stacks = call.weights.stacks({*call.weights.names()})
    rows = [((name,), call.weights[matrix][0]) for name, matrix in told.vectors]
    weights = Weights([*zip(*stacks, strict=True), *rows])
    return replace(call, step=told.step, weights=weights, banks=banks, extents=places)


def _known(call: Call) -> Lowered:
    told = _lowered(call.step, call.lines)
    if isinstance(told, str):
        raise KernelError(f"No kernel runs this cell: {told}. Choose backend='auto', which takes the reference here.")
    return told


def _lowered(step: Step, record: tuple[str, ...]) -> Lowered | str:
    """Lower a step once, or say why no kernel runs it."""
    # The key is an identity: hashing a step walks all its equations. The cache holds the step, so its id stays unique.
    known = _known_steps.get((id(step), record))
    if known is None:
        try:
            known = step, lower(step, record)
        except NotLowered as reason:
            known = step, str(reason)
        _known_steps[id(step), record] = known
    return known[1]


_known_steps: Recent[tuple[int, tuple[str, ...]], tuple[Step, Lowered | str]] = Recent(512)


class _Computed:
    """Compute constant expressions for a call."""

    def __init__(self, call: Call, expressions: Mapping[str, Node]) -> None:
        self.call, self.expressions = call, expressions
        self.masks = {
            name: memories.mask_of(call.bank(name), extents)
            for name, extents in zip(call.step.places, call.extents, strict=True)
        }
        self._known: dict[Node, Any] = {}

    def place(self, name: str) -> str:
        """Return the memory whose positions a new bank has."""
        memory = along(self.expressions[name], self.call.step.positions)
        assert memory is not None
        return memory

    def bank(self, name: str, step: Step) -> Tensor:
        """Return a bank of the lowered step, [B, L, size], or [B, L] with one number at each position."""
        value = self.value(self.expressions.get(name, Name(name)))
        return value.squeeze(-1) if step.is_bare(name) else value

    def value(self, node: Node) -> Any:
        if node not in self._known:
            self._known[node] = self._compute(node)
        return self._known[node]

    def _compute(self, node: Node) -> Any:
        call, step = self.call, self.call.step
        if isinstance(node, Number):
            return node.value
        if isinstance(node, Name):
            if node.name not in step.banks:
                return call.weights[node.name]
            bank = call.bank(node.name)
            bank = bank.unsqueeze(-1) if step.is_bare(node.name) else bank
            return memories.without_rest(bank, self.masks[step.positions[node.name]])
        if isinstance(node, Product):
            return self._product(node)
        assert isinstance(node, Apply)  # an outer product stands in adjoints alone
        if node.function in memories.POSITIONAL:
            memory = along(node.arguments[0], step.positions)
            assert memory is not None
            return memories.POSITIONAL[node.function](*map(self.value, node.arguments), self.masks[memory])
        function = arithmetic.function(node.function)
        if function is None:
            return self.value(written_out(node, lambda row: arithmetic.function(row) is not None))
        values = [self.value(argument) for argument in node.arguments]
        if along(node, step.positions):
            pairs = zip(node.arguments, values, strict=True)
            values = [value if along(one, step.positions) else memories.spread_out(value) for one, value in pairs]
        if not arithmetic.takes_numbers(node.function):
            values = [value if isinstance(value, Tensor) else call.number(value) for value in values]
        return function(*values)

    def _product(self, node: Product) -> Tensor:
        matrix, operand = self.call.weights[node.matrix], self.value(node.operand)
        if node.structure == "block_diagonal":
            stack = arithmetic.block_stack([matrix], node.blocks, node.transposed)
            return arithmetic.block_products(stack, operand, 1)[0]
        matrix = arithmetic.upper_blocks(matrix, node.blocks) if node.structure == "block_upper" else matrix
        return nn.functional.linear(operand, matrix.t() if node.transposed else matrix)
