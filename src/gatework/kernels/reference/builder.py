"""Turn a step into a program. This is the second pass; :mod:`gatework.kernels.reference.survey` is the first.

The actions of a program are closures that read and write registers. So a step costs a list of calls, and looks up
no name.
"""

import operator
from collections import OrderedDict
from collections.abc import Callable
from functools import partial, reduce
from typing import Any

import torch
from torch import Tensor, nn

from gatework.kernels.call import Call
from gatework.kernels.reference import arithmetic, memories
from gatework.kernels.reference.program import CALL, Action, Location, Program, Registers
from gatework.kernels.reference.survey import Kind, ProductStack, Survey, joined
from gatework.language.anatomy import addends
from gatework.language.functions import FUNCTIONS
from gatework.language.nodes import Apply, Name, Node, Number, Outer, Product, Step, along

_MOST_PROGRAMS = 256
_programs: OrderedDict[tuple[int, bool], tuple[Step, Program]] = OrderedDict()


def program_for(step: Step, drawn: bool) -> Program:
    """Return the program of a step, which is made once.

    Args:
        step: The checked equations.
        drawn: Whether masks are drawn; if not, each mask is its probability.

    Returns:
        The program, which the caller must not change.
    """
    # The key is an identity: hashing a step walks all its equations. The cache holds the step, so its id stays unique.
    key = (id(step), drawn and bool(step.draws))
    if key not in _programs:
        _programs[key] = (step, _Builder(step, key[1]).program)
        if len(_programs) > _MOST_PROGRAMS:
            _programs.popitem(last=False)
    return _programs[key][1]


