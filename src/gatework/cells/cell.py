"""A cell: its equations, and the few facts that the equations do not contain."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

from gatework.cells.header import read_header
from gatework.cells.remembering import biases_that_remember
from gatework.errors import CellError, EquationWarning, SizeError, printable
from gatework.language import Step, latex, parse, show
from gatework.language.mistyped import suspects
from gatework.language.nodes import ONE_NUMBER
from gatework.language.parse import DERIVED, WRITTEN, Limits

INITIAL_CHOICES = ("identity", "orthogonal", "zeros")


@dataclass(frozen=True, init=False)
class Cell:
    """A recurrent cell, written once as its paper's equations.

    Args:
        name: Short name, as in ``gatework.CELLS``.
        equations: The equations of one time step. A name that is read above its own line, or on it, means the value of
            the previous step; below its line it means the value of this step.
        states: Names that are carried from step to step, the output first; words in a string, or a sequence. None
            derives them from the equations.
        inputs: Names that are given at every step.
        outputs: Names of equations that the cell delivers at every step, as ``layer.record`` returns them. Nothing
            needs to read them.
        sizes: Names of vectors with sizes of their own, as in ``"z u"``; ``Recurrent(cell, ..., sizes={"z": 32})``
            gives them. ``"z=mu0"`` says that mu0 has the size of z, if the equations do not. The attribute
            ``own_sizes`` holds the entries.
        memories: Names of memories, such as ``"m"``: a bank of vectors, [B, L, size], that is given once for all steps,
            as ``layer(x, memories=m)``. ``"m=pick"`` says that the input ``pick`` has a number for each position of m.
        init: Initial values of parameters that the paper fixes: a number, ``"identity"``, ``"orthogonal"`` or
            ``"zeros"``.
        remember: The biases that decide how long the cell remembers: +1 if a larger bias means a longer memory, -1 if a
            smaller bias does. The first entry belongs to the forget gate, and ``forget_bias`` sets it. None derives
            them from the equations.
        title: The name in words.
        source: Paper and equation numbers.
        year: Year of the paper.
        notes: Common pitfalls, for the cell's page.
        proj_size: Size of the output if the cell projects it; None leaves it to the layer.
        limits: Limits on the size of the text.

    Example:
        >>> leaky = Cell(name="leaky", states="h", equations="h = 0.9 * h + 0.1 * tanh(W @ x + R @ h + b)")
        >>> leaky.parameters(input_size=3, hidden_size=5)
        {'W': (5, 3), 'R': (5, 5), 'b': (5,)}
    """

    name: str
    equations: str
    states: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ("x",)
    outputs: tuple[str, ...] = ()
    own_sizes: tuple[str, ...] = ()
    memories: tuple[str, ...] = ()
    init: Mapping[str, float | str] = field(default_factory=dict, hash=False)
    remember: Mapping[str, int] = field(default_factory=dict, hash=False)
    title: str = ""
    source: str = ""
    year: int | None = None
    notes: str = ""
    proj_size: int | None = None
    step: Step = field(compare=False, repr=False, kw_only=True)

    def __init__(
        self,
        *,
        name: str,
        equations: str,
        states: Iterable[str] | str | None = None,
        inputs: Iterable[str] | str = ("x",),
        outputs: Iterable[str] | str = (),
        sizes: Iterable[str] | str = (),
        memories: Iterable[str] | str = (),
        init: Mapping[str, float | str] | None = None,
        remember: Mapping[str, int] | None = None,
        title: str = "",
        source: str = "",
        year: int | None = None,
        notes: str = "",
        proj_size: int | None = None,
        limits: Limits = WRITTEN,
    ) -> None:
        step = parse(equations, states, inputs, limits=limits, delivered=outputs, sized=sizes, memories=memories)
        # The class is frozen, so that cells can be shared. Only this method sets attributes.
        values = {
            "name": printable(name),
            "equations": equations,
            "states": step.states,
            "inputs": step.inputs,
            "outputs": step.delivered,
            "own_sizes": step.sized,
            "memories": step.memories,
            "init": MappingProxyType(dict(init or {})),
            "remember": MappingProxyType(biases_that_remember(step) if remember is None else dict(remember)),
            "title": printable(title or name),
            "source": printable(source),
            "year": year,
            "notes": printable(notes),
            "proj_size": proj_size,
            "step": step,
        }
        for key, value in values.items():
            object.__setattr__(self, key, value)
        self._check_facts()

    def _check_facts(self) -> None:
        known = tuple(parameter.name for parameter in self.step.parameters)
        for what, names in (("init", self.init), ("remember", self.remember)):
            unknown = [name for name in names if name not in known]
            if unknown:
                raise CellError(
                    f"{what} of the cell `{self.name}` names {', '.join(unknown)}, which its equations do not have; "
                    f"they have {', '.join(known)}."
                )
        vectors = [parameter.name for parameter in self.step.parameters if parameter.columns is None]
        for name, value in self.init.items():
            if not _is_number(value) and value not in INITIAL_CHOICES:
                choices = ", ".join(INITIAL_CHOICES)
                raise CellError(f"init[{name!r}] is {value!r}; expected a number or one of {choices}.")
            if value in ("identity", "orthogonal") and name in vectors:
                raise CellError(f"init[{name!r}] is {value!r}, but `{name}` is a vector. Give a number or 'zeros'.")
        given = self.proj_size
        if given is not None and (isinstance(given, bool) or not isinstance(given, int) or given < 1):
            raise CellError(f"proj_size is {given!r}; expected a whole number of at least 1, or None.")
        if self.proj_size is not None and "proj_size" not in self.step.size_keys:
            raise CellError(f"The cell `{self.name}` has proj_size={self.proj_size} but its output is not projected.")

    def __reduce__(self) -> tuple:
        # Mapping proxies cannot be copied, so a copy is rebuilt from the facts.
        return _build, (self.facts,)

    @cached_property
    def facts(self) -> dict:
        """All arguments of the cell, as plain data that JSON can hold."""
        return {
            "name": self.name,
            "equations": self.equations,
            "states": list(self.states),
            "inputs": list(self.inputs),
            "outputs": list(self.outputs),
            "sizes": list(self.own_sizes),
            "memories": list(self.memories),
            "init": dict(self.init),
            "remember": dict(self.remember),
            "title": self.title,
            "source": self.source,
            "year": self.year,
            "notes": self.notes,
            "proj_size": self.proj_size,
        }

    def __str__(self) -> str:
        """Print the equations, one per line. The text parses to the same cell."""
        return show(self.step)

    def latex(self) -> str:
        """Print the equations as LaTeX, with t for this step and t-1 for the previous step.

        Returns:
            An ``aligned`` environment without dollar signs.
        """
        return latex(self.step)

    def sizes(
        self,
        input_size: int | Sequence[int],
        hidden_size: int,
        proj_size: int | None = None,
        own: Mapping[str, int] | None = None,
        memory_size: int | Mapping[str, int] | None = None,
    ) -> dict[str, int]:
        """Return the sizes of one layer by name, and refuse sizes that the equations do not allow.

        Args:
            input_size: Number of features of the input; for a cell with several inputs a sequence, in the order of
                ``inputs``.
            hidden_size: Number of units.
            proj_size: Size of the output, if the cell projects it; None takes the cell's own.
            own: The sizes of the names in ``own_sizes``; those that are left out are ``hidden_size``.
            memory_size: The size of the vectors of the memory; a mapping by name for a cell with several. What has one
                number at each position needs none.

        Returns:
            ``input_size``, ``hidden_size`` and all other keys in the step's ``sizes_of``.

        Raises:
            SizeError: If a size is missing, not positive, or does not fit the equations.
        """
        given = list(input_size) if isinstance(input_size, Sequence) else [input_size]
        proj_size = proj_size or self.proj_size
        sizes = {"hidden_size": hidden_size}
        if "proj_size" in self.step.size_keys:
            if not proj_size:
                raise SizeError(f"The cell `{self.name}` projects its output and needs its size: proj_size=64, say.")
            sizes["proj_size"] = proj_size
        elif proj_size:
            raise SizeError(f"The cell `{self.name}` does not project its output. Use `project(cell, {proj_size})`.")
        if self.memories:
            sizes[ONE_NUMBER] = 1
        self._own_sizes(own or {}, sizes)
        self._input_sizes(given, sizes)
        self._memory_sizes(memory_size, sizes)
        for key, size in sizes.items():
            if isinstance(size, bool) or not isinstance(size, int) or size < 1:
                raise SizeError(f"{key} is {size!r}; expected a whole number of at least 1.")
        self._check_blocks(sizes)
        return sizes

    def _check_blocks(self, sizes: Mapping[str, int]) -> None:
        """Refuse a size that is no multiple of the number of blocks of a matrix, or of periods."""
        for key, unit in self.step.multiples.items():
            size = sizes[key]
            if size % unit == 0:
                continue
            below = size // unit * unit
            fits = f"{below} or {below + unit}" if below else f"{unit}"
            cut = (
                f"`{one.structure}({one.name}, {one.blocks})` cuts it into {one.blocks} equal parts. "
                for one in self.step.parameters
                if key in (one.rows, one.columns) and size % one.blocks
            )
            raise SizeError(
                f"{key} is {size}; the cell `{self.name}` has blocks and needs a multiple of {unit}. "
                f"{next(cut, '')}Choose {fits}."
            )

    def _own_sizes(self, given: Mapping[str, int], sizes: dict[str, int]) -> None:
        """Add the sizes that the cell names."""
        known = [entry.partition("=")[0] for entry in self.own_sizes]
        for name in given:
            if name not in known:
                have = f"these have: {', '.join(known)}" if known else "no name has one"
                raise SizeError(
                    f"sizes names `{name}`, which has no size of its own in the cell `{self.name}`; {have}. Name it in "
                    f"the cell, as in `cell(..., sizes={name!r})`."
                )
        sizes |= {f"size_{name}": given.get(name, sizes["hidden_size"]) for name in known}

    def _memory_sizes(self, given: int | Mapping[str, int] | None, sizes: dict[str, int]) -> None:
        """Check the sizes of the memories, and add those that are not a size of the states."""
        banks = self.step.banks
        if not banks:
            if given is not None:
                raise SizeError(f"memory_size is {given!r}, and the cell `{self.name}` has no memory. Leave it out.")
            return
        vectors = [name for name in banks if not self.step.is_bare(name)]
        named = given if isinstance(given, Mapping) else {} if given is None else dict.fromkeys(vectors, given)
        if unknown := [name for name in named if name not in banks]:
            raise SizeError(
                f"memory_size names {', '.join(unknown)}; the memories of the cell `{self.name}` are "
                f"{', '.join(banks)}."
            )
        if bare := [name for name in named if name not in vectors]:
            raise SizeError(
                f"memory_size names {', '.join(bare)}, which the cell `{self.name}` uses as one number at each "
                "position. Leave it out."
            )
        for name in vectors:
            key = self.step.sizes_of[name]
            if name not in named and key not in sizes:
                raise SizeError(
                    f"The cell `{self.name}` has the memory `{name}` and needs the size of its vectors, such as "
                    "memory_size=64."
                )
            size = named[name] if name in named else sizes[key]
            if sizes.setdefault(key, size) != size:
                raise SizeError(
                    f"The memory `{name}` has the size {size}; the cell `{self.name}` needs {sizes[key]}, the {key}, "
                    "because it adds or compares the two. Choose equal sizes, or map the memory first, as in `U @ m`."
                )

    def _input_sizes(self, given: list[int], sizes: dict[str, int]) -> None:
        """Check the size of every input, and add those that are not a size of the states to ``sizes``."""
        fixed = [name for name in self.inputs[1:] if self.step.sizes_of[name] in sizes]
        if len(given) == len(self.inputs) - len(fixed):  # the caller may omit sizes that follow from the states
            rest = iter(given)
            given = [sizes[self.step.sizes_of[name]] if name in fixed else next(rest) for name in self.inputs]
        if len(given) != len(self.inputs):
            raise SizeError(
                f"input_size has {len(given)} entries; the cell `{self.name}` has {len(self.inputs)} inputs: "
                f"{', '.join(self.inputs)}."
            )
        for name, size in zip(self.inputs, given, strict=True):
            key = self.step.sizes_of[name]
            if sizes.setdefault(key, size) != size:
                raise SizeError(
                    f"The input `{name}` has size {size}; the cell `{self.name}` uses it elementwise, so it must have "
                    f"the size {sizes[key]} of the states. Choose equal sizes, or put a projection before the layer "
                    "(input_projection=True)."
                )

    def parameters(
        self,
        input_size: int | Sequence[int],
        hidden_size: int,
        proj_size: int | None = None,
        own: Mapping[str, int] | None = None,
        memory_size: int | Mapping[str, int] | None = None,
    ) -> dict[str, tuple[int, ...]]:
        """List the parameters of one layer.

        Args:
            input_size: As in :meth:`sizes`.
            hidden_size: As in :meth:`sizes`.
            proj_size: As in :meth:`sizes`.
            own: As in :meth:`sizes`.
            memory_size: As in :meth:`sizes`.

        Returns:
            The shape of each parameter, in order of first use.

        Raises:
            SizeError: As in :meth:`sizes`.
        """
        sizes = self.sizes(input_size, hidden_size, proj_size, own, memory_size)
        return {parameter.name: parameter.shape(sizes) for parameter in self.step.parameters}

    def count(
        self,
        input_size: int | Sequence[int],
        hidden_size: int,
        proj_size: int | None = None,
        own: Mapping[str, int] | None = None,
        memory_size: int | Mapping[str, int] | None = None,
    ) -> int:
        """Count the parameters of one layer.

        Args:
            input_size: As in :meth:`sizes`.
            hidden_size: As in :meth:`sizes`.
            proj_size: As in :meth:`sizes`.
            own: As in :meth:`sizes`.
            memory_size: As in :meth:`sizes`.

        Returns:
            The number of learned scalars, with the biases as the equations have them: one where torch may have two.

        Raises:
            SizeError: As in :meth:`sizes`.

        Example:
            >>> from gatework.cells import CELLS
            >>> CELLS["lstm"].count(input_size=64, hidden_size=128)
            98816
        """
        sizes = self.sizes(input_size, hidden_size, proj_size, own, memory_size)
        return sum(parameter.count(sizes) for parameter in self.step.parameters)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _build(facts: dict) -> Cell:
    return Cell(**facts, limits=DERIVED)


def cell(
    text: str,
    *,
    name: str = "cell",
    states: Iterable[str] | str | None = None,
    inputs: Iterable[str] | str = ("x",),
    outputs: Iterable[str] | str = (),
    sizes: Iterable[str] | str = (),
    memories: Iterable[str] | str = (),
    init: Mapping[str, float | str] | None = None,
    source: str = "",
) -> Cell:
    """Make a cell from equations.

    Args:
        text: One equation per line; see :class:`Cell`. Lines above the equations may say what the arguments say:
            ``states: h c``, ``outputs: mu sd``, ``init: b_f=1``, and so on.
        name: A short name.
        states: Names that are carried from step to step, the output first. None takes the names that are read before
            their own line, ``h`` first.
        inputs: Names that are given at every step.
        outputs: Names of equations that are delivered at every step; see :class:`Cell`.
        sizes: Names of vectors with sizes of their own; see :class:`Cell`.
        memories: Names of memories; see :class:`Cell`.
        init: Initial values, by parameter.
        source: The source of the equations, such as a paper.

    Returns:
        The cell, ready for ``gatework.Recurrent``.

    Raises:
        EquationError: If the text cannot be parsed or is inconsistent; the message shows the line and a caret.
        CellError: If ``init`` names a parameter that the equations do not have.

    Warns:
        EquationWarning: If a name looks mistyped, such as ``C`` beside a state ``c``: it would be learned.

    Example:
        >>> mine = cell('''
        ...     z = sigmoid(W_z @ x + R_z @ h + b_z)     # update gate
        ...     h = (1 - z) * h + z * tanh(W_h @ x)      # hidden state
        ... ''', name="mine")
        >>> mine.states
        ('h',)
        >>> mine.count(input_size=4, hidden_size=8)
        136
    """
    given = {"states": states, "inputs": inputs, "outputs": outputs, "sizes": sizes, "memories": memories}
    facts, equations = read_header(text, given | {"init": init, "source": source})
    made = Cell(name=name, equations=equations, **facts)
    for suspect in suspects(made.step, made.init):
        warnings.warn(
            f"{suspect} If it is meant to be learned, another name, or a value in init, ends this warning.",
            EquationWarning,
            stacklevel=2,
        )
    return made
