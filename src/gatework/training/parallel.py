"""Data-parallel training: one model, and several processes with a share of the streams each.

``torchrun`` starts the processes. Each process reads its own rows of the global batch. The gradients, divided by the
number of tokens of all processes, are summed, so the result is that of one process up to rounding. Only dropout
differs: each process draws its own masks. Nothing is pickled: the processes exchange tensors and JSON.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch

# This must be imported before a group exists. Its functions have the current group as a default, and torch imports it
# at the first step of an optimiser. The group would then outlive its end, and its threads would abort the process when
# it exits.
import torch.distributed.nn.functional
from torch import Tensor
from torch import distributed as dist

from gatework.errors import ConfigError, GateworkError, RunError
from gatework.training.jobs.settings import DEVICE


class ProcessGroup:
    """The processes that train together; a single process is a group, too.

    Args:
        rank: The number of this process, from 0.
        size: The number of processes.
        device: The device of this process.
        launcher: The id of the process that started this one and should outlive it; None if there is none.
    """

    def __init__(
        self, rank: int = 0, size: int = 1, device: torch.device | None = None, launcher: int | None = None
    ) -> None:
        self.rank = rank
        self.size = size
        self.device = device or torch.device("cpu")
        self.launcher = launcher

    @classmethod
    def join(cls, device: str) -> "ProcessGroup":
        """Join the processes that ``torchrun`` started, or form a group of one.

        Args:
            device: ``cpu``, ``cuda``, ``cuda:N``, ``mps`` or ``auto``. Under ``torchrun`` process n of a
                machine takes GPU n.

        Raises:
            ConfigError: If there is no such device.
        """
        chosen = pick_device(device)
        size = _told_by_torchrun("WORLD_SIZE", 1)
        if size == 1:
            return cls(device=chosen)
        if chosen.type == "mps":
            raise ConfigError(f"device is 'mps', and {size} processes cannot share one. Choose --device cpu.")
        # Processes that were started by hand may continue after their shell has ended.
        launcher = os.getppid() if "TORCHELASTIC_RUN_ID" in os.environ else None
        if chosen.type == "cuda":
            chosen = torch.device("cuda", _told_by_torchrun("LOCAL_RANK", 0))
            torch.cuda.set_device(chosen)
        dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo", timeout=timedelta(minutes=30))
        return cls(dist.get_rank(), size, chosen, launcher)

    def leave(self) -> None:
        """Leave the group."""
        if self.size > 1:
            dist.destroy_process_group()

    @property
    def abandoned(self) -> bool:
        """Whether ``torchrun`` has ended, so that it no longer restarts failed processes or stops the others."""
        return self.launcher is not None and os.getppid() != self.launcher

    @property
    def first(self) -> bool:
        """Whether this is the one process that writes."""
        return self.rank == 0

    @contextmanager
    def first_goes_ahead(self) -> Iterator[None]:
        """Let the other processes wait until the first is done, and stop them if it raises an error.

        Raises:
            RunError: In the other processes, if the first has raised an error, which states the reason.
        """
        try:
            yield
        except GateworkError:
            self.largest(1)
            raise
        if self.largest(0):
            raise RunError(f"Process {self.rank} stops too: the first process says why.")

    def check_batch(self, batch_size: int) -> None:
        """Refuse a batch that does not give every process a stream.

        Raises:
            ConfigError: If there are fewer streams than processes.
        """
        if batch_size < self.size:
            raise ConfigError(
                f"batch_size is {batch_size}, and {self.size} processes are to share it; expected a stream for each. "
                "Raise --batch-size or start fewer."
            )

    def rows(self, batch_size: int, rank: int | None = None) -> slice:
        """Return the rows of the global batch that belong to a process."""
        rank = self.rank if rank is None else rank
        return slice(batch_size * rank // self.size, batch_size * (rank + 1) // self.size)

    def add_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Sum the gradients of all processes, in one message per dtype."""
        if self.size == 1:
            return
        kinds: dict[torch.dtype, list[Tensor]] = {}
        for parameter in parameters:
            if parameter.grad is None:  # every process must send the same
                parameter.grad = torch.zeros_like(parameter)
            kinds.setdefault(parameter.dtype, []).append(parameter.grad)
        for gradients in kinds.values():
            flat = torch.cat([gradient.flatten() for gradient in gradients])
            dist.all_reduce(flat)
            parts = flat.split([gradient.numel() for gradient in gradients])
            for gradient, part in zip(gradients, parts, strict=True):
                gradient.copy_(part.view_as(gradient))

    def add(self, *numbers: float) -> list[float]:
        """Sum numbers over all processes."""
        if self.size == 1:
            return list(numbers)
        together = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        dist.all_reduce(together)
        return together.tolist()

    def largest(self, number: float) -> float:
        """Return the largest number of all processes."""
        if self.size == 1:
            return number
        together = torch.tensor([number], dtype=torch.float64, device=self.device)
        dist.all_reduce(together, dist.ReduceOp.MAX)
        return float(together)

    def share(self, tensors: Mapping[str, Tensor] | None, facts: Any = None) -> tuple[dict[str, Tensor], Any]:
        """Send tensors and facts from the first process to all.

        Args:
            tensors: The tensors of the first process, by name; those of the other processes are ignored.
            facts: Facts of the first process that JSON can hold; those of the other processes are ignored.

        Returns:
            The tensors (on the CPU) and the facts.
        """
        if self.size == 1:
            return dict(tensors or {}), facts
        header = None
        if self.first:
            tensors = dict(tensors or {})
            shapes = {name: [str(t.dtype).removeprefix("torch."), *t.shape] for name, t in tensors.items()}
            header = json.dumps([shapes, facts]).encode()
        length = int(self.add(len(header) if header else 0)[0])
        message = torch.frombuffer(bytearray(header), dtype=torch.uint8) if header else torch.empty(length).byte()
        shapes, facts = json.loads(bytes(self._from(0, message).tolist()))
        received = {}
        for name, (kind, *shape) in shapes.items():
            mine = tensors[name] if self.first and tensors else torch.empty(shape, dtype=getattr(torch, kind))
            received[name] = self._from(0, mine).cpu()
        return received, facts

    def gather(self, mine: Tensor, shapes: list[torch.Size]) -> list[Tensor]:
        """Collect one tensor from each process, unchanged.

        Args:
            mine: The tensor of this process.
            shapes: The shape of the tensor of each process, known to all.

        Returns:
            The tensors in the order of the processes.
        """
        if self.size == 1:
            return [mine]
        gathered = []
        for rank, shape in enumerate(shapes):
            tensor = mine if rank == self.rank else torch.empty(shape, dtype=mine.dtype, device=mine.device)
            gathered.append(self._from(rank, tensor).to(mine.device))
        return gathered

    def _from(self, rank: int, tensor: Tensor) -> Tensor:
        there = tensor.detach().to(self.device).contiguous()
        dist.broadcast(there, src=rank)
        return there


