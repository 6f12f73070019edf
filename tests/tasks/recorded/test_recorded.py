"""Tasks on recorded data, read from tiny folders of the same format, and from the real ones where they are."""

import json
import math
from collections import Counter
from pathlib import Path

import pytest
import torch
from tests.tasks.recorded.tiny import CASES, SPLITS, Case, each_case, load

from gatework.models.sequences import SequenceModel
from gatework.tasks.generic.forecast import forecast
from gatework.tasks.task import Recorded, Recording, Task
from gatework.training import TrainConfig

REAL = [case.task for case in CASES if case.task is not forecast]


@pytest.fixture
def folder(case: Case, tmp_path: Path) -> Path:
    case.write(tmp_path)
    return tmp_path


def check(recording: Recording, task: Task) -> None:
    """Hold a recording against what a batch says of itself."""
    assert set(recording.splits) == set(SPLITS)
    assert task.inputs in (None, recording.inputs)
    assert task.outputs in (None, recording.outputs)
    json.dumps(recording.facts)
    for batch in recording.splits.values():
        steps, size = batch.inputs.shape[:2]
        if task.symbols:
            assert batch.inputs.shape == (steps, size)
            assert batch.inputs.dtype == torch.int64
            assert 0 <= batch.inputs.min() <= batch.inputs.max() < recording.inputs
        else:
            assert batch.inputs.shape == (steps, size, recording.inputs)
            assert batch.inputs.dtype == torch.float32
            assert bool(batch.inputs.isfinite().all())
        if task.kind == "choice":
            assert batch.targets.shape == (steps, size)
            assert batch.targets.dtype == torch.int64
            answers = batch.targets[batch.asked]
            assert 0 <= answers.min() <= answers.max() < recording.outputs
        else:
            assert batch.targets.shape == (steps, size, recording.outputs)
            assert batch.targets.dtype == torch.float32
        assert bool(batch.asked.any(dim=0).all())  # every sequence asks something
        if batch.lengths is not None:
            assert batch.lengths.shape == (size,)
            assert batch.lengths.dtype == torch.int64
            assert int(batch.lengths.max()) == steps
            beyond = torch.arange(steps)[:, None] >= batch.lengths
            assert not bool((batch.asked & beyond).any())
        if batch.groups is not None:
            assert batch.groups.shape == (size,)
            assert 0 <= batch.groups.min() <= batch.groups.max() < len(recording.facts["groups"])


@each_case
def test_batches_are_what_they_say(case, folder):
    recording = load(case.task, folder)
    check(recording, case.task)
    assert tuple(recording.splits[split].size for split in SPLITS) == case.sizes
    for gap in {case.task.gap.least, case.task.check_gap(min(7 * case.task.gap.least + 5, case.task.gap.most or 40))}:
        check(load(case.task, folder, gap), case.task)


@each_case
def test_reading_twice_gives_the_same(case, folder):
    first, second = load(case.task, folder), load(case.task, folder)
    assert first.facts == second.facts
    for split in SPLITS:
        one, other = first.splits[split], second.splits[split]
        assert torch.equal(one.inputs, other.inputs)
        assert torch.equal(one.targets.nan_to_num(-1), other.targets.nan_to_num(-1))


@each_case
def test_defaults_are_settings_of_a_training_run(case):
    assert set(case.task.defaults) <= set(TrainConfig.model_fields)
    assert {"hidden_size", "batch_size", "learning_rate", "steps"} <= set(case.task.defaults)


@each_case
def test_a_model_learns_from_every_batch(case, folder):
    """Shapes fit, and one step down the gradient makes the loss smaller."""
    recording = load(case.task, folder)
    torch.manual_seed(0)
    model = SequenceModel(
        recording.inputs,
        recording.outputs,
        "lstm",
        8,
        symbols=case.task.symbols,
        embedding_size=case.task.defaults.get("embedding_size"),
    )
    batch = recording.splits["train"].columns(slice(0, 4))
    before, asked, _ = model.loss(batch, case.task.kind)
    assert asked == int(batch.asked.sum())
    (before / asked).backward()
    with torch.no_grad():
        for weights in model.parameters():
            assert weights.grad is not None
            assert bool(weights.grad.isfinite().all())
            weights -= 1e-3 * weights.grad
    assert float(model.loss(batch, case.task.kind)[0].detach()) < float(before.detach())


# --- chance: a guesser in plain Python gets what the facts say


