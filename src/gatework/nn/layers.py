"""Plan the layers of a stack from a cell and the user's sizes: the equations, sizes and tensors of each layer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from gatework.cells import Cell, find_cell, project
from gatework.errors import SizeError
from gatework.language import Step, without
from gatework.language.derive import reached
from gatework.language.spelling import BELOW
from gatework.nn.storage import Stored, layout
from gatework.nn.wiring import Wiring


@dataclass(frozen=True)
class Layer:
    """One layer of a stack, the same in both directions.

    Args:
        step: The equations of the layer.
        sizes: The value of each key of the step's sizes.
        stored: The tensors of the layer.
        maps: The shape of every learned map of the layer, by its key: ``in`` for the one before it, the name of an
            input from below for which a map of the stack's input stands, and ``gate`` for that of a highway.
    """

    step: Step
    sizes: Mapping[str, int]
    stored: tuple[Stored, ...]
    maps: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def __deepcopy__(self, memo: object) -> "Layer":
        """Copy nothing, because a layer does not change. So caches for its step also serve copies of the layer."""
        return self

    def size(self, name: str) -> int:
        """Return the size of a named vector."""
        return self.sizes[self.step.sizes_of[name]]

    @property
    def projected_from(self) -> int | None:
        """The size of the input of the learned map before the layer; None without a map."""
        return self.maps["in"][1] if "in" in self.maps else None

    @property
    def mapped_below(self) -> tuple[str, ...]:
        """The inputs from below for which learned maps of the stack's input stand."""
        return tuple(name for name in self.step.inputs if name in self.maps)

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
    wiring: Wiring,
    *,
    bias: bool,
    proj_size: int,
    second_bias: Mapping[str, str] | None,
    named_sizes: Mapping[str, Any] = MappingProxyType({"own": {}}),
) -> tuple[Layer, ...]:
    """Plan the layers of a stack.

    Args:
        cell: The cell.
        input_size: Number of features of the input; one entry for each input of a cell with several inputs.
        hidden_sizes: Number of units of each layer.
        wiring: How the layers are connected. A learned map also comes before every layer above the first whose cell
            reads its input elementwise and whose input has another size, if one comes before the first. It brings the
            input to ``hidden_size``, or to the size that the equations give it.
        bias: Whether the layers have biases.
        proj_size: Size of the projected output; 0 for no projection, or for the cell's own size.
        second_bias: As for :func:`gatework.nn.storage.layout`.
        named_sizes: What :meth:`gatework.Cell.sizes` is told by name: ``own`` and ``memory_size``.

    Returns:
        The layers, lowest first.

    Raises:
        SizeError: If sizes do not fit the equations.
    """
    sizes = _input_sizes(cell, input_size, wiring.below_projection)
    _check_wiring(cell, wiring)
    first = first_input(cell)
    elementwise = not cell.step.sizes_of[first].startswith("input_size")
    layers: list[Layer] = []
    for number, hidden_size in enumerate(hidden_sizes):
        given = _read_from(cell, layers[-1], wiring) if number else sizes[first]
        if number and wiring.skips_in:
            given += sizes[first]
        from_below = wiring.below_projection and not number
        follow = _following(cell, hidden_size, proj_size, named_sizes["own"])
        maps = wiring.input_projection and (number == 0 or (elementwise and given != follow[first]))
        maps |= from_below and first in wired(cell)
        named = {**sizes, first: follow[first] if maps else given}
        if number:
            named |= {name: layers[-1].size(name.removesuffix(BELOW)) for name in wired(cell)}
        if from_below:
            named = {name: size for name, size in named.items() if name not in wired(cell)}
        all_sizes = cell.sizes(tuple((follow | named).values()), hidden_size, proj_size or None, **named_sizes)
        step = cell.step if number or from_below else without(cell.step, wired(cell))
        if not bias:
            step = without(step, [parameter.name for parameter in step.parameters if parameter.role == "bias"])
        # Without what is left out, names may no longer be tied to the states, and their size has a key of its own.
        known = [name for name in step.sizes_of if name in cell.step.sizes_of]  # what is left out may leave constants
        all_sizes |= {step.sizes_of[name]: all_sizes[cell.step.sizes_of[name]] for name in known}
        _check_kept(cell, step, all_sizes)
        layer = Layer(step, all_sizes, layout(step, second_bias))
        shapes = {"in": (layer.size(first), given)} if maps else {}
        if from_below:
            shapes |= {name: (layer.size(name), sizes[first]) for name in wired(cell) if name != first}
        if layers and wiring.connection:
            shapes |= _connect(cell, wiring, layers[-1], layer, number)
        layers.append(replace(layer, maps=shapes))
    _check_tied(layers, wiring)
    return tuple(layers)


