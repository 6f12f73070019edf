"""One training run in memory: the model, the optimiser, the carried state and the position in the data."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from math import isfinite
from typing import Any, cast

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from gatework.errors import CheckpointError, NonFiniteLossError
from gatework.models.state import State
from gatework.nn.recurrent import Recurrent
from gatework.reading.nested import fault_in_words
from gatework.runs.checkpoint import Checkpoint
from gatework.runs.seeds import mixed_seed
from gatework.training.config import TrainConfig
from gatework.training.jobs.protocol import Job, Measured
from gatework.training.parallel import ProcessGroup
from gatework.training.schedule import learning_rate

# The names in checkpoints of earlier versions.
_SUMS_BEFORE = {"nats": "loss", "tokens": "asked"}


# The quantities that an optimiser keeps for each parameter, and the one that counts steps.
_COUNTER = "step"
_REMEMBERED = {"adamw": (_COUNTER, "exp_avg", "exp_avg_sq"), "sgd": ()}
_STATE = "state."


@dataclass
class Sums:
    """The sums since the last line of training loss."""

    loss: float = 0.0
    asked: int = 0
    norm: float = 0.0
    steps: int = 0


class _Sums(BaseModel):
    """The sums, as stored in a checkpoint."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    loss: float
    asked: int = Field(ge=0)
    norm: float = Field(ge=0)
    steps: int = Field(ge=0)


class _Facts(BaseModel):
    """The plain data of a checkpoint from which a run resumes, besides tensors."""

    model_config = ConfigDict(extra="ignore", strict=True)

    processes: int = Field(ge=1)
    sums: _Sums


