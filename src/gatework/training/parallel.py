"""Data-parallel training: several processes, each with its share of the streams, one model.

Started by ``torchrun``. Each process keeps its own rows of the global batch; gradients are summed, each divided by the
tokens of all, so the result is that of one process up to the rounding of sums. Only dropout differs: each process draws
its own masks. Nothing is pickled: what processes tell each other are tensors and JSON.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch

# Imported before a group exists: its functions have the group of that moment as a default, and torch imports it when an
# optimiser first steps. The group would then outlive its end, and its threads abort the process as it leaves.
import torch.distributed.nn.functional
from torch import Tensor
from torch import distributed as dist

from gatework.errors import ConfigError, GateworkError, RunError
from gatework.training.jobs.settings import DEVICE


class Group:
    """The processes that train together; a single one is a group of its own.

    Args:
        rank: This process's number, from 0.
        size: The number of processes.
        device: Where this process computes.
        launcher: The process that started this one and is to outlive it; None where nothing depends on one.
    """

    def __init__(
        self, rank: int = 0, size: int = 1, device: torch.device | None = None, launcher: int | None = None
    ) -> None:
        self.rank = rank
        self.size = size
        self.device = device or torch.device("cpu")
        self.launcher = launcher

    @classmethod
    def join(cls, device: str) -> "Group":
        """Join the processes that ``torchrun`` started; alone where it did not.

        Args:
            device: ``cpu``, ``cuda``, ``cuda:N`` or ``auto``. Under ``torchrun`` process n of a machine takes GPU n.

        Raises:
            ConfigError: When the device is not there.
        """
        chosen = pick_device(device)
        size = _told_by_torchrun("WORLD_SIZE", 1)
        if size == 1:
            return cls(device=chosen)
        # Ranks that somebody started by hand may well go on when the shell that did is left.
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
        """True when ``torchrun`` is gone: nobody would start a process that fails again, or stop the others."""
        return self.launcher is not None and os.getppid() != self.launcher

    @property
    def first(self) -> bool:
        """True in the one process that writes."""
        return self.rank == 0

    @contextmanager
    def first_goes_ahead(self) -> Iterator[None]:
        """Let the others wait until the first process is through, and stop with it where it refuses.

        Raises:
            RunError: In the others, when the first process has refused; it says itself why.
        """
        try:
            yield
        except GateworkError:
            self.largest(1)
            raise
        if self.largest(0):
            raise RunError(f"process {self.rank} stops too: the first process says why")

    def check_batch(self, batch_size: int) -> None:
        """Refuse a batch that does not give every process a stream.

        Raises:
            ConfigError: With both numbers.
        """
        if batch_size < self.size:
            raise ConfigError(
                f"batch_size is {batch_size}, and {self.size} processes are to share it: expected a stream for each; "
                "raise --batch-size or start fewer"
            )

    def rows(self, batch_size: int, rank: int | None = None) -> slice:
        """Give the rows of the global batch that a process has."""
        rank = self.rank if rank is None else rank
        return slice(batch_size * rank // self.size, batch_size * (rank + 1) // self.size)

    def add_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Sum the gradients of all processes, in one message per kind of number."""
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
        """Give the largest of all processes' numbers."""
        if self.size == 1:
            return number
        together = torch.tensor([number], dtype=torch.float64, device=self.device)
        dist.all_reduce(together, dist.ReduceOp.MAX)
        return float(together)

    def share(self, tensors: Mapping[str, Tensor] | None, facts: Any = None) -> tuple[dict[str, Tensor], Any]:
        """Give what the first process has to all.

        Args:
            tensors: The first process's tensors by name; the others' are not looked at.
            facts: Anything JSON can hold, likewise.

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
        """Collect one tensor from each process, exactly as it is.

        Args:
            mine: This process's tensor.
            shapes: The shape of each process's tensor, known to all.

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
        raise ConfigError(f"{variable} is '{told}': expected a whole number, as torchrun sets it; unset it otherwise")
    return int(told) if told else default


def pick_device(device: str) -> torch.device:
    """Turn ``cpu``, ``cuda``, ``cuda:N`` or ``auto`` into a device that is there.

    Raises:
        ConfigError: When it is not.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(DEVICE, device):
        raise ConfigError(f"device is '{device}': expected cpu, cuda, cuda:N or auto")
    chosen = torch.device(device)
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"device is '{device}', and torch sees {torch.cuda.device_count()} GPUs: choose --device cpu or auto"
        )
    return chosen
