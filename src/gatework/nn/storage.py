"""The storage of a cell's parameters in a layer: gates are stacked in few tensors, as in torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from gatework.errors import SizeError
from gatework.kernels import Weights
from gatework.language import Name, Parameter, Step
from gatework.language.spelling import BELOW, Names


@dataclass(frozen=True)
class Stored:
    """One tensor of a layer.

    Args:
        key: The name without layer and direction, such as ``weight_ih``.
        parameters: The cell's parameters in the tensor, stacked along the rows, all of one shape.
    """

    key: str
    parameters: tuple[Parameter, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the parameters, in order."""
        return tuple(parameter.name for parameter in self.parameters)

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Return the shape of the tensor for these sizes."""
        rows, *columns = self.parameters[0].shape(sizes)
        return (rows * len(self.parameters), *columns)

    def view(self, tensor: Tensor, name: str) -> Tensor:
        """Return the rows of the tensor that belong to one parameter."""
        rows = tensor.shape[0] // len(self.parameters)
        return tensor.narrow(0, self.names.index(name) * rows, rows)


def layout(step: Step, second_bias: Mapping[str, str] | None = None) -> tuple[Stored, ...]:
    """Decide which parameters share a tensor.

    Dense matrices on the first input are stored in ``weight_ih``, dense matrices on the output state in ``weight_hh``,
    the projection in ``weight_hr`` and biases in ``bias``, in order of first use. Every other parameter has a tensor of
    its own name, with an underscore appended if the layer already uses this name.

    Args:
        step: The checked equations.
        second_bias: For torch's layers, which have two biases per gate: maps each bias of ``bias_ih`` to the bias in
            the same rows of ``bias_hh``, or to itself if the equations have no second bias. A parameter that is in both
            is the sum of the two.

    Returns:
        The tensors, in the order in which torch's layers register theirs.

    Example:
        >>> from gatework.cells import CELLS
        >>> [(stored.key, *stored.names) for stored in layout(CELLS["peephole"].step)][2:]
        [('bias', 'b_i', 'b_f', 'b_g', 'b_o'), ('p_i', 'p_i'), ('p_f', 'p_f'), ('p_o', 'p_o')]
    """
    by_name = {parameter.name: parameter for parameter in step.parameters}
    keys: dict[str, list[Parameter]] = {
        key: [] for key in ("weight_ih", "weight_hh", *_bias_keys(second_bias), "weight_hr")
    }
    alone: dict[str, list[Parameter]] = {}
    for parameter in step.parameters:
        key = _shared(parameter, step)
        if key == "bias" and second_bias is not None:
            if parameter.name in second_bias:
                keys["bias_ih"].append(parameter)
                keys["bias_hh"].append(by_name.get(second_bias[parameter.name], parameter))
            elif parameter.name not in second_bias.values():
                alone[parameter.name] = [parameter]
        elif key is None:
            alone[parameter.name] = [parameter]
        else:
            keys[key].append(parameter)
    shared = {key: held for key, held in keys.items() if held}
    names = Names(
        taken=[
            *shared,
            "weight_in",
            "bias_in",
            "weight_gate",
            "bias_gate",
            *(f"{kind}_{name}" for kind in ("weight", "bias") for name in step.inputs if name.endswith(BELOW)),
            *(f"initial_{state}" for state in step.states),
        ]
    )
    own = {names.fresh(name): held for name, held in alone.items()}
    return tuple(Stored(key, tuple(held)) for key, held in (shared | own).items())


def weights(stored: tuple[Stored, ...], tensor: Callable[[str], Tensor]) -> Weights:
    """Collect a layer's parameters by name, for the kernels.

    Args:
        stored: The tensors of the layer.
        tensor: Returns the tensor of a key.

    Returns:
        The parameters, as views unless they are stored as a sum.
    """
    held = {part.key: part for part in stored}
    stacks = [(part.names, tensor(part.key)) for part in stored if part.key not in ("bias_ih", "bias_hh")]
    if "bias_ih" in held:
        stacks.append(_summed(held["bias_ih"], held["bias_hh"], tensor("bias_ih"), tensor("bias_hh")))
    return Weights(stacks)


def _bias_keys(second_bias: Mapping[str, str] | None) -> tuple[str, ...]:
    return ("bias",) if second_bias is None else ("bias_ih", "bias_hh")


def _shared(parameter: Parameter, step: Step) -> str | None:
    """Name the tensor that stores a parameter; None if it has a tensor of its own."""
    full = parameter.rows == "hidden_size"
    if parameter.role == "bias":
        return "bias" if full else None
    if parameter.columns is None or parameter.structure != "dense":
        return None
    if parameter.role == "projection":
        return "weight_hr"
    if parameter.role == "input":
        alike = parameter.operand == Name(step.inputs[0]) and parameter.columns == step.sizes_of[step.inputs[0]]
        return "weight_ih" if full and alike else None
    return "weight_hh" if full and parameter.columns == step.sizes_of[step.states[0]] else None


def _summed(first: Stored, second: Stored, left: Tensor, right: Tensor) -> tuple[tuple[str, ...], Tensor]:
    """Add two stacks of biases. A parameter that is in only one of them is unchanged."""
    if left.shape != right.shape:
        raise SizeError(
            f"The weights {first.key} have the shape {tuple(left.shape)} and {second.key} {tuple(right.shape)}; "
            "expected the same. Set a parameter of this shape."
        )
    if first.names == second.names:
        return first.names, left + right
    only_second = tuple(name for name in second.names if name not in first.names)
    parts = [
        first.view(left, name) + second.view(right, name) if name in second.names else first.view(left, name)
        for name in first.names
    ]
    parts += [second.view(right, name) for name in only_second]
    return (*first.names, *only_second), torch.cat(parts)
