"""A sequence task as a job: new sequences are drawn for every step, or recorded ones are read in passes."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from gatework.cells import Cell, is_latent
from gatework.errors import ConfigError, DataError, RunError
from gatework.models.latent import LatentModel
from gatework.models.sequences import Score, SequenceModel
from gatework.models.state import State
from gatework.tasks.own import check_draw, find_task, is_own, is_task
from gatework.tasks.task import NOTHING, Batch, Recorded, Recording, Split, Success, Synthetic, Task, name_predictor
from gatework.training.jobs.batches import Batches
from gatework.training.jobs.build import build_cell, known_cell, own_projection
from gatework.training.jobs.evaluation import Evaluation, Question
from gatework.training.jobs.gaps import another_gap
from gatework.training.jobs.kind import Answers, Ending, JobKind, Kept, Reading, Restored, cannot
from gatework.training.jobs.latent import nothing_to_draw, refuse_unless_continued
from gatework.training.jobs.protocol import StepLoss
from gatework.training.jobs.reading import read_sequences, remembered
from gatework.training.jobs.recordings import digest_batches, is_read_as_before, load_recording
from gatework.training.jobs.sequence_model import ModelSizes, build_sequence_model, maps_input
from gatework.training.jobs.sequence_settings import SequenceSettings
from gatework.training.jobs.settings import Settings
from gatework.training.jobs.shape import SequenceShape
from gatework.training.jobs.transcripts import measure_transcripts, spells
from gatework.training.jobs.trivial import measure_predictors
from gatework.training.jobs.truncation import run_piece, windows_of

# The number of held-out sequences for evaluations during training.
_VALID_SIZE = 500
_ASKED_LAST = "asked_last"  # among the facts of recorded data


class SequenceJob:
    """Predict the targets of a sequence task.

    Args:
        config: The settings of the run.
        recording: What is known of recorded data without reading them, to use a finished model; it has no splits.

    Raises:
        ConfigError: If the gap is out of range, or a setting has no meaning here.
        DataError: If recorded data are missing, damaged, or too few for a batch.
    """

    unit = "sequence"

    def __init__(
        self, config: SequenceSettings, recording: Recording | None = None, *, as_before: bool = False
    ) -> None:
        self.config = config
        self.task: Task = find_task(config.task)
        self.gap = self.task.check_gap(config.gap)
        self.quantity = "loss"
        self.splits: tuple[Split, ...] = ("train", "valid", "test")
        self._held: dict[str, Batch] = {}
        examples = self.task.examples
        self.recording = recording
        if recording is None and isinstance(examples, Synthetic):
            if config.epochs is not None:
                raise ConfigError(
                    f"epochs is {config.epochs}: task '{self.task.name}' draws new sequences for ever. Give --steps."
                )
            if is_own(self.task.name):
                check_draw(self.task, self.gap)
        elif recording is None:
            self.recording = load_recording(self.task, self.gap, config, as_before=as_before)
        self.batches = Batches(
            config.seed, config.batch_size, self.task, self.gap, config.shortest_gap, self.recording, config.tbptt
        )
        self.steps_per_epoch = self.batches.per_pass
        if self.recording is not None and self.steps_per_epoch == 0:
            raise DataError(
                f"Task '{self.task.name}' has {self.recording.splits['train'].size:,} sequences to train on, and "
                f"batch_size is {config.batch_size}; expected no more than there are."
            )
        self.latent = is_latent(cell := build_cell(config))
        if self.latent and not (self.recording and not self.recording.splits):
            refuse_unless_continued(self.task, cell, self.held("valid"))

    @property
    def inputs(self) -> int:
        """The number of input features; for symbols, the number of different symbols."""
        return self.recording.inputs if self.recording else int(self.task.inputs or 0)

    @property
    def outputs(self) -> int:
        """The number of scores at each step."""
        return self.recording.outputs if self.recording else int(self.task.outputs or 0)

    @cached_property
    def fingerprint(self) -> str:
        """The fingerprint of the data; for drawn sequences, that of the method of drawing them."""
        splits = self.recording.splits.values() if self.recording else [self.batches.draw("test", 4, 0)]
        return digest_batches([self.task.name, self.gap], splits)

    def facts(self) -> dict[str, Any]:
        """Return facts about the sequences, as plain data."""
        sizes = {} if self.recording is None else {name: batch.size for name, batch in self.recording.splits.items()}
        facts = {} if self.recording is None else dict(self.recording.facts)
        if self.recording is not None and self._asked_last:
            facts[_ASKED_LAST] = True  # for the use of the model without its data
        return {
            "fingerprint": self.fingerprint,
            "task": self.task.name,
            "gap": self.gap,
            "inputs": self.inputs,
            "outputs": self.outputs,
            "splits": {name: {"sequences": size} for name, size in sizes.items()},
            "facts": facts,
        } | ({"own_task": True} if is_own(self.task.name) else {})

    def files(self) -> Mapping[str, Any]:
        """Return no files: the name of the task determines everything."""
        return {}

    @property
    def success(self) -> Success:
        """The criterion of success."""
        return self.task.success

    @property
    def shape(self) -> SequenceShape:
        """The sizes of the model, apart from its cell and its units; the projection depends on the cell."""
        head = self.task.head(self.outputs)
        config, sizes = self.config, (self.config.num_layers, self.task.symbols, self._embedding_size)
        return SequenceShape(self.inputs, head, *sizes, wiring=config.wiring, latent_size=config.latent_size)

    def describe(self) -> dict[str, Any]:
        """Describe the task and its source."""
        return {
            "name": self.task.name,
            "title": self.task.title,
            "source": self.task.source,
            "gap": self.task.gap.meaning,
            "published": [asdict(known) for known in self.task.published],
        }

    def baseline(self) -> dict[str, float]:
        """Return the metrics at chance level; empty if they are not known."""
        if self.recording is None:
            return dict(self.task.chance(self.gap))
        return dict(self.recording.facts.get("chance", {}))

    def trivial(self, split: str) -> Mapping[str, Mapping[str, float]]:
        """Return the metrics of trivial predictors on a split, by their names; empty if there are none."""
        chosen = next(name for name in self.splits if name == split)
        return measure_predictors(self.task, self.recording, self.gap, chosen)

    def about(self) -> list[str]:
        """Describe the task and the best trivial predictor on the test split."""
        best = self.task.success.best(self.trivial("test"))
        guess = "" if best is None else f"; {name_predictor(best[0])} gets {best[1]:.4g}"
        shortest = self.config.shortest_gap
        shorter = "" if shortest is None else f", in training {shortest:,} and more"
        lines = [
            f"task: {self.task.title}, gap {self.gap:,} ({self.task.gap.meaning}){shorter}",
            f"solved at {self.task.success}{guess}",
        ]
        if self.recording is not None:
            counts = ", ".join(f"{batch.size:,} {name}" for name, batch in self.recording.splits.items())
            lines.append(f"sequences: {counts}")
            lines += self.recording.facts.get("about", [])
        cell, width, units = build_cell(self.config), self._width, self.config.hidden_size
        if self._maps(cell):
            lines.append(f"input: a learned map from {width:,} to {units:,}, as {cell.name} reads it elementwise")
        return lines

    def build(self, device: torch.device) -> SequenceModel | LatentModel:
        """Draw the model on the CPU and in float32, whatever its later device and dtype.

        Raises:
            ConfigError: If it would not fit in memory; checked before anything is allocated.
            SizeError: If sizes do not fit the cell.
        """
        sizes = ModelSizes(self.inputs, self.outputs, self._places(), self.gap, self._asked_last)
        return build_sequence_model(self.config, self.task, sizes, device)

    @cached_property
    def _asked_last(self) -> bool:
        """Whether the model reads in both directions, and each sequence is asked at its last step alone."""
        if not self.config.bidirectional or self.recording is None:
            return self.config.bidirectional and self.batches.draw("valid", 4, 0).asked_last
        splits = self.recording.splits
        return splits["train"].asked_last if splits else bool(self.recording.facts.get(_ASKED_LAST))

    @property
    def _embedding_size(self) -> int | None:
        """The size of learned embeddings of symbols; None if there are none."""
        return self.config.embedding_size if self.task.symbols else None

    @property
    def _width(self) -> int:
        """The number of features that the layers read at each step."""
        return self._embedding_size or self.inputs

    def _maps(self, cell: Cell) -> bool:
        """Tell whether the model has a learned map before its layers."""
        return maps_input(self.config, cell, self._width)

    def _places(self) -> int:
        """Return the number of steps of the longest sequence; 1 if the data are not read, and nothing is trained."""
        if self.recording is not None:
            return self.recording.splits["train"].inputs.shape[0] if self.recording.splits else 1
        return self.batches.draw("valid", 1, 0).inputs.shape[0]

    def train(self, model: SequenceModel | LatentModel, step: int, rows: slice, state: State) -> StepLoss:
        """Draw the sequences of a step, or read the next recorded ones."""
        batch, piece = self.batches.training(step)
        steps, whole, weight = len(batch.inputs), self.batches.pieces == 1, model.head.weight
        counted = batch if whole else batch.window(piece.begin, piece.end).asked_from(piece.first - piece.begin)
        mine = counted.columns(rows).to(weight.device, weight.dtype)
        weighed = {"kl_weight": self.config.weigh_kl(step)} if self.latent else {}

        def run(begin: int, end: int, state: State) -> tuple[Tensor, State]:
            part = mine if whole else mine.window(begin - piece.begin, end - piece.begin)
            total, _, state = model.loss(part, self.task.kind, state, **weighed)
            return total, state

        total, state = run_piece(piece, state, run)
        return StepLoss(total, int(counted.asked.sum()), batch.size if piece.end == steps else 0, state)

    def carries(self, step: int) -> bool:
        """Tell whether a state is carried to the next step."""
        return self.batches.carries(step)

    def trained(self, total: float, asked: int) -> Score:
        """Turn the sum of the training loss into a score."""
        return Score(loss=total, asked=asked, judged=False)

    def held(self, split: str) -> Batch:
        """Return the sequences of a split for evaluation.

        Raises:
            DataError: If there is no such split.
        """
        chosen = next((name for name in self.splits if name == split), None)
        if chosen is None:
            raise DataError(f"The task has no split '{split}': it has {', '.join(self.splits)}.")
        if self.recording is not None:
            return self.recording.splits[chosen]
        if chosen not in self._held:
            examples = self.task.examples
            assert isinstance(examples, Synthetic)
            size = examples.test_size if chosen == "test" else min(_VALID_SIZE, examples.test_size)
            # No training sequence is ever repeated, so these are new ones drawn in the same way.
            self._held[chosen] = self.batches.draw(chosen, size, -1)
        return self._held[chosen]

    def measure(self, model: SequenceModel | LatentModel, split: str, share: tuple[int, int]) -> Score:
        """Measure the model on the share of a process."""
        batch, (rank, size) = self.held(split), share
        mine = batch.columns(slice(batch.size * rank // size, batch.size * (rank + 1) // size))
        return model.measure(mine, self.task)[0]

    def put_together(self, sums: list[float]) -> Score:
        """Make one score from the sums of several."""
        return Score.of_sums(sums, self.task)

    def sample(self, model: SequenceModel, seed: int) -> str:
        """Return no text."""
        return ""


class SequenceKind(JobKind):
    """Sequence tasks: one kind of job for all tasks in the registry of tasks."""

    name = "sequence"
    settings = SequenceSettings

    def takes(self, task: str) -> bool:
        """Tell whether this is the name of a sequence task."""
        return is_task(task)

    def one_way(self, task: str) -> str:
        """Say that the answers of some tasks stand in later inputs, and that streams have no end."""
        found = find_task(task)
        if found.foretells:
            return f"task '{task}' asks for what comes next, which a model that reads from the end has read"
        return f"task '{task}' cuts an endless stream, whose end is not there" if windows_of(found) > 1 else ""

    def defaults(self, values: Mapping[str, Any], *, files: bool) -> Mapping[str, Any]:
        """Return the task's own defaults, without those that the cell has no use for."""
        task = find_task(values["task"])
        cell = known_cell(values.get("cell", Settings.model_fields["cell"].default), files)
        # The forget bias of a task has no meaning for a cell without such a gate.
        gateless = cell is None or not cell.remember
        lengths = ("steps", "epochs")  # both give the length of a run, so either one counts for both
        said = any(values.get(name) is not None for name in lengths)
        left_out = {*(lengths if said else ()), *(("init", "forget_bias") if gateless else ())}
        suited = {name: value for name, value in task.defaults.items() if name not in left_out}
        units = {"hidden_size": Settings.model_fields["hidden_size"].default, **suited, **values}["hidden_size"]
        if cell is not None and isinstance(units, int) and (size := own_projection(cell, units)):
            suited["proj_size"] = size
        return suited

    def title(self, config: SequenceSettings) -> str:
        """Return the name of the task and the gap."""
        return config.task if config.gap is None else f"{config.task}-{config.gap}"

    def begin(self, config: SequenceSettings) -> SequenceJob:
        """Read the recorded sequences, or prepare to draw them."""
        return SequenceJob(config, as_before=is_read_as_before(config.directory))

    def restore(self, run: str, config: SequenceSettings, kept: Kept) -> SequenceJob:
        """Open the task, and check that its data are those of the training."""
        job = SequenceJob(config, as_before=is_read_as_before(kept.path))
        if job.fingerprint != kept.read_data()["fingerprint"]:
            raise DataError(
                f"The data of run '{run}' (task '{config.task}') have changed since it was trained. "
                "Bring the old ones back."
            )
        return job

    def reopen(self, run: str, config: SequenceSettings, kept: Kept) -> SequenceJob:
        """Open the task; the sizes of recorded data are among the facts of the run."""
        facts = kept.read_data()
        job = SequenceJob(config, remembered(facts, str(kept.path / "data.json")) if _is_recorded(config) else None)
        job.__dict__["fingerprint"] = facts["fingerprint"]
        return job

    def forecasts(self, config: SequenceSettings) -> bool:
        """Tell whether the task forecasts how a table goes on."""
        return bool(getattr(find_task(config.task).examples, "ahead", False))

    def read(self, restored: Restored, given: Any, lengths: Any = None) -> Reading:
        """Read sequences of a person's own: numbers or symbols, time first."""
        job: SequenceJob = restored.trained
        return read_sequences(given, lengths, job.inputs, job.task, restored.run)

    def answers(self, restored: Restored) -> Answers:
        """Return the kind of the task, and its classes."""
        job: SequenceJob = restored.trained
        if job.latent:
            raise RunError(cannot(restored, "answer what comes next by one score each: they draw it"))
        named = job.recording.facts.get("classes", ()) if job.recording else ()
        return Answers(restored.model.answering(job.task.kind), tuple(map(str, named)) or job.task.classes)

    def check_question(self, run: str, question: Question) -> None:
        """Refuse options that are only for text or for translations."""
        if question.data or question.streams is not None:
            given = f"data is '{question.data}'" if question.data else f"streams is {question.streams}"
            raise ConfigError(f"{given}, and run '{run}' was trained on a task, not on text. Leave it out.")

    def evaluate(self, restored: Restored, question: Question) -> Evaluation:
        """Measure a model on a split of its task, at the gap of the training or at another one."""
        job: SequenceJob = restored.trained
        if question.draws is not None and not job.latent:
            raise ConfigError(nothing_to_draw(restored.run, question.draws))
        if question.gap is not None:
            job = _at_gap(job, question.gap)
        draws = {} if question.draws is None else {"draws": question.draws}
        score, groups = restored.model.measure(job.held(question.split), job.task, **draws)
        metrics, trivial = score.named(), job.trivial(question.split)
        if spells(job.task):
            facts = job.recording.facts if job.recording else {}
            more, known = measure_transcripts(restored.model, job.held(question.split), facts, question.transcribing)
            metrics |= more
            trivial = {name: {**found, **known[name]} for name, found in trivial.items()}
        else:
            super().check_question(restored.run, question)
        names = job.recording.facts.get("groups", ()) if job.recording else ()
        return Evaluation(
            restored.run,
            restored.step,
            question.split,
            score.asked,
            0,
            metrics,
            gap=job.gap,
            solved=job.task.success.reached(metrics, trivial),
            chance=job.baseline(),
            trivial=trivial,
            verdict=job.task.success.verdict(metrics, trivial),
            sequences=score.sequences,
            groups=groups,
            group_names={group: names[group] for group in groups if group < len(names)},
        )

    def ending(
        self,
        config: SequenceSettings,
        run: str,
        metrics: Mapping[str, float],
        sample: str,
        splits: Sequence[str],
        trivial: Mapping[str, Mapping[str, float]] = NOTHING,
    ) -> Ending:
        """Report whether the criterion is met, and suggest to measure the model."""
        task = find_task(config.task)
        notes = [f"{task.success.verdict(metrics, trivial)}."] if metrics else []
        latent = is_latent(build_cell(config))
        other = None if latent else another_gap(task, task.check_gap(config.gap))
        wider = [] if other is None else [f"evaluate {run} --gap {other}"]
        own = [f"forecast {run} -o forecast.csv --plot forecast.png"] if self.forecasts(config) else []
        fresh = isinstance(task.examples, Recorded) and task.examples.fresh is not None
        own += [f"predict {run} {shlex.quote(config.data)} -o answers.csv"] if fresh else []
        return Ending(
            "sequences", ".4g", notes, [f"evaluate {run} --split test{' --draws 50' if latent else ''}", *wider, *own]
        )


def _is_recorded(config: SequenceSettings) -> bool:
    return isinstance(find_task(config.task).examples, Recorded)


def _at_gap(job: SequenceJob, gap: int) -> SequenceJob:
    """Open the task of a job at another gap, if its model can be measured there."""
    config = job.config.model_copy(update={"gap": gap})
    SequenceSettings.check(config)
    other = SequenceJob(config)
    if (other.inputs, other.outputs) != (job.inputs, job.outputs):
        raise ConfigError(
            f"gap is {gap}: the model reads {job.inputs} and gives {job.outputs} numbers a step, and there it would be "
            f"{other.inputs} and {other.outputs}. Train another one for that gap."
        )
    return other