def _told_by_torchrun(variable: str, default: int) -> int:
    told = os.environ.get(variable, "")
    if told and not re.fullmatch("[0-9]{1,6}", told):
        raise ConfigError(f"{variable} is '{told}'; expected a whole number, as torchrun sets it. Unset it otherwise.")
    return int(told) if told else default


def pick_device(device: str, dtype: str = "float32") -> torch.device:
    """Turn ``cpu``, ``cuda``, ``cuda:N``, ``mps`` or ``auto`` into an available device.

    Args:
        device: The device. ``auto`` does not choose ``mps``: nobody has measured it here, and small models are often
            faster with the CPU's kernels.
        dtype: The type of number to compute in.

    Raises:
        ConfigError: If there is no such device, or if it does not have the type.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(DEVICE, device):
        raise ConfigError(f"device is '{device}'; expected cpu, cuda, cuda:N, mps or auto.")
    if device == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("device is 'mps', and torch sees no GPU of Apple's here. Choose --device cpu or auto.")
    if device == "mps" and dtype == "float64":
        raise ConfigError("device is 'mps' and dtype is float64, which Apple's GPUs do not have. Choose --device cpu.")
    chosen = torch.device(device)
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"device is '{device}', and torch sees {torch.cuda.device_count()} GPUs. Choose --device cpu or auto."
        )
    return chosen
