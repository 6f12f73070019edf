"""The description of a run, without its tensors, as text. Any process makes the same kernels from the same text."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from torch import Tensor

from gatework.errors import SizeError
from gatework.kernels.planning.recipe import Recipe
from gatework.kernels.recent import Recent
from gatework.language.check import check
from gatework.language.nodes import ONE_NUMBER, Step
from gatework.language.parse import DERIVED, read
from gatework.language.show import show

_MOST = 512
_MOST_SIZES = 64  # of tensors that a run is known for at a time
MEMORY = ("fast", "small", "sqrt")
"""What the forward pass saves for the backward pass: everything it reads, or what the rest can be recomputed from: the
states of all steps, or those before each of about sqrt(T) stretches of time."""

KEEP = ("nothing", *MEMORY)
"""What a forward pass saves for the backward pass; nothing where no gradient is asked for."""


@dataclass(frozen=True, eq=False)
class Spec:
    """The description of a run, without its tensors.

    Args:
        recipe: The plans of the step.
        reverse: Whether time runs from the last step to the first.
        keep: A row of ``KEEP``.
        layout: For each tensor of weights, the names of the parameters stacked in it.
        known: Cached facts about the run, for tensors of some sizes; a backend adds to them.
    """

    recipe: Recipe
    reverse: bool
    keep: str
    layout: tuple[tuple[str, ...], ...]
    known: Recent[tuple[object, ...], object] = field(default_factory=lambda: Recent(_MOST_SIZES))

    @cached_property
    def sequences(self) -> tuple[str, ...]:
        """Name the sequences: the inputs, and the drawn masks."""
        step = self.recipe.step
        return (*step.inputs, *step.draws) if self.recipe.drawn else step.inputs

    @cached_property
    def states(self) -> tuple[str, ...]:
        """Name the states, the output first."""
        return self.recipe.step.states

    @cached_property
    def saved(self) -> tuple[str, ...]:
        """Name what a forward pass saves beside the states."""
        return self.recipe.saved if self.keep == "fast" else ()

    @property
    def replays(self) -> bool:
        """Whether the backward pass recomputes what it reads beside the states."""
        return self.keep == "small" or self.checkpointed

    @property
    def checkpointed(self) -> bool:
        """Whether only the states before each stretch of time are saved."""
        return self.keep == "sqrt"

    @property
    def keeps_states(self) -> bool:
        """Whether one pass saves the states of all its steps."""
        return self.keep != "nothing" or bool(self.recipe.record)

    def by_name(self, weights: Sequence[Tensor]) -> dict[str, Tensor]:
        """Return each parameter as a view of the tensor that holds it."""
        views = {}
        for names, tensor in zip(self.layout, weights, strict=True):
            if len(names) == 1:
                views[names[0]] = tensor
            else:
                views |= zip(names, tensor.chunk(len(names)), strict=True)
        return views

    def sizes(self, inputs: Sequence[Tensor], state: Sequence[Tensor], weights: Sequence[Tensor]) -> dict[str, int]:
        """Find the value of each size key from the tensors, which must agree.

        Args:
            inputs: One for each of :attr:`sequences`; the last axis is its size.
            state: One for each state, [B, size].
            weights: One for each entry of the layout.

        Returns:
            All sizes that a kernel needs.

        Raises:
            SizeError: If the size, type or device of a tensor does not fit the others.
        """
        step, sizes = self.recipe.step, {}
        named = dict(zip((*self.sequences, *step.states), (*inputs, *state), strict=True))
        for name, tensor in named.items():
            sizes.setdefault(step.sizes_of[name], int(tensor.shape[-1]))
        held = dict(zip(self.layout, weights, strict=True))
        parameters = {parameter.name: parameter for parameter in step.parameters}
        stored = [(parameters[name], names, held[names]) for names in held for name in names if name in parameters]
        for parameter, names, tensor in stored:
            sizes.setdefault(parameter.rows, int(tensor.shape[0]) // len(names))
            if parameter.columns is not None:
                blocks = parameter.blocks if parameter.structure == "block_diagonal" else 1
                sizes.setdefault(parameter.columns, int(tensor.shape[-1]) * blocks)
        for name in step.banks:
            bank = held[(name,)]
            sizes.setdefault(step.sizes_of[name], 1 if step.is_bare(name) else int(bank.shape[-1]))
            sizes.setdefault(f"positions_{step.positions[name]}", int(bank.shape[1]))
        if step.memories:
            sizes[ONE_NUMBER] = 1
        for key in step.size_keys:  # a key that no tensor from outside has may have any value
            sizes.setdefault(key, int(state[0].shape[-1]))
        for name, tensor in named.items():
            if int(tensor.shape[-1]) != sizes[step.sizes_of[name]]:
                raise SizeError(
                    f"`{name}` has the size {int(tensor.shape[-1])}; expected {sizes[step.sizes_of[name]]}, the "
                    f"{step.sizes_of[name]} of the other tensors."
                )
        for name in step.banks:
            _check_bank(name, held[(name,)], step, sizes, state[0])
        for parameter, names, tensor in stored:
            rows, *columns = parameter.shape(sizes)
            expected = (rows * len(names), *columns)
            if tuple(map(int, tensor.shape)) != expected:
                raise SizeError(
                    f"The weights of {', '.join(names)} have the shape {tuple(tensor.shape)}; expected {expected}. "
                    "Set a parameter of this shape."
                )
            if tensor.dtype != state[0].dtype or tensor.device != state[0].device:
                raise SizeError(
                    f"The weights of {', '.join(names)} are of {tensor.dtype} on {tensor.device}; the state is of "
                    f"{state[0].dtype} on {state[0].device}. Convert the layer with .to()."
                )
        return sizes


def _check_bank(name: str, bank: Tensor, step: Step, sizes: dict[str, int], like: Tensor) -> None:
    """Refuse a bank that does not fit the others."""
    size = () if step.is_bare(name) else (sizes[step.sizes_of[name]],)
    expected = (int(like.shape[0]), sizes[f"positions_{step.positions[name]}"], *size)
    if tuple(map(int, bank.shape)) != expected or bank.dtype != like.dtype or bank.device != like.device:
        raise SizeError(
            f"The memory `{name}` has the shape {tuple(bank.shape)} of {bank.dtype} on {bank.device}; expected "
            f"{expected} of {like.dtype} on {like.device}, as the state has. Give a memory that fits."
        )


def extent_name(place: str) -> str:
    """Return the name under which the numbers of positions of a memory are passed among the weights."""
    return f"{place}.extents"  # no name of equations has a dot


_texts: dict[tuple[object, ...], tuple[Step, str]] = {}


def write_spec(
    step: Step, drawn: bool, reverse: bool, keep: str, record: tuple[str, ...], layout: tuple[tuple[str, ...], ...]
) -> str:
    """Write the description of a run as text, which :func:`read_spec` reads.

    Args:
        step: The checked equations.
        drawn: Whether masks are drawn.
        reverse: Whether time runs from the last step to the first.
        keep: A row of ``KEEP``.
        record: The recorded lines.
        layout: For each tensor of weights, the names of the parameters stacked in it.

    Returns:
        JSON.
    """
    # The key is an identity: hashing a step walks all its equations. The cache holds the step, so its id stays unique.
    key = (id(step), drawn, reverse, keep, record, layout)
    written = _texts.get(key)
    if written is None:
        parts: dict[str, object] = {
            "equations": show(step),
            "states": step.states,
            "inputs": step.inputs,
            "outputs": step.outputs,
            "delivered": step.delivered,
            "sized": step.sized,
            "memories": step.memories,
            "drawn": drawn,
            "record": record,
            "reverse": reverse,
            "keep": keep,
            "weights": layout,
        }
        if len(_texts) >= _MOST:
            _texts.clear()
        written = _texts[key] = (step, _written(parts))
    return written[1]


def constant(function: Callable[..., object]) -> None:
    """Mark a function as constant for torch's compiler, which then uses its result as it is.

    ``torch.compiler.assume_constant_result`` does the same. But it first imports the compiler, which takes a second and
    is seldom needed.
    """
    setattr(function, "_dynamo_marked_constant", True)  # noqa: B010


def _written(parts: dict[str, object]) -> str:
    """Write JSON. Torch's compiler cannot trace the encoder."""
    return json.dumps(parts)


constant(_written)


@lru_cache(maxsize=_MOST)
def read_spec(text: str) -> Spec:
    """Read the description of a run."""
    parts = json.loads(text)
    names = (tuple(parts[kind]) for kind in ("states", "inputs", "outputs", "delivered", "sized", "memories"))
    recipe = _recipe(parts["equations"], tuple(names), parts["drawn"], tuple(parts["record"]))
    return Spec(recipe, parts["reverse"], parts["keep"], tuple(map(tuple, parts["weights"])))


@lru_cache(maxsize=_MOST)
def _recipe(equations: str, names: tuple[tuple[str, ...], ...], drawn: bool, record: tuple[str, ...]) -> Recipe:
    states, inputs, outputs, delivered, sized, memories = names
    named = {"delivered": delivered, "sized": sized, "memories": memories}
    return Recipe(check(read(equations, DERIVED), states, inputs, outputs, **named), drawn, record)
