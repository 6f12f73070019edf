"""Check a plan before code is made from it. Code from a wrong plan would read missing values.

This module decides nothing. A refused plan is a fault of the planner, whatever the equations are.
"""

from collections.abc import Iterable
from typing import Any

from gatework.errors import PlanError
from gatework.kernels.planning.normal import REDUCTIONS
from gatework.kernels.planning.plan import (
    PHASES,
    SWEEP_KINDS,
    Columns,
    Moments,
    Plan,
    ProductGroup,
    Stage,
    Sweep,
    show_plan,
)
from gatework.language.nodes import ONE_NUMBER, Apply, Equation, Name, Node, Outer, Product, walk

HOMES = ("row", "sequence", "scalar", "state")
INSIDE = ("row", "state")
"""Homes whose values are gone, or not yet complete, when the loop over time is left."""


def verified(plan: Plan) -> Plan:
    """Check that code can be made from a plan, and return the plan.

    Every name that is read must be an input, a parameter or a state, or be complete by then. A stored value is stored
    once, where its readers can reach it. All sizes agree.

    Args:
        plan: The plan.

    Returns:
        The same plan.

    Raises:
        PlanError: If the plan breaks a rule; the message shows its stage.
    """
    _Verifier(plan).check()
    return plan


class _Verifier:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.parameters = {parameter.name: parameter for parameter in plan.step.parameters}
        self.vectors = {parameter.name for parameter in plan.step.parameters if parameter.columns is None}
        self.given = {*plan.step.inputs, *plan.step.banks}
        self.leads: dict[str, tuple[str, str]] = {}  # matrix -> the size keys of its columns and of its rows
        self.kept: set[str] = set()  # what the stages so far have stored
        self.where = ""

    def check(self) -> None:
        self._homes()
        order = [PHASES.index(stage.phase) if stage.phase in PHASES else -1 for stage in self.plan.stages]
        self.where = "the plan"
        self._demand(-1 not in order and order == sorted(order), f"phases are not in the order {', '.join(PHASES)}")
        for number, stage in enumerate(self.plan.stages):
            self.where = f"stage {number} ({stage.phase})"
            self._form(stage)
            self.where = f"stage {number}\n{self._shown(stages=(stage,))}"
            self._stage(stage)
        self.where = "the plan"
        for name, home in self.plan.homes.items():
            given = name in self.plan.step.inputs
            self._demand(given != (name in self.kept), f"{name!r} has the home {home!r}, and no stage keeps it")
        for state in self.plan.step.states:
            self._demand(state in self.kept, f"no stage keeps the state {state!r}")
        for columns in self.plan.columns:
            self.where = f"the sums over time and batch\n{self._shown(columns=(columns,))}"
            self._columns(columns)
        for name, terms in self.plan.outers:
            self.where = f"the products over time and batch\n{self._shown(outers=((name, terms),))}"
            self._outers(terms)
        self._outputs()

    def _demand(self, holds: bool, fault: str) -> None:
        if not holds:
            raise PlanError(
                f"The plan is wrong: {fault}, in {self.where}\nNo code can be made of this plan. The fault is the "
                "planner's: please report the equations. Until then backend='reference' runs them."
            )

    def _shown(self, **parts: Any) -> str:
        stages, columns, outers = (parts.get(name, ()) for name in ("stages", "columns", "outers"))
        return show_plan(Plan(self.plan.step, self.plan.sizes_of, stages, columns, outers, self.plan.homes))

    def _homes(self) -> None:
        self.where = "the table of homes"
        plan = self.plan
        for name, home in plan.homes.items():
            self._demand(home in HOMES, f"{name!r} has the home {home!r}; there are {', '.join(HOMES)}")
            is_state = name in plan.step.states
            self._demand((home == "state") == is_state, f"{name!r} has the home {home!r}")
            self._demand(name not in plan.step.inputs or home == "scalar", f"the input {name!r} has the home {home!r}")
        for name in plan.indexed:
            self._demand(name not in plan.homes, f"{name!r} is found by an index, and has a home")

    # --- reads

    def _reads(self, node: Node, here: Iterable[str], looped: bool) -> None:
        """Check that everything an expression reads is available."""
        for part in walk(node):
            if isinstance(part, Name):
                self._read(part, here, looped)

    def _read(self, name: Name, here: Iterable[str], looped: bool) -> None:
        plan, home = self.plan, self.plan.homes.get(name.name, "given")
        if name.previous:
            self._demand(name.name in plan.step.states, f"{name.name!r} of last step is read, and is no state")
            self._demand(looped, f"the state {name.name!r} is read outside the loop")
        elif name.name not in here and name.name not in self.vectors and name.name not in self.given:
            self._demand(name.name in self.kept, f"{name.name!r} is read, and no stage before has kept it")
            self._demand(looped or home not in INSIDE, f"{name.name!r} ({home}) is read outside the loop")

    def _is_scalar(self, name: Name) -> bool:
        return not name.previous and self.plan.homes.get(name.name) == "scalar"

    def _whole(self, name: Name, size: str, what: str) -> None:
        """Check that a name has a number for each unit of a size."""
        self._demand(not self._is_scalar(name), f"{what} takes {name.name!r}, of which there is one number a row")
        own = self.plan.sizes_of.get(name.name)
        self._demand(own == size, f"{what} takes {name.name!r} of size {own!r}; expected {size!r}")

    # --- stages

    def _form(self, stage: Stage) -> None:
        """Check that a stage can be printed."""
        for group in stage.groups:
            self._demand(len(group.sums) == len(group.matrices), "a group has sums without matrices")
            for name, matrices in zip(group.sums, group.matrices, strict=True):
                whole = len(matrices) == len(group.segments)
                self._demand(whole, f"the sum {name!r} has not one matrix for each operand")
        for name in stage.stores:
            home = self.plan.homes.get(name)
            self._demand(home is not None and home != "scalar", f"{name!r} is kept, and has the home {home!r}")

    def _stage(self, stage: Stage) -> None:
        looped = stage.phase == "each"
        made: dict[str, None] = {}
        for group in stage.groups:
            self._group(group, stage.size, looped)
            for name in group.sums:
                self._demand(name not in made, f"{name!r} is made twice")
                made[name] = None
        self._lines(stage.lines, stage.size, made, looped)
        self._stores(stage, made)
        for moments in stage.moments:
            self._moments(moments, stage, looped)
        for sweep in stage.sweeps:
            self._sweep(sweep, looped)

    def _group(self, group: ProductGroup, size: str, looped: bool) -> None:
        for segment in group.segments:
            self._read(segment.operand, (), looped)
            size_of_it = self.plan.sizes_of.get(segment.operand.name, "")
            self._whole(segment.operand, size_of_it, "a product")
        for name, matrices in zip(group.sums, group.matrices, strict=True):
            self._demand(self.plan.sizes_of.get(name) == size, f"the sum {name!r} is not of the stage's size {size!r}")
            for matrix, segment in zip(matrices, group.segments, strict=True):
                parameter = self.parameters.get(matrix)
                self._demand(parameter is not None and parameter.columns is not None, f"{matrix!r} is no matrix")
                assert parameter is not None
                stored = (segment.structure, segment.blocks) == (parameter.structure, parameter.blocks)
                self._demand(stored, f"{matrix!r} is {parameter.structure}, and is read as {segment.structure}")
                # The sizes of an adjoint's parameters belong to no layer, so a matrix is compared with its other uses.
                leads = (self.plan.sizes_of.get(segment.operand.name, ""), size)
                leads = leads[::-1] if segment.transposed else leads
                known = self.leads.setdefault(matrix, leads)
                self._demand(known == leads, f"{matrix!r} leads from {leads[0]!r} to {leads[1]!r}, elsewhere {known}")

    def _lines(self, lines: Iterable[Equation], size: str, made: dict[str, None], looped: bool) -> None:
        for line in lines:
            self._demand(line.target not in made, f"{line.target!r} is made twice")
            for node in walk(line.value):
                whole = isinstance(node, Product | Outer) or (
                    isinstance(node, Apply) and (node.function in REDUCTIONS or node.function == "bernoulli")
                )
                self._demand(not whole, f"the line of {line.target!r} is not pointwise")
                single = isinstance(node, Name) and self.plan.sizes_of.get(node.name) == ONE_NUMBER
                place = isinstance(node, Name) and node.name in self.plan.step.places  # of what places or exists take
                if isinstance(node, Name) and not (self._is_scalar(node) or single or place):
                    self._whole(node, size, f"the line of {line.target!r}")
            self._reads(line.value, made, looped)
            own = self.plan.sizes_of.get(line.target)
            self._demand(own == size, f"{line.target!r} of size {own!r} is made among units of {size!r}")
            made[line.target] = None

    def _stores(self, stage: Stage, made: Iterable[str]) -> None:
        for name in stage.stores:
            home = self.plan.homes[name]
            self._demand(name in made, f"{name!r} is kept, and not made here")
            self._demand(home not in INSIDE or stage.phase == "each", f"{name!r} ({home}) is kept outside the loop")
            self._keep(name)

    def _keep(self, name: str) -> None:
        self._demand(name not in self.kept, f"{name!r} is kept twice")
        self.kept.add(name)

    def _moments(self, moments: Moments, stage: Stage, looped: bool) -> None:
        self._read(moments.source, (), looped)
        self._whole(moments.source, stage.size, "a reduction")
        for name in (moments.mean, moments.rstd):
            if name is not None:
                home = self.plan.homes.get(name)
                self._demand(home == "scalar", f"the reduction {name!r} has the home {home!r}")
                self._keep(name)

    def _sweep(self, sweep: Sweep, looped: bool) -> None:
        """Check what goes over the positions of a memory: all that it reads is complete, and rows have their memory."""
        self._demand(looped, "positions are gone over outside the loop")
        self._demand(sweep.kind in SWEEP_KINDS, f"there is no sweep {sweep.kind!r}")
        self._demand(sweep.memory in self.plan.step.places, f"{sweep.memory!r} is no memory")
        along = {f"positions_{sweep.memory}", ONE_NUMBER}
        units = along if sweep.kind in ("softmax", "total") else {sweep.size, *along}
        for line in sweep.lines:
            for node in walk(line.value):
                whole = isinstance(node, Product | Outer) or (isinstance(node, Apply) and node.function in REDUCTIONS)
                self._demand(not whole, f"the line of {line.target!r} is not pointwise")
                if isinstance(node, Name) and node.name not in self.plan.step.places:
                    own = self.plan.sizes_of.get(node.name)
                    self._demand(own in units, f"the line of {line.target!r} takes {node.name!r} of size {own!r}")
            self._reads(line.value, (), looped)
            if line.target in self.plan.homes:
                self._keep(line.target)
            else:
                self._demand(line.target in self.plan.step.outputs, f"{line.target!r} is gathered, and is no output")

    # --- over time and batch

    def _columns(self, columns: Columns) -> None:
        made: dict[str, None] = {}
        self._lines(columns.lines, columns.size, made, False)
        for output, name in columns.sums:
            self._demand(name in made, f"{name!r} is summed, and not made here")
            self._demand(output in self.plan.step.outputs, f"{output!r} is summed, and is no output")

    def _outers(self, terms: tuple[Outer, ...]) -> None:
        for term in terms:
            for side in (term.left, term.right):
                self._demand(isinstance(side, Name), "an outer product takes something without a name")
                assert isinstance(side, Name)
                self._read(side, (), False)
                self._whole(side, self.plan.sizes_of.get(side.name, ""), "an outer product")

    def _outputs(self) -> None:
        plan = self.plan
        summed = [output for columns in plan.columns for output, _ in columns.sums]
        delivered = [*summed, *(name for name, _ in plan.outers), *plan.gathered]
        for name in plan.step.outputs:
            ways = delivered.count(name) + (plan.homes.get(name) in ("sequence", "scalar"))
            self._demand(ways == 1, f"the output {name!r} is delivered in {ways} ways; expected one")
