"""Run directories from strangers: checkpoints that are forged, with every checksum right, and files that are named."""

import copy
import json
import os
import shutil
from itertools import pairwise

import pytest
import torch
from safetensors.torch import load, save
from tests.training.conftest import SMALL, TEXT

from gatework.errors import CheckpointError, RunError
from gatework.runs import checkpoint as checkpoint_module
from gatework.runs.checkpoint import load_checkpoint
from gatework.runs.files import digest
from gatework.runs.seeds import mixed_seed
from gatework.training import evaluate, generate, train
from gatework.training.config import make_config
from gatework.training.jobs.registry import open_job
from gatework.training.parallel import ProcessGroup
from gatework.training.run import RunDirectory, fingerprint
from gatework.training.trainer import Trainer

PARTS = ("model", "optimizer", "state")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run of 8 steps, in the middle of its text, of two layers of a cell with two states."""

    folder = tmp_path_factory.mktemp("forged")
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    values = {"data": str(folder / "text.txt"), "run": str(folder / "run"), "steps": 8, "hidden_size": 4}
    config = make_config(SMALL | values | {"num_layers": 2, "checkpoint_every": 4})
    train(config)
    return config


@pytest.fixture
def restore(made):
    """Give what restores a checkpoint that is made of other parts and facts."""
    trainer = Trainer(made, open_job(made), ProcessGroup.join("cpu"))
    folder = RunDirectory(made.directory).checkpoints
    own = fingerprint(made, trainer.job.fingerprint)
    path = folder / "step-8"
    whole = {file: file.read_bytes() for file in path.iterdir()}

    def forge(parts, facts):
        for part, content in parts.items():
            (path / f"{part}.safetensors").write_bytes(content)
        sums = {f"{part}.safetensors": digest((path / f"{part}.safetensors").read_bytes()) for part in PARTS}
        facts = ({"sha256": sums} | facts) if isinstance(facts, dict) else facts
        if isinstance(facts, dict):
            facts = facts | {"checksum": checkpoint_module._checksum(facts)}
        (path / "training.json").write_text(json.dumps(facts))
        try:
            trainer.restore(load_checkpoint(folder, 8, own))
        finally:
            for file, content in whole.items():
                file.write_bytes(content)
        return trainer

    return forge


@pytest.fixture
def genuine(made):
    path = RunDirectory(made.directory).checkpoints / "step-8"
    facts = json.loads((path / "training.json").read_text())
    del facts["checksum"], facts["sha256"]
    return {part: load((path / f"{part}.safetensors").read_bytes()) for part in PARTS}, facts


def forged_tensors(tensors):
    """Every tensor missing, too many, of another shape or kind, not finite; each with what was done."""
    yield "more", tensors | {"more": torch.zeros(2)}
    yield "none", {}
    for name, tensor in tensors.items():
        others = {key: value for key, value in tensors.items() if key != name}
        yield f"{name} missing", others
        yield f"{name} renamed", others | {f"{name}.": tensor}
        yield f"{name} longer", others | {name: torch.cat([tensor.flatten()] * 2)}
        yield f"{name} of one more dimension", others | {name: tensor[None]}
        yield f"{name} empty", others | {name: tensor.flatten()[:0]}
        for kind in {torch.float64, torch.bfloat16, torch.int64, torch.bool} - {tensor.dtype}:
            yield f"{name} {kind}", others | {name: tensor.to(kind)}
        if tensor.is_floating_point():
            for value in (float("nan"), float("inf"), float("-inf")):
                broken = tensor.clone()
                broken.view(-1)[-1] = value
                yield f"{name} {value}", others | {name: broken}


def ignored(part, what):
    """Tell what changes nothing that is read: other names beside those of the state."""
    return part == "state" and what == "more"


def test_a_genuine_checkpoint_is_restored(genuine, restore):
    parts, facts = genuine
    trainer = restore({}, facts)
    assert trainer.step == 8
    assert all(torch.equal(parts["model"][name], value) for name, value in trainer.parameters.items())


def test_another_number_of_processes_draws_from_the_step_on(made, genuine, restore):
    restore({}, genuine[1] | {"processes": 2})
    drawn = torch.rand(3)
    torch.manual_seed(mixed_seed(made.seed, 0, 8))
    assert torch.equal(drawn, torch.rand(3))


@pytest.mark.parametrize("part", PARTS)
def test_forged_tensors_are_refused(genuine, restore, part):
    parts, facts = genuine
    count = 0
    for what, tensors in forged_tensors(parts[part]):
        if ignored(part, what):
            restore({part: save(tensors)}, facts)
            continue
        try:
            restore({part: save({name: tensor.contiguous() for name, tensor in tensors.items()})}, facts)
        except CheckpointError:
            count += 1
        else:
            pytest.fail(f"{part}: {what} was taken")
    assert count > 20


def test_what_an_optimiser_cannot_remember_is_refused(genuine, restore):
    parts, facts = genuine
    for name, tensor in parts["optimizer"].items():
        if name.endswith("exp_avg"):
            continue
        for wrong in (-tensor - 1, tensor - 1e9):
            with pytest.raises(CheckpointError, match="cannot come of 8 steps"):
                restore({"optimizer": save(parts["optimizer"] | {name: wrong})}, facts)


def test_tensors_that_are_exchanged_are_refused_where_their_shapes_differ(genuine, restore):
    parts, facts = genuine
    names = list(parts["model"])
    for one, other in pairwise(names):
        swapped = parts["model"] | {one: parts["model"][other], other: parts["model"][one]}
        if parts["model"][one].shape == parts["model"][other].shape:
            restore({"model": save(swapped)}, facts)  # as good as any other weights
            continue
        with pytest.raises(CheckpointError, match=one.replace(".", r"\.")):
            restore({"model": save(swapped)}, facts)


STRANGE = [None, True, "x", -1, 10**18, 1e300, [], {}, [[[]]], {"a": {"b": 1}}]
USED = ("format", "step", "fingerprint", "seconds", "processes", "sums", "sha256")


def deep():
    value = []
    for _ in range(900):
        value = [value]
    return value


def test_forged_facts_are_refused_or_not_used(genuine, restore):
    _, facts = genuine
    for name in facts:
        for value in [*STRANGE, deep()]:
            if value == facts[name]:
                continue
            try:
                trainer = restore({}, facts | {name: value})
            except CheckpointError:
                continue
            # A count of seconds may be any, other processes begin with other masks, and the rest is for people.
            harmless = name not in USED or (name in ("seconds", "processes") and isinstance(value, int | float))
            assert harmless, (name, value)
            assert trainer.step == 8
        less = {key: value for key, value in facts.items() if key != name}
        if name in USED:
            with pytest.raises(CheckpointError):
                restore({}, less)
    for value in (*STRANGE, deep()):
        with pytest.raises(CheckpointError):
            restore({}, value)
    for name in facts["sums"]:
        for value in (None, "x", [], float("1e400")):
            other = copy.deepcopy(facts)
            other["sums"][name] = value
            with pytest.raises(CheckpointError):
                restore({}, other)


def test_files_cut_at_every_place_are_refused(genuine, restore):
    """With the checksums of what is left, so that the reader itself has to see it."""
    parts, facts = genuine
    for part in PARTS:
        content = save(parts[part])
        for place in {*range(0, 16), *range(16, len(content), max(1, len(content) // 40)), len(content) - 1}:
            with pytest.raises(CheckpointError):
                restore({part: content[:place]}, facts)


# --- a directory that names a file


def forged_config(run, values):
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | values))


@pytest.fixture
def stranger(made, tmp_path):
    shutil.copytree(made.directory, tmp_path / "stranger")
    return tmp_path / "stranger"


@pytest.mark.parametrize("use", [evaluate, generate], ids=lambda use: use.__name__)
def test_a_run_directory_names_no_file_of_equations(stranger, use):
    """A pipe would never end, /dev/zero would fill the memory, and any other file would be read."""
    os.mkfifo(stranger / "pipe.txt")
    (stranger / "mine.txt").write_text("h = tanh(W @ x + R @ h)")
    for name in (stranger / "pipe.txt", stranger / "mine.txt", "/dev/zero", "/etc/passwd"):
        forged_config(stranger, {"cell": str(name)})
        with pytest.raises(RunError) as refusal:
            use(str(stranger))
        assert str(refusal.value) == (
            f"The run's configuration cannot be used: '{stranger / 'config.json'}': cell is '{name}'; expected a "
            "cell's name or its equations. What a directory holds never names a file of equations: it could be "
            "anyone's."
        )


def test_the_data_that_a_run_names_are_regular_files(stranger):
    os.mkfifo(stranger / "pipe")
    for name, sentence in ((stranger / "pipe", "is not a regular file"), ("/dev/zero", "is not a regular file")):
        forged_config(stranger, {"data": str(name)})
        with pytest.raises(ValueError, match=sentence):
            evaluate(str(stranger))
        generate(str(stranger), length=2)  # which needs no data, opens none


@pytest.mark.parametrize("name", ["config.json", "data.json", "vocabulary.json"])
def test_a_pipe_in_a_run_directory_is_a_sentence(stranger, name):
    (stranger / name).unlink()
    os.mkfifo(stranger / name)
    with pytest.raises(RunError, match=r"is a pipe\. Expected a regular file|is not a run: it holds no config.json"):
        generate(str(stranger))
