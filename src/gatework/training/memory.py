"""How much memory a run would take, estimated before any of it is taken."""

import os
from pathlib import Path

import torch

from gatework.cells import Cell, project
from gatework.training.config import TrainConfig

_BYTES = {"float32": 4, "float64": 8, "bfloat16": 2}
# A limit set on the process from outside, by a container, in the two forms that Linux has.
_LIMITS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def count_parameters(config: TrainConfig, cell: Cell, vocabulary_size: int) -> int:
    """Count the numbers that a model would learn, without building it.

    Raises:
        SizeError: When sizes do not fit the cell.
    """
    if config.proj_size and "proj_size" not in cell.step.size_keys:
        cell = project(cell)
    total = vocabulary_size * config.input_size * (1 if config.tie_weights else 2) + vocabulary_size
    # Layers above the first read what the one below gives.
    for layers, size in ((1, config.input_size), (config.num_layers - 1, config.output_size)):
        total += layers * cell.count(size, config.hidden_size, config.proj_size or None)
    return total


def estimate_memory(config: TrainConfig, cell: Cell, vocabulary_size: int) -> int:
    """Estimate the bytes that training takes at its height.

    Counted are the parameters with their gradients and what the optimiser remembers of each, and what the backward pass
    needs of every time step: about one vector per operation of the cell, and the scores with their gradient.

    Args:
        config: The sizes.
        cell: The cell, whose equations say how many operations a step has.
        vocabulary_size: The number of symbols.

    Returns:
        Bytes, a little too few rather than too many.
    """
    per_parameter = 4 if config.optimizer == "adamw" else 2
    parameters = count_parameters(config, cell, vocabulary_size) * per_parameter
    places = config.window * config.batch_size
    step = len(cell.step.equations) * config.hidden_size * config.num_layers
    return _BYTES[config.dtype] * (parameters + places * (step + config.input_size + 2 * vocabulary_size))


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