@dataclass
class Trainer:
    """Everything that changes during a run, and the step that changes it.

    Args:
        config: The settings of the run.
        job: The job.
        group: The processes that train together.
    """

    config: TrainConfig
    job: Job
    group: ProcessGroup
    step: int = 0
    sums: Sums = field(default_factory=Sums)
    state: State = None

    def __post_init__(self) -> None:
        """Draw the model from the seed, and prepare everything else."""
        config = self.config
        self.group.check_batch(config.batch_size)
        self.rows = self.group.rows(config.batch_size)
        self.steps = config.total_steps(self.job.steps_per_epoch)
        torch.manual_seed(config.seed)
        self.model: nn.Module = self.job.build(self.group.device)
        self.parameters: dict[str, Tensor] = dict(self.model.named_parameters())
        self.optimizer = _optimizer(config, self.model)
        # All processes start from the same parameters, and then draw different masks.
        self._seed_generators(0)

    def train_step(self) -> tuple[int, float]:
        """Train on the next batch.

        Returns:
            The amount of data read, in the unit of the job, and the loss per target, over all processes.

        Raises:
            NonFiniteLossError: If the loss or its gradient is not finite; the parameters then stay as they were.
        """
        self.model.train()
        part = self.job.train(self.model, self.step, self.rows, self.state)
        self.optimizer.zero_grad(set_to_none=True)
        # If the loss is summed over time, a longer window weighs more, in the step and in the norm that is clipped.
        by_time = self.config.reduction == "sum_over_time"
        (part.total / (self.config.batch_size if by_time else part.asked)).backward()
        self.group.add_gradients(self.parameters.values())
        total = self.group.add(float(part.total.detach()))[0]
        norm = self._clip()
        self._check(total / part.asked, norm)
        for settings in self.optimizer.param_groups:
            settings["lr"] = self.learning_rate(self.step + 1)
        self.optimizer.step()
        self.state = _detached(part.state)
        self.step += 1
        sums = self.sums
        self.sums = Sums(sums.loss + total, sums.asked + part.asked, sums.norm + norm, sums.steps + 1)
        return part.amount, total / part.asked

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 1."""
        return learning_rate(self.config, step, self.steps, self.job.steps_per_epoch)

    def take_sums(self) -> dict[str, float]:
        """Return the training loss since the last call, under the names of a line of metrics."""
        sums, self.sums = self.sums, Sums()
        named = self.job.trained(sums.loss, sums.asked).named()
        line = {f"train_{name}": value for name, value in named.items()}
        return line | {"gradient_norm": sums.norm / sums.steps, "learning_rate": self.learning_rate(self.step)}

    def measure(self, split: str) -> Measured:
        """Measure the model on a split, each process on its share."""
        mine = self.job.measure(self.model, split, (self.group.rank, self.group.size))
        return self.job.put_together(self.group.add(*mine.sums()))

    def is_finite(self) -> bool:
        """Tell whether every parameter is finite."""
        return all(bool(torch.isfinite(parameter).all()) for parameter in self.parameters.values())

    def _clip(self) -> float:
        """Return the norm of the whole gradient; scale the gradient down to the limit if the norm is too large."""
        limit = self.config.clip_norm or float("inf")
        return float(torch.nn.utils.clip_grad_norm_(list(self.parameters.values()), limit))

    def _check(self, loss: float, norm: float) -> None:
        if isfinite(loss) and isfinite(norm):
            return
        what = f"The loss became {loss}" if not isfinite(loss) else f"The gradient's norm became {norm}"
        raise NonFiniteLossError(f"{what} at step {self.step + 1:,}.")

    def _seed_generators(self, step: int) -> None:
        torch.manual_seed(mixed_seed(self.config.seed, self.group.rank, step))

    def weights(self) -> dict[str, Tensor]:
        """Return the parameters on the CPU, by name."""
        return {name: parameter.detach().cpu() for name, parameter in self.parameters.items()}

    def checkpoint(self, facts: Mapping[str, Any]) -> Checkpoint:
        """Collect everything into a checkpoint. Every process must call this; only that of the first is complete.

        Args:
            facts: Further plain data to store.
        """
        state = {f"state.{number}": tensor for number, tensor in enumerate(self._gathered_state())}
        optimizer = {
            f"{name}/{quantity}": value.cpu()
            for name, parameter in self.parameters.items()
            for quantity, value in self.optimizer.state[parameter].items()
            if isinstance(value, Tensor)
        }
        model = self.weights()
        own: dict[str, Any] = {"processes": self.group.size, "sums": vars(self.sums)}
        if self.job.steps_per_epoch is not None:
            epoch, window = divmod(self.step, self.job.steps_per_epoch)
            own |= {"epoch": epoch, "window": window, "windows": self.job.steps_per_epoch}
        return Checkpoint(self.step, model, optimizer, state | self._gathered_generators(), own | dict(facts))

    def restore(self, checkpoint: Checkpoint | None) -> None:
        """Resume from a checkpoint, which only the first process needs to have; None starts from the beginning.

        Raises:
            CheckpointError: If its tensors do not fit this model.
        """
        tensors, facts = None, None
        if checkpoint is not None:
            facts = {"step": checkpoint.step, **_read_facts(checkpoint)}
            parts = {"model": checkpoint.model, "optimizer": checkpoint.optimizer, "state": checkpoint.state}
            tensors = {f"{part}:{name}": t for part, named in parts.items() for name, t in named.items()}
        shared, facts = self.group.share(tensors, facts)
        if facts is None:
            return
        parts = {part: _part(shared, part) for part in ("model", "optimizer", "state")}
        load_parameters(self.model, parts["model"])
        self._restore_optimizer(parts["optimizer"], facts["step"])
        self.state = self._own_rows(self._carried(parts["state"], facts["step"]))
        self.step, self.sums = facts["step"], Sums(**facts["sums"])
        self._restore_generators(parts["state"], facts["processes"])

    def _restore_optimizer(self, saved: Mapping[str, Tensor], step: int) -> None:
        quantities = _REMEMBERED[self.config.optimizer]
        # The optimiser has no state for a parameter that no gradient has reached yet, but at least one was reached.
        begun = {key.rpartition("/")[0] for key in saved} & self.parameters.keys()
        if step and quantities and not begun:
            raise CheckpointError(f"The checkpoint is damaged: its optimiser remembers nothing of {step:,} steps.")
        counter = torch.tensor(float(step))
        expected = {
            f"{name}/{quantity}": counter if quantity == _COUNTER else parameter
            for name, parameter in self.parameters.items()
            if name in begun
            for quantity in quantities
        }
        _check_tensors(saved, expected, "what its optimiser remembers")
        wrong = [name for name in expected if not _could_be(name.rpartition("/")[2], saved[name], step)]
        if wrong:
            raise CheckpointError(f"The checkpoint is damaged: {', '.join(wrong[:4])} cannot come of {step:,} steps.")
        for key in expected:
            name, _, quantity = key.rpartition("/")
            # AdamW counts its steps on the CPU, wherever the parameters are.
            where = saved[key] if quantity == _COUNTER else saved[key].to(self.group.device)
            self.optimizer.state[self.parameters[name]][quantity] = where.clone()

    def _carried(self, saved: Mapping[str, Tensor], step: int) -> list[Tensor]:
        """Return the states of all streams, if they are carried to the next step."""
        carried = {name: tensor for name, tensor in saved.items() if name.startswith(_STATE)}
        expected: dict[str, Tensor] = {}
        if self.job.carries(step):
            layers = cast(Recurrent, self.model.recurrent)
            like, rows = next(iter(self.parameters.values())), self.config.batch_size
            for number, name in enumerate(layers.cell.states):
                size = layers.layers[0].size(name)
                expected[f"{_STATE}{number}"] = like.new_empty(()).expand(layers.num_layers, rows, size)
        _check_tensors(carried, expected, "the states it carries")
        return [carried[name] for name in expected]

    def _gathered_state(self) -> list[Tensor]:
        """Join the rows of all processes, in the order of the global batch."""
        if self.state is None:
            return []
        whole = []
        for tensor in _tensors(self.state):
            rows = [self.group.rows(self.config.batch_size, rank) for rank in range(self.group.size)]
            shapes = [torch.Size((len(tensor), row.stop - row.start, *tensor.shape[2:])) for row in rows]
            whole.append(torch.cat(self.group.gather(tensor, shapes), dim=1).cpu())
        return whole

    def _own_rows(self, carried: list[Tensor]) -> State:
        mine = tuple(tensor[:, self.rows].to(self.group.device).contiguous() for tensor in carried)
        if not mine:
            return None
        return mine[0] if len(mine) == 1 else mine

    def _gathered_generators(self) -> dict[str, Tensor]:
        """Collect the state of every process's random generators."""
        own = {"cpu": torch.get_rng_state()}
        kind = self.group.device.type
        if kind != "cpu":
            own[kind] = torch.get_device_module(kind).get_rng_state(self.group.device)
        states = {}
        for kind, generator in own.items():
            for rank, tensor in enumerate(self.group.gather(generator, [generator.shape] * self.group.size)):
                states[f"generator.{rank}.{kind}"] = tensor.cpu()
        return states

    def _restore_generators(self, saved: Mapping[str, Tensor], processes: int) -> None:
        if processes != self.group.size:
            # With another number of processes, the masks differ anyway: start again from seed, process and step.
            self._seed_generators(self.step)
            return
        _set_generator(torch.set_rng_state, torch.get_rng_state(), saved, f"generator.{self.group.rank}.cpu")
        device = self.group.device
        name = f"generator.{self.group.rank}.{device.type}"
        if device.type != "cpu" and name in saved:
            module = torch.get_device_module(device.type)
            _set_generator(partial(module.set_rng_state, device=device), module.get_rng_state(device), saved, name)