def guess_classes(recording: Recording) -> dict[str, float]:
    seen = Counter(int(x) for x in recording.splits["train"].targets.flatten().tolist() if x >= 0)
    total = sum(seen.values()) + recording.outputs / 2
    favourite = max(range(recording.outputs), key=lambda answer: (seen[answer], -answer))
    test = recording.splits["test"].targets.T.tolist()
    asked = [answer for sequence in test for answer in sequence if answer >= 0]
    return {
        "loss": -sum(math.log((seen[answer] + 0.5) / total) for answer in asked) / len(asked),
        "accuracy": sum(answer == favourite for answer in asked) / len(asked),
        "solved": sum(all(answer in (-100, favourite) for answer in sequence) for sequence in test) / len(test),
    }


def guess_keys(recording: Recording) -> dict[str, float]:
    seen = [step for step in recording.splits["train"].targets.flatten(0, 1).tolist() if not math.isnan(step[0])]
    shares = [(sum(step[key] for step in seen) + 0.5) / (len(seen) + 1) for key in range(88)]
    loss, hits, steps, solved = 0.0, 0, 0, 0
    for piece in recording.splits["test"].targets.transpose(0, 1).tolist():
        asked = [step for step in piece if not math.isnan(step[0])]
        right_ones = [
            all((share > 0.5) == (key > 0.5) for share, key in zip(shares, step, strict=True)) for step in asked
        ]
        loss -= sum(math.log(s if key else 1 - s) for step in asked for s, key in zip(shares, step, strict=True))
        hits, steps, solved = hits + sum(right_ones), steps + len(asked), solved + all(right_ones)
    return {"loss": loss / steps, "accuracy": hits / steps, "solved": solved / recording.splits["test"].size}


def guess_no_change(recording: Recording) -> dict[str, float]:
    rises = [x for x in recording.splits["test"].targets.flatten().tolist() if not math.isnan(x)]
    return {"loss": sum(x * x for x in rises) / len(rises), "mean_absolute_error": sum(map(abs, rises)) / len(rises)}


GUESSES = {"choice": guess_classes, "bits": guess_keys, "number": guess_no_change}


@each_case
def test_chance_is_what_a_guesser_gets(case, folder):
    recording = load(case.task, folder)
    guessed = GUESSES[case.task.kind](recording)
    if case.task is forecast:
        guessed["skill"] = 0.0  # which is measured against this very guesser
    assert recording.facts["chance"] == pytest.approx(guessed, rel=1e-6)


# --- the real data, where GATEWORK_DATA names them

# Of each split the sequences, and the questions asked: what the sources say of their sets.
COUNTS = {
    "agreement": {"sequences": (5988, 748, 749)},
    "mnist": {"sequences": (55000, 5000, 10000)},
    "mnist_permuted": {"sequences": (55000, 5000, 10000)},
    "mnist_rows": {"sequences": (55000, 5000, 10000)},
    "jsb_chorales": {"sequences": (229, 76, 77), "asked": (13807 - 229, 4602 - 76, 4725 - 77)},
    "nottingham": {"asked": (176561 - 694, 45513 - 173, 44463 - 170)},
    "spoken_digits": {"sequences": (1600, 200, 200)},
    "japanese_vowels": {"sequences": (216, 54, 370)},
    "occupancy": {"asked": (6514, 8143 - 6514, 2665)},
    "occupancy_no_light": {"asked": (6514, 8143 - 6514, 2665)},
    "heartbeats": {"asked": (433333, 108333, 108334)},
    "ett_h1": {"asked": (8640 - 95 - 24, 2880 - 23, 2880 - 23)},
    "airline": {"sequences": (3, 1, 2), "asked": (84 - 23 - 12, 24 - 11, 36 - 11)},
}


@pytest.mark.parametrize("task", REAL, ids=lambda task: task.name)
def test_the_real_data_are_read(task, data_folder):
    assert isinstance(task.examples, Recorded)
    recording = load(task, data_folder / task.examples.folder)
    check(recording, task)
    counts = {
        "sequences": tuple(recording.splits[split].size for split in SPLITS),
        "asked": tuple(int(recording.splits[split].asked.sum()) for split in SPLITS),
    }
    assert {name: counts[name] for name in COUNTS[task.name]} == COUNTS[task.name]
    assert not task.success.reached(recording.facts["chance"])  # guessing solves nothing