def _check_kept(cell: Cell, step: Step, sizes: Mapping[str, int]) -> None:
    """Refuse a layer that, with biases or states of a layer below, loses a memory or a size that the user chose."""
    if lost := [name for name in cell.step.banks if name not in step.banks]:
        raise SizeError(
            f"The cell `{cell.name}` reads the memory `{lost[0]}` only beside what a layer leaves out: states of the "
            "layer below in the first one, and biases with bias=False. Let another line read it."
        )
    before = {parameter.name: (parameter.rows, parameter.columns) for parameter in cell.step.parameters}
    for one in step.parameters:
        for key, had in zip((one.rows, one.columns), before[one.name], strict=True):
            if key is not None and had is not None and had.startswith("size_") and sizes[key] != sizes[had]:
                name = had.removeprefix("size_")
                raise SizeError(
                    f"bias=False leaves out `{name}`, by which the cell `{cell.name}` names the size {sizes[had]} of "
                    f"`{one.name}`, so that it would be {sizes[key]}. Leave `{name}` out of sizes, or keep the biases."
                )


def _following(cell: Cell, hidden_size: int, proj_size: int, own: Mapping[str, int]) -> dict[str, int]:
    """Return the sizes of the inputs that follow from the equations; what nothing decides is hidden_size."""
    known = {"proj_size": proj_size or cell.proj_size or hidden_size, **{f"size_{name}": own[name] for name in own}}
    sizes = {name: known.get(cell.step.sizes_of[name], hidden_size) for name in cell.inputs}
    return sizes | {name: 1 for name in cell.inputs if cell.step.is_bare(name)}


def _passed_up(cell: Cell, layer: Layer, wiring: Wiring) -> int:
    return layer.size(cell.states[0]) * wiring.directions


def _read_from(cell: Cell, layer: Layer, wiring: Wiring) -> int:
    """Return the size of what the first input of the layer above reads."""
    if follows_output(cell):
        return _passed_up(cell, layer, wiring)
    return layer.size(first_input(cell).removesuffix(BELOW))


def _connect(cell: Cell, wiring: Wiring, below: Layer, layer: Layer, number: int) -> dict[str, tuple[int, int]]:
    """Refuse to connect what a layer reads with an output of another size; return the shape of a highway's gate."""
    size, size_below = _passed_up(cell, layer, wiring), _read_from(cell, below, wiring)
    if size != size_below:
        raise SizeError(
            f"connection={wiring.connection!r} joins the input of a layer with its output, and these have the sizes "
            f"{size_below} and {size} in layer {number}. Give all layers the same hidden_size."
        )
    return {"gate": (size, size)} if wiring.connection == "highway" else {}


