"""The LSTM with peepholes in JAX: ``lax.scan``, jitted, the input product taken out of the loop."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from benchmarks.cpu.contestants import arriving_gradients
from benchmarks.cpu.measure import GRADIENT, Contestant
from torch import Tensor, nn

try:
    import jax  # pyrefly: ignore [missing-import]
    from jax import numpy as jnp  # pyrefly: ignore [missing-import]
except ImportError as error:  # then the table is not measured, and says so
    MISSING = str(error)
else:
    MISSING = ""


def _lstm(weights: dict[str, Any], given: Any, state: tuple[Any, Any]) -> tuple[Any, tuple[Any, Any]]:
    """Run over [T, B, I]; gives the output [T, B, H] and the final h and c, [B, H] each."""
    recurrent = weights["weight_hh_l0"].T
    fed = given @ weights["weight_ih_l0"].T + weights["bias_l0"]  # [T, B, 4 H]

    def step(carried: tuple[Any, Any], start: Any) -> tuple[tuple[Any, Any], Any]:
        h, c = carried
        i, f, g, o = jnp.split(start + h @ recurrent, 4, axis=-1)
        i = jax.nn.sigmoid(i + weights["p_i_l0"] * c)
        f = jax.nn.sigmoid(f + weights["p_f_l0"] * c)
        c = f * c + i * jnp.tanh(g)
        h = jax.nn.sigmoid(o + weights["p_o_l0"] * c) * jnp.tanh(c)
        return (h, c), h

    final, output = jax.lax.scan(step, state, fed)
    return output, final


def _arrays(tensors: Any) -> Any:
    return jax.tree.map(lambda tensor: jnp.asarray(tensor.detach().numpy()), tensors)


def _tensor(array: Any) -> Tensor:
    return torch.from_numpy(np.array(array))


def _values(output: Any, final: tuple[Any, Any]) -> dict[str, Tensor]:
    found = {"output": _tensor(output)}
    return found | {f"state {place}": _tensor(part)[None] for place, part in enumerate(final)}


def jax_inference(layer: nn.Module, given: Tensor, state: tuple[Tensor, Tensor]) -> Contestant:
    """Make the peer of a layer in inference.

    Args:
        layer: ``gatework.Recurrent("peephole")`` of one layer, whose weights are taken.
        given: The input [T, B, I].
        state: h and c before the first step, [1, B, H] each.

    Returns:
        The contestant.
    """
    arguments = _arrays((dict(layer.named_parameters()), given, tuple(part[0] for part in state)))
    run = jax.jit(_lstm)
    call = _until_ready(run, arguments)
    return Contestant("JAX", call, lambda: _values(*call()))


def jax_training(layer: nn.Module, given: Tensor, state: tuple[Tensor, Tensor]) -> Contestant:
    """Make the peer of a layer in training.

    Args:
        layer: As for :func:`jax_inference`.
        given: As there.
        state: As there.

    Returns:
        The contestant.
    """
    arguments = _arrays((dict(layer.named_parameters()), given, tuple(part[0] for part in state)))
    units = state[0].shape[-1]
    of_output, *of_state = arriving_gradients([torch.Size((*given.shape[:2], units)), *(part.shape for part in state)])
    arriving = _arrays((of_output, *(part[0] for part in of_state)))

    def loss(weights: Any, given: Any, state: Any, arriving: Any) -> tuple[Any, Any]:
        output, final = _lstm(weights, given, state)
        return sum((part * one).sum() for part, one in zip((output, *final), arriving, strict=True)), (output, final)

    run = jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2), has_aux=True))
    call = _until_ready(run, (*arguments, arriving))

    def numbers() -> dict[str, Tensor]:
        (_, values), (weights, of_input, of_state) = call()
        found = weights | {"input": of_input}
        found |= {f"initial state {place}": part[None] for place, part in enumerate(of_state)}
        return _values(*values) | {GRADIENT + name: _tensor(value) for name, value in found.items()}

    return Contestant("JAX", call, numbers)


def _until_ready(run: Callable[..., Any], arguments: tuple[Any, ...]) -> Callable[[], Any]:
    return lambda: jax.block_until_ready(run(*arguments))
