"""An estimate of the memory that a run needs, made before any of it is allocated."""

import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from gatework.cells import Cell, project
from gatework.errors import ConfigError
from gatework.system import memory
from gatework.training.jobs.settings import Settings

BYTES = {"float32": 4, "float64": 8, "bfloat16": 2}
"""The bytes of a number of each type."""

# The files with a container's memory limit, in the two forms that Linux has.
_LIMITS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def count_layers(config: Settings, cell: Cell, input_size: int, *, input_projection: bool = False) -> int:
    """Count the parameters of the recurrent layers of a model, without building them.

    Args:
        config: The sizes.
        cell: The cell.
        input_size: The number of features that the first layer reads.
        input_projection: Whether learned maps bring the inputs of layers to their size, as in
            :class:`gatework.nn.Recurrent`; only for a cell that reads its input elementwise.

    Raises:
        SizeError: If sizes do not fit the cell.
    """
    if config.proj_size and "proj_size" not in cell.step.size_keys:
        cell = project(cell)
    units, total, directions = config.hidden_size, 0, 2 if config.bidirectional else 1
    # Layers above the first read the output of the layer below, and perhaps the input. They need a map only if the size
    # of what they read is not their own.
    below = directions * config.layer_size + (input_size if config.skip in ("in", "both") else 0)
    above = min(1, config.num_layers - 1) if config.tie_layers else config.num_layers - 1
    for layers, size, maps in ((1, input_size, input_projection), (above, below, input_projection and below != units)):
        if layers:
            total += layers * directions * cell.count(units if maps else size, units, config.proj_size or None)
            total += layers * units * (size + 1) if maps else 0
    return total


@dataclass(frozen=True)
class Needs:
    """The quantities that determine the memory of a training step, besides the layers.

    Args:
        parameters: The number of parameters.
        places: The number of time steps of a batch, over all its rows.
        read: The number of features at each of them.
        scored: The number of scores at each of them.
    """

    parameters: int
    places: int
    read: int
    scored: int


def check_memory(config: Settings, cell: Cell, needs: Needs, device: torch.device, length: str) -> None:
    """Refuse a model that would not fit in memory, before any of it is allocated.

    The estimate counts the parameters, with their gradients and the state of the optimiser. It also counts the saved
    tensors of every time step: about one vector per operation of the cell, and the scores with their gradient. The
    estimate is a little too low rather than too high.

    Args:
        config: The sizes.
        cell: The cell, whose equations determine the number of operations of a step.
        needs: The numbers of parameters, features and scores.
        device: The device of the model.
        length: The setting for the length of a sequence, with its value, such as ``window (64)``.

    Raises:
        ConfigError: If the memory is too small; the message gives the memory needed and the memory available.
    """
    per_parameter = 4 if config.optimizer == "adamw" else 2
    directions = 2 if config.bidirectional else 1
    step = len(cell.step.equations) * config.hidden_size * config.num_layers * directions
    numbers = needs.parameters * per_parameter + needs.places * (step + needs.read + 2 * needs.scored)
    needed, free = BYTES[config.dtype] * numbers, available_memory(device)
    if needed > free:
        raise ConfigError(
            f"Training this would take about {needed / 1e9:,.1f} GB of memory and {free / 1e9:,.1f} GB are free. Make "
            f"hidden_size ({config.hidden_size}), num_layers ({config.num_layers}), batch_size ({config.batch_size}) "
            f"or {length} smaller."
        )


def available_memory(device: torch.device) -> int:
    """Return the memory that this process can still allocate.

    Args:
        device: A GPU, or the CPU.

    Returns:
        The number of bytes; for the CPU the free memory of the machine, or what a container's limit leaves of it.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return max(0, torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory())
    known = memory()
    free = known[1] if known else sys.maxsize
    for limit, used in _LIMITS:
        try:
            free = min(free, int(_read(limit)) - int(_read(used)))
        except (OSError, ValueError):  # there is no limit: no container, another system, or "max"
            continue
    return max(0, free)


def _read(path: str) -> str:
    return Path(path).read_text(encoding="ascii")
