"""The registry of jobs: who names a job, what a third one needs, and what each answers for."""

import ast
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from pydantic import Field
from torch import nn

import gatework
from gatework.errors import ConfigError, RunError
from gatework.models.sequences import Score
from gatework.models.state import State
from gatework.nn import Recurrent
from gatework.tasks.task import NOTHING
from gatework.training import evaluate, generate, train
from gatework.training.jobs import registry
from gatework.training.jobs.evaluation import Evaluation
from gatework.training.jobs.kind import Ending, JobKind
from gatework.training.jobs.protocol import StepLoss
from gatework.training.jobs.registry import JOBS, TrainConfig, kind_of, settings_of
from gatework.training.jobs.settings import Settings, listed

SOURCE = Path(gatework.__file__).parent
NAMES = {"TextJob", "TextKind", "TextSettings", "SequenceJob", "SequenceKind", "SequenceSettings"}
JOBS_FOLDER = SOURCE / "training" / "jobs"


def files():
    return [(path, ast.parse(path.read_text(encoding="utf-8"))) for path in SOURCE.rglob("*.py")]


def test_only_its_own_file_and_the_registry_name_a_job():
    """Two places are touched by a new kind of job."""
    naming = set()
    for path, tree in files():
        words = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        words |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
        if words & NAMES:
            naming.add(path)
    assert naming == {JOBS_FOLDER / name for name in ("text.py", "text_data.py", "sequence.py", "registry.py")}


def asks_for_a_job(sides):
    """Tell a comparison of a run's task, or of what is called a task, with the name of a job."""
    told = [ast.unparse(side) for side in sides]
    names = {f"'{kind.name}'" for kind in JOBS} | {"TEXT"}
    return any(text.endswith(".task") for text in told) or (
        any(text in names for text in told) and any("task" in text for text in told)
    )


def test_nobody_branches_on_the_name_of_a_job():
    branches = []
    for path, tree in files():
        for node in ast.walk(tree):
            if isinstance(node, ast.Compare) and asks_for_a_job([node.left, *node.comparators]):
                branches.append(f"{path.relative_to(SOURCE)}:{node.lineno}: {ast.unparse(node)}")
            if isinstance(node, ast.Match) and asks_for_a_job([node.subject]):
                branches.append(f"{path.relative_to(SOURCE)}:{node.lineno}: match {ast.unparse(node.subject)}")
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "isinstance":
                kinds = {name.id for name in ast.walk(node.args[1]) if isinstance(name, ast.Name)}
                branches += [f"{path.relative_to(SOURCE)}:{node.lineno}: isinstance {name}" for name in kinds & NAMES]
    assert branches == []


def test_every_setting_belongs_to_all_jobs_or_to_one():
    owned = [name for kind in JOBS for name in settings_of(kind)]
    assert len(owned) == len(set(owned))
    assert {*owned, *Settings.model_fields} == set(TrainConfig.model_fields)
    assert set(listed(TrainConfig)) == set(TrainConfig.model_fields)


def test_settings_of_another_job_are_refused_whichever_they_are():
    """Also those of jobs to come."""

    class Loud(Settings):
        headings: ClassVar[Mapping[str, str]] = {"loudness": "Task"}
        loudness: int = Field(3, description="How loud.")

    class LoudKind(JobKind):
        name = "loud"
        settings = Loud

    class Wider(TrainConfig, Loud):
        pass

    assert list(listed(Wider))[:3] == ["task", "gap", "loudness"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "JOBS", (*JOBS, LoudKind()))
        assert Wider(task="loud", loudness=5).title == "loud"
        with pytest.raises(ConfigError, match="There is no task 'lod'"):
            kind_of("lod")
        for told, message in (
            ({"task": "adding", "loudness": 5}, "loudness is 5, and has no meaning in task 'adding'. Leave it out."),
            ({"task": "loud", "window": 5}, "window is 5, and has no meaning in task 'loud'. Leave it out."),
            ({"loudness": 5}, "loudness is 5, and a text has none. Leave it out, or choose a --task"),
        ):
            with pytest.raises(ValueError, match=message):
                Wider.model_validate(told)


class EchoModel(nn.Module):
    """Say the last step's number again."""

    def __init__(self, config):
        super().__init__()
        self.recurrent = Recurrent(config.cell, 1, config.hidden_size)
        self.head = nn.Linear(config.hidden_size, 1)

    def forward(self, numbers):
        return self.head(self.recurrent(numbers)[0])


class EchoJob:
    """A third job, the smallest there can be."""

    fingerprint, unit, steps_per_epoch, splits, quantity = "echo", "sequence", None, ("train", "valid"), "loss"
    success = shape = None

    def __init__(self, config):
        self.config = config

    def baseline(self):
        return {}

    def trivial(self, split):
        return {}

    def describe(self):
        return {"name": "echo"}

    def facts(self):
        return {"fingerprint": self.fingerprint}

    def files(self):
        return {}

    def about(self):
        return ["echoes"]

    def build(self, device):
        return EchoModel(self.config).to(device)

    def draw(self, seed, rows):
        drawn = torch.randn(6, 64, 1, generator=torch.Generator().manual_seed(seed))[:, rows]
        return drawn, torch.cat([torch.zeros_like(drawn[:1]), drawn[:-1]])

    def train(self, model, step, rows, state: State):
        numbers, targets = self.draw(step, rows)
        loss = (model(numbers) - targets).square().sum()
        return StepLoss(loss, targets.numel(), numbers.shape[1], None)

    def carries(self, step):
        return False

    def trained(self, total, asked):
        return Score(loss=total, asked=asked, judged=False)

    def measure(self, model, split, share):
        with torch.no_grad():
            numbers, targets = self.draw(-1 if split == "valid" else 0, slice(None))
            return Score(loss=float((model(numbers) - targets).square().sum()), asked=targets.numel(), judged=False)

    def put_together(self, sums):
        return Score(loss=sums[0], asked=int(sums[2]), judged=False)

    def sample(self, model, seed):
        return ""


class EchoKind(JobKind):
    name = "echo"
    settings = Settings

    def begin(self, config: Any) -> Any:
        return EchoJob(config)

    def restore(self, run, config, kept) -> Any:
        return EchoJob(config)

    def evaluate(self, restored, question):
        score = restored.trained.measure(restored.model, question.split, (0, 1))
        return Evaluation(restored.run, restored.step, question.split, score.asked, 0, score.named())

    def ending(self, config, run, metrics, sample, splits, trivial=NOTHING):
        return Ending("numbers", ".2f")


def test_a_third_job_is_trained_resumed_and_measured(monkeypatch, tmp_path, same):
    """A row is all that it needs: the trainer, the run directory and the command line know nothing of it."""
    monkeypatch.setattr(registry, "JOBS", (*JOBS, EchoKind()))

    def told(run, steps):
        sizes = {"hidden_size": 8, "batch_size": 64, "steps": steps, "log_every": 5, "threads": 1}
        rhythm = {"evaluate_every": 30, "checkpoint_every": 10, "learning_rate": 0.03, "schedule": "constant"}
        return TrainConfig.model_validate({"task": "echo", "run": str(tmp_path / run), **sizes, **rhythm})

    straight = train(told("straight", 60))
    train(told("broken", 30))
    broken = train(told("broken", 60))
    same(straight.run, broken.run)
    assert straight.metrics["loss"] < 0.3  # it learns: 5/6 is what the best guess without a state gets
    assert evaluate(str(straight.run)).metrics == straight.metrics
    with pytest.raises(RunError, match="was trained on task 'echo'; expected a run on text"):
        generate(str(straight.run))
