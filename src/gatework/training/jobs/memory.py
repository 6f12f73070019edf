"""How much memory a run would take, estimated before any of it is taken."""

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from gatework.cells import Cell, project
from gatework.errors import ConfigError
from gatework.training.jobs.settings import Settings

_BYTES = {"float32": 4, "float64": 8, "bfloat16": 2}
# A limit set on the process from outside, by a container, in the two forms that Linux has.
_LIMITS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def count_layers(config: Settings, cell: Cell, input_size: int, *, input_projection: bool = False) -> int:
    """Count the numbers that the recurrent layers of a model would learn, without building them.

    Args:
        config: The sizes.
        cell: The cell.
        input_size: What the first layer reads.
        input_projection: Whether learned maps bring what layers read to their size, as in
            :class:`gatework.nn.Recurrent`; only for a cell that reads its input elementwise.

    Raises:
        SizeError: When sizes do not fit the cell.
    """
    if config.proj_size and "proj_size" not in cell.step.size_keys:
        cell = project(cell)
    units, total = config.hidden_size, 0
    # Layers above the first read what the one below gives; a map stands before the first, and where that has to be.
    above = input_projection and config.output_size != units
    for layers, size, maps in ((1, input_size, input_projection), (config.num_layers - 1, config.output_size, above)):
        if layers:
            total += layers * cell.count(units if maps else size, units, config.proj_size or None)
            total += layers * units * (size + 1) if maps else 0
    return total


@dataclass(frozen=True)
class Needs:
    """What a training step needs memory for, beside the layers' own working.

    Args:
        parameters: Numbers learned.
        places: Time steps of a batch, over all its rows.
        read: Numbers read at each.
        scored: Scores given at each.
    """

    parameters: int
    places: int
    read: int
    scored: int


def check_memory(config: Settings, cell: Cell, needs: Needs, device: torch.device, length: str) -> None:
    """Refuse a model that would not fit in memory, before any of it is allocated.

    The estimate counts the parameters with their gradients and what the optimiser remembers of each. It also counts
    what the backward pass needs of every time step: about one vector per operation of the cell, and the scores with
    their gradient. The estimate is a little too low rather than too high.

    Args:
        config: The sizes.
        cell: The cell, whose equations say how many operations a step has.
        needs: What the model learns, reads and scores.
        device: Where the model is to be.
        length: The setting that says how long a sequence is, with its value, such as ``window (64)``.

    Raises:
        ConfigError: With what would be taken and what is free.
    """
    per_parameter = 4 if config.optimizer == "adamw" else 2
    step = len(cell.step.equations) * config.hidden_size * config.num_layers
    numbers = needs.parameters * per_parameter + needs.places * (step + needs.read + 2 * needs.scored)
    needed, free = _BYTES[config.dtype] * numbers, available_memory(device)
    if needed > free:
        raise ConfigError(
            f"training this would take about {needed / 1e9:,.1f} GB of memory and {free / 1e9:,.1f} GB are free: make "
            f"hidden_size ({config.hidden_size}), num_layers ({config.num_layers}), batch_size ({config.batch_size}) "
            f"or {length} smaller"
        )


def available_memory(device: torch.device) -> int:
    """Give the bytes that this process may still take.

    Args:
        device: A GPU, or the CPU.

    Returns:
        Bytes; for the CPU what the machine has free or a container's limit leaves, whichever is less.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    free = _free_memory()
    for limit, used in _LIMITS:
        try:
            free = min(free, int(Path(limit).read_text()) - int(Path(used).read_text()))
        except (OSError, ValueError):  # no such limit: not in a container, another system, or "max"
            continue
    return max(0, free)


def _free_memory() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        facts = dict(line.split(":", 1) for line in lines)
        return int(facts["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):  # a system without /proc: all that is built in
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
