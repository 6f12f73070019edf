"""Begin a run with the weights of another one: which parameters are taken, and which are drawn anew."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gatework.errors import ConfigError
from gatework.runs.checkpoint import load_checkpoint
from gatework.runs.files import digest
from gatework.training.config import TrainConfig
from gatework.training.jobs.protocol import Job
from gatework.training.jobs.registry import kind_of
from gatework.training.restore import find_checkpoint, open_run
from gatework.training.run import fingerprint

_SHOWN = 6  # the most parameters that are named in a sentence


@dataclass(frozen=True)
class Start:
    """The weights with which a run began.

    Args:
        run: The other run.
        step: The step of its checkpoint.
        digest: The SHA-256 of its parameters.
        taken: The parameters that were taken.
        partly: The parameters of which rows were taken, with the number of these rows and of all.
        drawn: The parameters that were drawn anew, with the reason.
    """

    run: str
    step: int
    digest: str
    taken: tuple[str, ...]
    partly: Mapping[str, tuple[int, int]]
    drawn: Mapping[str, str]

    def facts(self) -> dict[str, Any]:
        """Return plain data for ``data.json``."""
        about = {"run": self.run, "step": self.step, "digest": self.digest, "taken": list(self.taken)}
        return about | {"partly": {name: list(rows) for name, rows in self.partly.items()}, "drawn": dict(self.drawn)}

    def about(self) -> list[str]:
        """Describe what was taken, in lines."""
        count = len(self.taken) + len(self.partly) + len(self.drawn)
        lines = [f"begins with '{self.run}', step {self.step:,}: {len(self.taken)} of {count} parameters taken whole"]
        if self.partly:
            rows = [f"{name} ({some:,} of {every:,})" for name, (some, every) in self.partly.items()]
            lines.append(f"rows of known symbols taken: {', '.join(rows)}")
        if self.drawn:
            named = [f"{name} ({why})" for name, why in list(self.drawn.items())[:_SHOWN]]
            lines.append(f"drawn anew: {', '.join(named)}{' …' if len(self.drawn) > _SHOWN else ''}")
        return lines


def begin_from(run: str, config: TrainConfig, job: Job, model: nn.Module) -> Start:
    """Copy the parameters of another run that fit into a model: those of the same name and the same shape.

    Of parameters with a row for each symbol, the rows of the symbols that both runs know are copied.

    Args:
        run: The directory of the other run. Its last checkpoint is used.
        config: The settings of the new run.
        job: The job of the new run.
        model: The model of the new run.

    Returns:
        What was taken, and what was not.

    Raises:
        RunError: If the directory is not a run, or has no checkpoint.
        CheckpointError: If the checkpoint is damaged.
        ConfigError: If no parameter fits.
    """
    directory = open_run(run)
    other = directory.read_config()
    trained = kind_of(other.task).reopen(run, other, directory)
    folder, step = find_checkpoint(directory, None)
    own = fingerprint(other, trained.fingerprint, directory.read_start())
    saved = load_checkpoint(folder, step, own).model
    rows = kind_of(config.task).shared_rows(job, trained)
    taken: list[str] = []
    partly: dict[str, tuple[int, int]] = {}
    drawn: dict[str, str] = {}
    for name, parameter in model.named_parameters():
        before = saved.get(name)
        if before is None:
            drawn[name] = "not there"
        elif name in rows and before.shape[1:] == parameter.shape[1:]:
            count = _copy_rows(parameter, before, rows[name])
            if count == len(parameter) == len(before):
                taken.append(name)
            else:
                partly[name] = (count, len(parameter))
        elif before.shape == parameter.shape:
            with torch.no_grad():
                parameter.copy_(before)
            taken.append(name)
        else:
            drawn[name] = f"{_shape(before)} there, {_shape(parameter)} here"
    if not taken and not partly:
        raise ConfigError(
            f"start_from is '{run}', and none of its parameters fits this model: {_reasons(drawn)}. Expected the same "
            "cell and sizes; leave --from out to begin with random weights."
        )
    return Start(str(directory.path), step, _digest(saved), tuple(taken), partly, drawn)


def _copy_rows(parameter: Tensor, before: Tensor, rows: tuple[Tensor, Tensor]) -> int:
    here, there = rows
    fits = (here < len(parameter)) & (there < len(before))
    with torch.no_grad():
        parameter[here[fits]] = before[there[fits]].to(parameter)
    return int(fits.sum())


def _digest(saved: Mapping[str, Tensor]) -> str:
    parts = (digest(tensor.contiguous().view(torch.uint8).numpy().data) for _, tensor in sorted(saved.items()))
    return digest("".join([*sorted(saved), *parts]).encode())


def _shape(tensor: Tensor) -> str:
    return "x".join(str(size) for size in tensor.shape)


def _reasons(drawn: Mapping[str, str]) -> str:
    return "; ".join(f"{name} is {why}" for name, why in list(drawn.items())[:_SHOWN])