class _Builder:
    """Write a program, one equation after the other."""

    def __init__(self, step: Step, drawn: bool) -> None:
        self.survey = Survey(step, drawn)
        self.program = Program()
        self.places: dict[Node, Location] = {}
        self.whole: dict[int, int] = {}  # id of a group -> register of its products side by side
        self.stepwise: dict[int, int] = {}  # register of a whole sequence -> register of its value at one step
        self.program.inputs = tuple(self._input(name) for name in step.inputs)
        self.program.banks = tuple(self._bank(name) for name in step.banks)
        self.program.extents = tuple(self.register() for _ in step.places)
        self.program.before = tuple(self._state(name) for name in step.states)
        self.drawn = step.draws if drawn else {}
        for name in self.survey.values:
            self.program.places[name] = self.place(Name(name))
        pairs = zip(step.states, self.program.before, strict=True)
        self.program.after = tuple(self._after(self.places[Name(name)], before) for name, before in pairs)
        self._show_rows()

    # --- registers and actions

    def register(self, value: Any = None) -> int:
        self.program.start.append(value)
        return len(self.program.start) - 1

    def do(self, kind: Kind, action: Action) -> None:
        if kind == Kind.STEP:
            self.program.each.append(action)
        else:
            (self.program.once if kind == Kind.SEQUENCE else self.program.fixed).append(action)

    def at(self, place: Location, kind: Kind) -> int:
        """Return the register from which an action of some kind reads a value."""
        if kind < Kind.STEP or place.kind not in (Kind.ROWS, Kind.SEQUENCE):
            return place.register
        if place.register not in self.stepwise:
            self.stepwise[place.register] = self.register()
            parted = self.program.sequences if place.kind == Kind.SEQUENCE else self.program.rows
            parted.append((place.register, self.stepwise[place.register]))
        return self.stepwise[place.register]

    def compute(self, kind: Kind, function: Callable[..., Any], *arguments: int) -> Location:
        """Add the action that applies a function to registers. Return the location of the value."""
        out = self.register()
        if len(arguments) == 1:
            (only,) = arguments

            def unary(registers: Registers) -> None:
                registers[out] = function(registers[only])

            self.do(kind, unary)
        elif len(arguments) == 2:
            left, right = arguments

            def binary(registers: Registers) -> None:
                registers[out] = function(registers[left], registers[right])

            self.do(kind, binary)
        else:

            def any_number(registers: Registers) -> None:
                registers[out] = function(*[registers[argument] for argument in arguments])

            self.do(kind, any_number)
        return Location(kind, out)

    # --- values

    def place(self, node: Node) -> Location:
        """Add the actions that compute an expression, if there are none yet. Return the location of the value."""
        if node not in self.places:
            made = self._make(node)
            self.places[node] = made._replace(at_positions=self.survey.at_positions(node))
        return self.places[node]

    def _make(self, node: Node) -> Location:
        if isinstance(node, Number):
            return Location(Kind.NUMBER, self.register(node.value))
        if isinstance(node, Name):
            name = node.name
            if name in self.drawn:
                return self._draw(name)
            if name in self.survey.values:  # a line, maybe a later one: a product of an earlier line may start from it
                return self.place(self.survey.values[name])
            return self.compute(Kind.CONSTANT, lambda call: call.weights[name], CALL)
        if isinstance(node, Product):
            self._group(self.survey.group(node))
            return self.places[node]
        if isinstance(node, Outer):
            return self._outer(node)
        if FUNCTIONS[node.function].takes:
            return self._positional(node)
        if node.function == "add":
            return self._sum(addends(node))
        if node.function == "period":
            assert isinstance(node.arguments[0], Number)
            blocks = int(node.arguments[0].value)
            return self.compute(
                Kind.CONSTANT, lambda call: arithmetic.period(blocks, call.sizes["hidden_size"], call.like), CALL
            )
        return self._apply(node)

    def _apply(self, node: Apply) -> Location:
        function = arithmetic.function(node.function)
        assert function is not None  # definitions are expanded before
        places = [self.place(argument) for argument in node.arguments]
        kind = self.survey.kind(node)
        if kind == Kind.NUMBER:
            numbers = [self.program.start[place.register] for place in places]
            return Location(kind, self.register(arithmetic.fold(node.function, numbers)))
        if not arithmetic.takes_numbers(node.function):
            places = [self._tensor(place) for place in places]
        return self.compute(kind, function, *self._aligned(kind, places))

    def _aligned(self, kind: Kind, places: list[Location]) -> list[int]:
        """Return the registers of values that meet unit by unit, and at every position if one of them has such."""
        registers = [self.at(place, kind) for place in places]
        if not any(place.at_positions for place in places):
            return registers
        return [
            register
            if place.at_positions or place.kind < Kind.ROWS
            else self.compute(kind, memories.spread_out, register).register
            for register, place in zip(registers, places, strict=True)
        ]

    def _positional(self, node: Apply) -> Location:
        """Apply a function of a memory's positions."""
        function, memory = memories.POSITIONAL[node.function], along(node.arguments[0], self.survey.step.positions)
        assert memory is not None
        if node.function == "shift":
            by = node.arguments[1]
            assert isinstance(by, Number)
            function = partial(_shifted, by.value)
        kind = self.survey.kind(node)
        places = [self.place(argument) for argument in node.arguments if not isinstance(argument, Number)]
        registers = [self.at(place, kind) for place in places]
        return self.compute(kind, function, *registers, self._mask(memory, kind))

    def _mask(self, memory: str, kind: Kind) -> int:
        """Return the register of the mask of a memory, as an action of some kind reads it."""
        number = self.survey.step.places.index(memory)
        return self.at(Location(Kind.ROWS, self.program.extents[number]), kind)

    def _show_rows(self) -> None:
        """Let what is the same at all steps, but not for all rows, be recorded like what changes from step to step."""
        for name, place in self.program.places.items():
            if place.kind == Kind.ROWS:
                self.program.places[name] = place._replace(kind=Kind.STEP, register=self.at(place, Kind.STEP))
        for name, memory in self.survey.step.positions.items():
            self.program.masks[name] = self._mask(memory, Kind.STEP)

    def _tensor(self, place: Location) -> Location:
        if place.kind != Kind.NUMBER:
            return place
        value = self.program.start[place.register]
        return self.compute(Kind.CONSTANT, lambda call: call.number(value), CALL)

    def _input(self, name: str) -> int:
        place = Location(Kind.SEQUENCE, self.register())
        if name in self.survey.step.positions:
            # It meets a memory at every step, so it is split into steps at once.
            place = Location(Kind.STEP, self.at(place, Kind.STEP), at_positions=True)
            self.places[Name(name)] = self.program.places[name] = place
            return self.program.sequences[-1][0]
        self.places[Name(name)] = self.program.places[name] = place
        return place.register

    def _bank(self, name: str) -> int:
        bank = Location(Kind.ROWS, self.register(), at_positions=True)
        self.places[Name(name)] = self.program.places[name] = bank
        return bank.register

    def _state(self, name: str) -> int:
        at_positions = name in self.survey.step.positions
        self.places[Name(name, True)] = Location(Kind.STEP, self.register(), at_positions=at_positions)
        return self.places[Name(name, True)].register

    def _after(self, place: Location, before: int) -> int:
        """Return the register of a state's new value, [B, size] even if it is the same for all rows."""
        if place.kind == Kind.NUMBER:
            return self.compute(Kind.STEP, torch.full_like, before, place.register).register
        if place.kind == Kind.CONSTANT:
            return self.compute(Kind.STEP, torch.Tensor.expand_as, place.register, before).register
        return self.at(place, Kind.STEP)

    def _draw(self, name: str) -> Location:
        def mask(call: Call) -> Tensor:
            assert call.draws is not None  # this program runs only calls that draw
            return call.draws[name]

        return self.compute(Kind.SEQUENCE, mask, CALL)

    def _outer(self, node: Outer) -> Location:
        left, right = self.place(node.left), self.place(node.right)
        kind, at_positions = joined(left.kind, right.kind), left.at_positions or right.at_positions
        structure, blocks = node.structure, node.blocks

        def rows(left: Tensor, right: Tensor) -> Tensor:
            # A value that is the same at all steps and for all rows counts once for each of them.
            lead = torch.broadcast_shapes(left.shape[:-1], right.shape[:-1])
            left, right = left.expand(*lead, left.shape[-1]), right.expand(*lead, right.shape[-1])
            if at_positions:  # each position of each row counts
                left, right = left.flatten(-3, -2), right.flatten(-3, -2)
            return arithmetic.outer(left, right, structure, blocks)

        return self.compute(kind, rows, self.at(left, kind), self.at(right, kind))

    # --- sums: known terms are added before the first step

    def _sum(self, terms: list[Node]) -> Location:
        known = tuple(filter(self.survey.is_known, terms))
        stepwise = [term for term in terms if not self.survey.is_known(term)]
        if not stepwise:
            return self._known_sum(known)
        taken = any(self._starts_from(term) == known for term in stepwise)
        places = [self.place(term) for term in stepwise]
        if known and not taken:
            places.append(self._known_sum(known))
        return self._add(places)

    def _known_sum(self, terms: tuple[Node, ...]) -> Location:
        """Add the known terms. A bias that a product starts from is already in that product."""
        starts = [start for term in terms if (start := self._starts_from(term))]
        left = list(terms)
        for start in starts:
            for term in start:
                left.remove(term)
        return self._add([self.place(term) for term in left])

    def _starts_from(self, term: Node) -> tuple[Node, ...]:
        return self.survey.group(term).start.get(term, ()) if isinstance(term, Product) else ()

    def _add(self, places: list[Location]) -> Location:
        return reduce(self._plus, places)

    def _plus(self, left: Location, right: Location) -> Location:
        kind = joined(left.kind, right.kind)
        if kind == Kind.NUMBER:
            return Location(kind, self.register(self.program.start[left.register] + self.program.start[right.register]))
        added = self.compute(kind, operator.add, *self._aligned(kind, [left, right]))
        return added._replace(at_positions=left.at_positions or right.at_positions)

    # --- groups of products

    def _group(self, group: ProductStack) -> None:
        """Add the actions that compute all products of a group at once."""
        operand = self._operand(group)
        if group.structure == "block_diagonal":
            outs = self._block_products(group, operand)
        else:
            matrices = self._matrices(group)
            product = self._stepwise if group.kind == Kind.STEP and not group.at_positions else self._all_times
            self.whole[id(group)] = product(group, operand, matrices)
            outs = self._split(group, self.whole[id(group)])
        for part, (node, out) in enumerate(zip(group.products, outs, strict=True)):
            self.places[node] = Location(group.kind, out, group, part, group.at_positions)

    def _operand(self, group: ProductStack) -> int:
        """Return the register of the operand of a group: a vector, even if all its units are equal."""
        place = self.place(group.operand)
        if place.kind != Kind.NUMBER:
            return self.at(place, group.kind)
        first, value = group.products[0], self.program.start[place.register]

        def spread(call: Call) -> Tensor:
            rows, columns = call.weights.shape(first.matrix)
            width = columns * first.blocks if first.structure == "block_diagonal" else columns
            return call.vector(value, rows if first.transposed else width)

        return self.compute(Kind.CONSTANT, spread, CALL).register

    def _all_times(self, group: ProductStack, operand: int, matrices: int) -> int:
        """Multiply for all times at once; the same operation adds the biases."""
        if not group.start:
            return self.compute(group.kind, nn.functional.linear, operand, matrices).register
        terms = [group.start.get(product, (None,))[0] for product in group.products]
        names = tuple(term.name for term in terms if isinstance(term, Name) and term.name not in self.survey.values)
        if len(names) == len(terms):
            bias = self.compute(Kind.CONSTANT, lambda call: call.weights.stacked(names), CALL)
        else:
            bias = self._gather(group, [None if term is None else self.place(term) for term in terms])
        return self.compute(group.kind, nn.functional.linear, operand, matrices, bias.register).register

    def _stepwise(self, group: ProductStack, operand: int, matrices: int) -> int:
        """Multiply at every step; the same operation adds the known terms."""
        turned = self.compute(Kind.CONSTANT, torch.t, matrices).register
        if not group.start:
            return self.compute(Kind.STEP, torch.mm, operand, turned).register
        known = [group.start.get(product) for product in group.products]
        places = [None if terms is None else self._known_sum(terms) for terms in known]
        start = self._side_by_side(places) or self._gather(group, places)
        return self.compute(Kind.STEP, torch.addmm, self.at(start, Kind.STEP), operand, turned).register

    def _matrices(self, group: ProductStack) -> int:
        """Add the action that stacks the group's matrices, [total rows, columns]."""
        names = tuple(product.matrix for product in group.products)
        masks = tuple(product.blocks if product.structure == "block_upper" else 1 for product in group.products)
        transposed = group.transposed

        def stacked(call: Call) -> Tensor:
            if not transposed and max(masks) == 1:
                return call.weights.stacked(names)
            parts = [
                arithmetic.upper_blocks(call.weights[name], blocks) if blocks > 1 else call.weights[name]
                for name, blocks in zip(names, masks, strict=True)
            ]
            parts = [part.t() for part in parts] if transposed else parts
            return parts[0] if len(parts) == 1 else torch.cat(parts)

        return self.compute(Kind.CONSTANT, stacked, CALL).register

    def _split(self, group: ProductStack, product: int) -> list[int]:
        """Add the action that splits a product into the products that are side by side in it."""
        if len(group.products) == 1:
            return [product]
        sizes = self.compute(Kind.CONSTANT, _sizes(group), CALL).register

        def split(registers: Registers) -> tuple[Tensor, ...]:
            return registers[product].split(registers[sizes], -1)

        return self._several(group, split)

    def _block_products(self, group: ProductStack, operand: int) -> list[int]:
        names, blocks, transposed = [product.matrix for product in group.products], group.blocks, group.transposed

        def stacked(call: Call) -> Tensor:
            return arithmetic.block_stack([call.weights[name] for name in names], blocks, transposed)

        stack = self.compute(Kind.CONSTANT, stacked, CALL).register

        def products(registers: Registers) -> tuple[Tensor, ...]:
            return arithmetic.block_products(registers[stack], registers[operand], len(names))

        return self._several(group, products)

    def _several(self, group: ProductStack, function: Callable[[Registers], tuple[Tensor, ...]]) -> list[int]:
        """Add the action whose function returns the value of every product of a group."""
        first = len(self.program.start)
        outs = [self.register() for _ in group.products]
        end = first + len(outs)

        def several(registers: Registers) -> None:
            registers[first:end] = function(registers)

        self.do(group.kind, several)
        return outs

    def _side_by_side(self, places: list[Location | None]) -> Location | None:
        """Return the place of a product for all times that holds these values, in this order; None if there is none."""
        first = places[0]
        if first is None or first.group is None or id(first.group) not in self.whole:
            return None
        whole, begin, end = first.group, first.part, first.part + len(places)
        for part, place in enumerate(places, begin):
            if place is None or place.group is not whole or place.part != part:
                return None
        register, sizes = self.whole[id(whole)], _sizes(whole)
        if len(whole.products) == len(places):
            return Location(first.kind, register)

        def cut(call: Call, product: Tensor) -> Tensor:
            rows = sizes(call)
            return product.narrow(-1, sum(rows[:begin]), sum(rows[begin:end]))

        return self.compute(first.kind, cut, CALL, register)

    def _gather(self, group: ProductStack, places: list[Location | None]) -> Location:
        """Join the terms that the products of a group start from, with zeros for missing ones."""
        kind = joined(*(place.kind if place else Kind.NUMBER for place in places))
        kind, sizes = max(kind, Kind.CONSTANT), _sizes(group)
        zero = Location(Kind.NUMBER, self.register(0.0))

        def gathered(call: Call, *parts: Any) -> Tensor:
            spread = call.vector if kind == Kind.CONSTANT else call.sequence
            return torch.cat([spread(part, size) for part, size in zip(parts, sizes(call), strict=True)], -1)

        return self.compute(kind, gathered, CALL, *((place or zero).register for place in places))


def _shifted(by: float, bank: Tensor, mask: Tensor | None) -> Tensor:
    return memories.POSITIONAL["shift"](bank, by, mask)


def _sizes(group: ProductStack) -> Callable[[Call], list[int]]:
    """Return the function that finds the sizes of a group's products."""
    names, axis = [product.matrix for product in group.products], int(group.transposed)
    return lambda call: [call.weights.shape(name)[axis] for name in names]