def _check_wiring(cell: Cell, wiring: Wiring) -> None:
    names = ", ".join(wired(cell))
    if wiring.bidirectional and wired(cell):
        raise SizeError(
            f"The cell `{cell.name}` reads {names} from the layer below, which is not defined for two directions; use "
            "bidirectional=False."
        )
    if wiring.below_projection and not wired(cell):
        raise SizeError(
            f"below_projection is True, and maps the input to states of a layer below; the cell `{cell.name}` reads "
            f"none, such as `{cell.states[0]}{BELOW}`. Leave below_projection out."
        )
    if wiring.skips_in and first_input(cell) in wired(cell):
        raise SizeError(
            f"skip={wiring.skip!r} joins the input to what each layer reads; the cell `{cell.name}` has no input for "
            f"it, because {names} come from the layer below. Use skip='out', or give the cell an input of its own."
        )


def _check_tied(layers: Sequence[Layer], wiring: Wiring) -> None:
    """Refuse to tie layers whose weights have different shapes."""
    if not wiring.tie_layers:
        return
    for number, layer in enumerate(layers):
        owner, mapping = layers[wiring.owner(number)], layers[wiring.maps_owner(number)]
        shapes, owned = ([one.shape(each.sizes) for one in each.stored] for each in (layer, owner))
        if shapes != owned or layer.maps != mapping.maps:
            raise SizeError(
                f"tie_layers is True, so that layers share one set of weights; layer {number} needs others than the "
                "layers below it. Give all layers the same hidden_size."
            )


def first_input(cell: Cell) -> str:
    """Name the input that the stack's input enters in the first layer, and the output of the layer below in others."""
    return outer_inputs(cell)[0]


def follows_output(cell: Cell) -> bool:
    """Tell whether the first input of a layer above the first is the output of the layer below."""
    first = first_input(cell)
    return first not in wired(cell) or first == f"{cell.states[0]}{BELOW}"


def wired(cell: Cell) -> tuple[str, ...]:
    """Name the inputs that the layers connect themselves: ``c_below`` is c of the layer below, at this step."""
    return tuple(name for name in cell.inputs if name.endswith(BELOW) and name.removesuffix(BELOW) in cell.states)


def read_above(cell: Cell, layers: Sequence[Layer], number: int) -> tuple[str, ...]:
    """Name the states of a layer that the layer above reads."""
    inputs = layers[number + 1].step.inputs if number + 1 < len(layers) else ()
    return tuple(state for state in cell.states if f"{state}{BELOW}" in inputs)


def outer_inputs(cell: Cell) -> tuple[str, ...]:
    """Name the inputs that the user gives. If all inputs come from below, the first one stands for what is given."""
    return tuple(name for name in cell.inputs if name not in wired(cell)) or cell.inputs[:1]


def learnable_states(step: Step) -> tuple[str, ...]:
    """Name the states through which a gradient reaches the output. Other states may count steps, for example.

    Example:
        >>> from gatework.cells import CELLS
        >>> learnable_states(CELLS["clockwork"].step)
        ('h',)
    """
    carried = reached(step, step.states[:1])[1]
    return tuple(name for name in step.states if name in carried)


def _input_sizes(cell: Cell, input_size: int | Sequence[int], maps_below: bool) -> dict[str, int]:
    """Map input names to the sizes that the user gave. The user may omit sizes that follow from the states."""
    given = tuple(input_size) if isinstance(input_size, Sequence) else (input_size,)
    names = outer_inputs(cell)
    if not names:
        raise SizeError(f"The cell `{cell.name}` has no input; a layer needs one to know how many steps there are.")
    if names[0] in wired(cell) and not maps_below:
        raise SizeError(
            f"The cell `{cell.name}` has no input of its own: {', '.join(cell.inputs)} come from the layer below. "
            "below_projection=True lets learned maps of the stack's input stand for them in the first layer."
        )
    own = tuple(name for name in names if name == names[0] or cell.step.sizes_of[name].startswith("input_size"))
    for chosen in (names, own):
        if len(given) == len(chosen):
            return dict(zip(chosen, given, strict=True))
    raise SizeError(
        f"input_size is {input_size!r}; the cell `{cell.name}` has the inputs {', '.join(names)}, so {len(names)} "
        "sizes were expected, as a tuple in this order."
    )
