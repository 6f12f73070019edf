"""Our layers and torch's as contestants: what is run, what is timed, what is compared."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from benchmarks.cpu.measure import GRADIENT, Contestant
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

import gatework
from gatework.nn.layers import Layer

Shape = tuple[int, int, int]  # B, T, H; the input is as wide as the state
Run = Callable[[], tuple[Any, Any]]


@dataclass(frozen=True)
class Network:
    """Something of torch that runs over sequences, with what it runs on.

    Args:
        name: What it is.
        module: The module.
        run: Runs it; gives the output and the final state, in the module's own form.
        leaves: The tensors beside the parameters that gradients are taken of, by name.
        gradients: Gives the gradients of the parameters by name; None for the module's own names.
    """

    name: str
    module: nn.Module
    run: Run
    leaves: Mapping[str, Tensor]
    gradients: Callable[[], dict[str, Tensor]] | None = None


def inference(network: Network) -> Contestant:
    """Make a contestant that runs forward only."""
    network.module.eval()

    def numbers() -> dict[str, Tensor]:
        with torch.inference_mode():
            return _values(*network.run())

    return Contestant(network.name, network.run, numbers, around=torch.inference_mode)


def training(network: Network) -> Contestant:
    """Make a contestant that runs forward and backward.

    A fixed random gradient arrives at the output and at the final state; gradients are taken of the input, the initial
    state and every parameter.
    """
    network.module.train()
    parameters = [parameter for parameter in network.module.parameters() if parameter.requires_grad]
    leaves = [*parameters, *(leaf.requires_grad_() for leaf in network.leaves.values())]
    upstream: list[Tensor] = []

    def call() -> dict[str, Tensor]:
        for leaf in leaves:
            leaf.grad = None
        values = _values(*network.run())
        moved = [value for value in values.values() if value.requires_grad]
        if not upstream:
            drawn = arriving_gradients([value.shape for value in moved])
            upstream.extend(one.to(value.dtype) for one, value in zip(drawn, moved, strict=True))
        torch.autograd.backward(moved, upstream)
        return values

    def numbers() -> dict[str, Tensor]:
        torch.manual_seed(4)  # the same masks on both sides
        values = {name: value.detach() for name, value in call().items()}
        found = network.gradients() if network.gradients is not None else gradients_by_key(network.module)
        return values | {GRADIENT + name: value for name, value in found.items()} | _gradients(network.leaves)

    def before() -> None:
        # In training every step has new weights, so nothing made of them may be kept from one step to the next.
        for parameter in parameters:
            torch.autograd.graph.increment_version(parameter)

    return Contestant(network.name, call, numbers, before=before)


def arriving_gradients(shapes: Sequence[torch.Size]) -> list[Tensor]:
    """Draw the gradients that arrive at the output and at each final state."""
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(shape, generator=generator) for shape in shapes]


def _values(output: Any, state: Any) -> dict[str, Tensor]:
    values = {"output": output.data if isinstance(output, PackedSequence) else output}
    return values | {f"state {place}": part for place, part in enumerate(_as_tuple(state))}


def _gradients(leaves: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {GRADIENT + name: _gradient(leaf) for name, leaf in leaves.items()}


def _gradient(leaf: Tensor) -> Tensor:
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad


def gradients_by_key(module: nn.Module) -> dict[str, Tensor]:
    """Give the gradients of a module's parameters by the names it has for them."""
    return {name: _gradient(parameter) for name, parameter in module.named_parameters() if parameter.requires_grad}


def gradients_by_name(layer: gatework.Recurrent) -> dict[str, Tensor]:
    """Give the gradients of a single layer's parameters by their names in the equations."""
    return {
        name: stored.view(_gradient(getattr(layer, f"{stored.key}_l0")), name)
        for stored in layer.layers[0].stored
        for name in stored.names
    }


def _as_tuple(state: Any) -> tuple[Any, ...]:
    return tuple(state) if isinstance(state, tuple | list) else (state,)


def over_sequence(name: str, module: nn.Module, given: Tensor, state: Any, **keywords: Any) -> Network:
    """Make a network of a module that takes a whole sequence and an initial state, as torch's layers do.

    Args:
        name: What it is.
        module: The module.
        given: The input [T, B, I]. It and the state are copied, so that two sides share no gradients.
        state: The initial state: a tensor, or a tuple of them.
        keywords: What else the module is called with.

    Returns:
        The network.
    """
    given, parts = given.clone(), tuple(part.clone() for part in _as_tuple(state))
    packed = parts if isinstance(state, tuple) else parts[0]
    leaves = {"input": given} | {f"initial state {place}": part for place, part in enumerate(parts)}
    return Network(name, module, lambda: module(given, packed, **keywords), leaves)


def in_double(single: gatework.Recurrent, given: Tensor, state: Any) -> Network:
    """Make the network of a layer in double precision, with the masks it draws in single.

    Args:
        single: The layer, of which a copy is made.
        given: The input [T, B, I].
        state: The initial state.

    Returns:
        The network.
    """
    exact = copy.deepcopy(single).double()

    def drawn(layer: Layer, like: Tensor) -> dict[str, Tensor]:
        return {name: mask.double() for name, mask in single._drawn(layer, like.float()).items()}

    exact._drawn = drawn  # a generator draws other masks for another type
    parts = tuple(part.double() for part in _as_tuple(state))
    return over_sequence("in double", exact, given.double(), parts if isinstance(state, tuple) else parts[0])


def twin_of(layer: nn.Module, twin: nn.Module) -> nn.Module:
    """Give one layer the weights of another."""
    twin.load_state_dict(layer.state_dict())
    return twin


def random_input(shape: Shape, size: int, seed: int = 1) -> Tensor:
    """Draw an input [T, B, size]."""
    rows, steps, _ = shape
    return torch.randn(steps, rows, size, generator=torch.Generator().manual_seed(seed))


def random_state(shape: Shape, count: int) -> Any:
    """Draw the initial state of one layer: a tensor [1, B, H], or a tuple of so many."""
    rows, _, units = shape
    generator = torch.Generator().manual_seed(2)
    parts = tuple(0.5 * torch.randn(1, rows, units, generator=generator) for _ in range(count))
    return parts if count > 1 else parts[0]


def reached_state(layer: gatework.Recurrent, shape: Shape, size: int) -> Any:
    """Give a state that a cell comes to by itself, so that no normaliser is negative and no counter a fraction."""
    layer.eval()
    with torch.no_grad():
        return layer(random_input((shape[0], 5, shape[2]), size, seed=5))[1]
