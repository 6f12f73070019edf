"""Plan the layers of a stack from a cell and the user's sizes: the equations, sizes and tensors of each layer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gatework.cells import Cell, find_cell, project
from gatework.errors import SizeError
from gatework.language import Step, without
from gatework.language.derive import reached
from gatework.language.spelling import BELOW
from gatework.nn.storage import Stored, layout


@dataclass(frozen=True)
class Layer:
    """One layer of a stack, the same in both directions.

    Args:
        step: The equations of the layer.
        sizes: The value of each key of the step's sizes.
        stored: The tensors of the layer.
        projected_from: The size of the input of the learned map before the layer; None without a map.
    """

    step: Step
    sizes: Mapping[str, int]
    stored: tuple[Stored, ...]
    projected_from: int | None = None

    def __deepcopy__(self, memo: object) -> "Layer":
        """Copy nothing, because a layer does not change. So caches for its step also serve copies of the layer."""
        return self

    def size(self, name: str) -> int:
        """Return the size of a named vector."""
        return self.sizes[self.step.sizes_of[name]]

    @property
    def input_sizes(self) -> tuple[int, ...]:
        """The sizes of the inputs."""
        return tuple(map(self.size, self.step.inputs))

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """The sizes of the states."""
        return tuple(map(self.size, self.step.states))

    @property
    def hidden_size(self) -> int:
        """The number of units."""
        return self.sizes["hidden_size"]


def read_cell(cell: Cell | str, proj_size: int) -> Cell:
    """Return the cell that the user named.

    Args:
        cell: A cell, a name in the registry, or equations.
        proj_size: Size of the projected output; 0 for no projection.

    Returns:
        The cell, with a projected output if ``proj_size`` is positive.

    Raises:
        CellError: If there is no such cell.
        EquationError: If the equations cannot be parsed.
    """
    cell = find_cell(cell)
    if proj_size and "proj_size" not in cell.step.size_keys:
        return project(cell, proj_size)
    return cell


def plan_layers(
    cell: Cell,
    input_size: int | Sequence[int],
    hidden_sizes: Sequence[int],
    *,
    bias: bool,
    bidirectional: bool,
    proj_size: int,
    input_projection: bool,
    second_bias: Mapping[str, str] | None,
    own_sizes: Mapping[str, int] | None = None,
) -> tuple[Layer, ...]:
    """Plan the layers of a stack.

    Args:
        cell: The cell.
        input_size: Number of features of the input; one entry for each input of a cell with several inputs.
        hidden_sizes: Number of units of each layer.
        bias: Whether the layers have biases.
        bidirectional: Whether each layer has a second direction, so that the input of the next layer is twice as wide.
        proj_size: Size of the projected output; 0 for no projection, or for the cell's own size.
        input_projection: Whether a learned map comes before the first layer, and before every other layer whose cell
            reads its input elementwise and whose input has another size.
        second_bias: As for :func:`gatework.nn.storage.layout`.
        own_sizes: The sizes that the cell names.

    Returns:
        The layers, lowest first.

    Raises:
        SizeError: If sizes do not fit the equations.
    """
    if bidirectional and wired(cell):
        raise SizeError(
            f"The cell `{cell.name}` reads {', '.join(wired(cell))} from the layer below, which is not defined for two "
            "directions. Use bidirectional=False."
        )
    sizes = _input_sizes(cell, input_size)
    first = cell.inputs[0]
    elementwise = cell.step.sizes_of[first] != "input_size"
    layers: list[Layer] = []
    for number, hidden_size in enumerate(hidden_sizes):
        given = sizes[first] if not layers else layers[-1].size(cell.states[0]) * (2 if bidirectional else 1)
        maps = input_projection and (number == 0 or (elementwise and given != hidden_size))
        named = {**sizes, first: hidden_size if maps else given}
        if number:
            named |= {name: layers[-1].size(name.removesuffix(BELOW)) for name in wired(cell)}
        own = own_sizes or {}
        follow = {name: own.get(cell.step.sizes_of[name].removeprefix("size_"), hidden_size) for name in cell.inputs}
        all_sizes = cell.sizes(tuple((follow | named).values()), hidden_size, proj_size or None, own)
        step = cell.step if number else without(cell.step, wired(cell))
        # Without what came from below, an input may no longer be tied to the states, and its size has a key of its own.
        all_sizes |= {step.sizes_of[name]: all_sizes[cell.step.sizes_of[name]] for name in step.sizes_of}
        if not bias:
            step = without(step, [parameter.name for parameter in step.parameters if parameter.role == "bias"])
        layers.append(Layer(step, all_sizes, layout(step, second_bias), given if maps else None))
    return tuple(layers)


def wired(cell: Cell) -> tuple[str, ...]:
    """Name the inputs that the layers connect themselves: ``c_below`` is c of the layer below, at this step."""
    return tuple(name for name in cell.inputs if name.endswith(BELOW) and name.removesuffix(BELOW) in cell.states)


def outer_inputs(cell: Cell) -> tuple[str, ...]:
    """Name the inputs that the user gives."""
    return tuple(name for name in cell.inputs if name not in wired(cell))


def learnable_states(step: Step) -> tuple[str, ...]:
    """Name the states through which a gradient reaches the output. Other states may count steps, for example.

    Example:
        >>> from gatework.cells import CELLS
        >>> learnable_states(CELLS["clockwork"].step)
        ('h',)
    """
    carried = reached(step, step.states[:1])[1]
    return tuple(name for name in step.states if name in carried)


def _input_sizes(cell: Cell, input_size: int | Sequence[int]) -> dict[str, int]:
    """Map input names to the sizes that the user gave. The user may omit sizes that follow from the states."""
    given = tuple(input_size) if isinstance(input_size, Sequence) else (input_size,)
    names = outer_inputs(cell)
    if not names:
        raise SizeError(f"The cell `{cell.name}` has no input; a layer needs one to know how many steps there are.")
    own = tuple(name for name in names if name == names[0] or cell.step.sizes_of[name].startswith("input_size"))
    for chosen in (names, own):
        if len(given) == len(chosen):
            return dict(zip(chosen, given, strict=True))
    raise SizeError(
        f"input_size is {input_size!r}; the cell `{cell.name}` has the inputs {', '.join(names)}, so {len(names)} "
        "sizes were expected, as a tuple in this order."
    )