def load_parameters(model: nn.Module, saved: Mapping[str, Tensor]) -> None:
    """Copy saved parameters into a model.

    Raises:
        CheckpointError: If names, shapes or dtypes differ from those of the model, or a parameter is not finite.
    """
    own = dict(model.named_parameters())
    _check_tensors(saved, own, "its parameters")
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(saved[name])


def _check_tensors(saved: Mapping[str, Tensor], expected: Mapping[str, Tensor], what: str) -> None:
    """Refuse saved tensors whose names, shapes or dtypes are not the expected ones, or that are not finite."""
    forms = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in expected.items()}
    given = {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in saved.items()}
    if forms != given:
        differing = sorted({name for name in {*forms, *given} if forms.get(name) != given.get(name)})
        raise CheckpointError(
            f"The checkpoint does not belong to this model: of {what}, {', '.join(differing[:4])} differ in name, "
            "shape or kind of number; it was written by another version of the program."
        )
    broken = [name for name, tensor in saved.items() if not bool(torch.isfinite(tensor).all())]
    if broken:
        raise CheckpointError(f"The checkpoint is damaged: of {what}, {', '.join(broken[:4])} are not finite numbers.")


def _could_be(quantity: str, value: Tensor, step: int) -> bool:
    """Tell whether a value is possible in an optimiser's state: its count of steps, or a mean square of 0 or more."""
    if quantity == _COUNTER:
        return 0 < float(value) <= step  # fewer if the first gradient reached the parameter later
    return quantity != "exp_avg_sq" or bool((value >= 0).all())


def _read_facts(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the plain data of a checkpoint from which a run resumes."""
    facts = dict(checkpoint.facts)
    if isinstance(facts.get("sums"), dict):
        facts["sums"] = {_SUMS_BEFORE.get(name, name): value for name, value in facts["sums"].items()}
    try:
        return _Facts.model_validate(facts).model_dump()
    except ValidationError as error:
        raise CheckpointError(f"The checkpoint is damaged: {fault_in_words(error)}") from error


def _set_generator(set_state: Callable[[Tensor], None], own: Tensor, saved: Mapping[str, Tensor], name: str) -> None:
    given = {key: tensor for key, tensor in saved.items() if key == name}
    _check_tensors(given, {name: own}, "its random generators")
    try:
        set_state(saved[name])
    except RuntimeError as error:  # torch checks a state only when it is set
        raise CheckpointError(f"The checkpoint is damaged: '{name}' is no state of a random generator.") from error


def _optimizer(config: TrainConfig, model: nn.Module) -> Optimizer:
    parameters = list(model.parameters())
    if config.weight_decay_on == "all":
        without: set[int] = set()
    else:
        # Weight decay does not apply to biases and gains: they are few, and zero is not a special value for them.
        without = {id(parameter) for parameter in parameters if parameter.dim() <= 1}
    if config.weight_decay_on == "hidden":
        without |= {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    groups: list[dict[str, Any]] = [{"params": [one for one in parameters if id(one) not in without]}]
    if without:
        rest = [one for one in parameters if id(one) in without]
        groups.append({"params": rest, "weight_decay": 0.0})
    kind = AdamW if config.optimizer == "adamw" else SGD
    return kind(groups, lr=config.learning_rate, weight_decay=config.weight_decay)


def _tensors(state: State) -> tuple[Tensor, ...]:
    if state is None:
        return ()
    return (state,) if isinstance(state, Tensor) else state


def _detached(state: State) -> State:
    if state is None or isinstance(state, Tensor):
        return None if state is None else state.detach()
    return tuple(tensor.detach() for tensor in state)


def _part(shared: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    return {name.removeprefix(f"{part}:"): tensor for name, tensor in shared.items() if name.startswith(f"{part}:")}
