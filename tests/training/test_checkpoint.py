"""Checkpoints: damaged, foreign, cut short, on a full disk; and the run that survives all of it."""

import errno
import json
import os
import resource
import shutil
import subprocess
import sys

import pytest
import torch

from gatework.errors import CheckpointError, RunError
from gatework.runs import checkpoint as checkpoint_module
from gatework.runs import files as files_module
from gatework.runs.checkpoint import (
    Checkpoint,
    list_checkpoints,
    load_checkpoint,
    remove_checkpoints,
    save_checkpoint,
)
from gatework.training import evaluate, generate, train

FILES = ("model.safetensors", "optimizer.safetensors", "state.safetensors", "training.json")


def tree(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-7])


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b"")


def zeros(path):
    path.write_bytes(bytes(path.stat().st_size))


def remove(path):
    path.unlink()


def be_a_folder(path):
    path.unlink()
    path.mkdir()


@pytest.fixture
def run(configure):
    """A run of 30 steps that has done 24 of them."""
    config = configure(steps=24, schedule="constant")
    return train(config).run


@pytest.mark.parametrize("damage", [cut_short, flip_a_bit, empty, zeros, remove, be_a_folder])
@pytest.mark.parametrize("name", FILES)
def test_damage_is_found_named_and_left_as_it_is(run, configure, name, damage):
    path = run / "checkpoints" / "step-24" / name
    damage(path)
    before = tree(run)
    whole = (
        rf"Checkpoint file '.*step-24/{name}' (is|cannot be) .*\. Nothing was changed\. Move '.*step-24' .*step 20\.$"
    )
    for action in (
        lambda: train(configure(steps=40, schedule="constant")),
        lambda: evaluate(str(run)),
        lambda: generate(str(run)),
    ):
        with pytest.raises(CheckpointError, match=whole):
            action()
    assert tree(run) == before


def test_the_way_out_that_the_sentence_names_works(run, configure, same):
    straight = train(configure("straight", steps=30, schedule="constant")).run
    cut_short(run / "checkpoints" / "step-24" / "model.safetensors")
    shutil.move(run / "checkpoints" / "step-24", run.parent / "damaged")
    again = train(configure(steps=30, schedule="constant")).run
    assert list_checkpoints(again / "checkpoints") == [20, 30]
    weights = [path / "checkpoints" / "step-30" / "model.safetensors" for path in (straight, again)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_a_checkpoint_of_another_run_is_refused(run, configure):
    other = train(configure("other", seed=1)).run
    shutil.rmtree(run / "checkpoints" / "step-24")
    shutil.copytree(other / "checkpoints" / "step-24", run / "checkpoints" / "step-24")
    with pytest.raises(CheckpointError, match="belongs to another run"):
        train(configure(steps=40, schedule="constant"))


def test_a_renamed_checkpoint_is_refused(run, configure):
    (run / "checkpoints" / "step-24").rename(run / "checkpoints" / "step-99")
    with pytest.raises(CheckpointError, match=r"is that of step 24: the folder was renamed"):
        train(configure(steps=400, schedule="constant"))


def test_another_format_is_refused(run):
    path = run / "checkpoints" / "step-24" / "training.json"
    facts = json.loads(path.read_text())
    del facts["checksum"]
    facts["format"] = 7
    path.write_text(json.dumps(facts | {"checksum": checkpoint_module._checksum(facts)}))
    with pytest.raises(CheckpointError, match="has format 7, and this version reads 1"):
        evaluate(str(run))


def test_a_pickle_in_place_of_a_checkpoint_is_never_opened(run):
    """Even with right checksums a file of another kind is refused: nothing in a checkpoint can run."""
    path = run / "checkpoints" / "step-24"
    torch.save({"weight": torch.zeros(2)}, path / "model.safetensors")
    facts = json.loads((path / "training.json").read_text())
    del facts["checksum"]
    facts["sha256"]["model.safetensors"] = files_module.digest((path / "model.safetensors").read_bytes())
    (path / "training.json").write_text(json.dumps(facts | {"checksum": checkpoint_module._checksum(facts)}))
    with pytest.raises(CheckpointError, match="is not a safetensors file"):
        evaluate(str(run))


@pytest.mark.parametrize("name", ["config.json", "data.json", "vocabulary.json"])
@pytest.mark.parametrize("damage", [cut_short, empty, zeros])
def test_damaged_facts_of_a_run_are_a_sentence(run, name, damage):
    damage(run / name)
    with pytest.raises(RunError, match=rf"{name}' is damaged"):
        generate(str(run))


def test_metrics_cut_short_by_a_crash_are_mended_and_damaged_ones_refused(run, configure, metrics):
    lines = (run / "metrics.jsonl").read_bytes()
    (run / "metrics.jsonl").write_bytes(lines + b'{"step": 25, "ep')
    train(configure(steps=24, schedule="constant"))
    assert (run / "metrics.jsonl").read_bytes() == lines
    (run / "metrics.jsonl").write_bytes(lines + bytes(100))
    train(configure(steps=24, schedule="constant"))
    assert (run / "metrics.jsonl").read_bytes() == lines
    (run / "metrics.jsonl").write_bytes(b"what is this\n" + lines)
    with pytest.raises(RunError, match=r"metrics.jsonl' is damaged: line 1 is not JSON"):
        train(configure(steps=24, schedule="constant"))


def some(step):
    tensors = {"a": torch.arange(1000.0)}
    return Checkpoint(step, tensors, tensors, {}, {"fingerprint": "f", "seconds": 0.5})


def test_save_and_load(tmp_path):
    save_checkpoint(tmp_path, some(3))
    loaded = load_checkpoint(tmp_path, 3, "f")
    assert torch.equal(loaded.model["a"], torch.arange(1000.0))
    assert loaded.facts["seconds"] == 0.5


def test_only_the_latest_are_kept_and_strange_names_ignored(tmp_path):
    for step in (1, 2, 10, 9):
        save_checkpoint(tmp_path, some(step))
    (tmp_path / "step-old").mkdir()
    (tmp_path / "step-²").mkdir()
    remove_checkpoints(tmp_path, keep=2)
    assert list_checkpoints(tmp_path) == [9, 10]
    assert list_checkpoints(tmp_path / "nowhere") == []


@pytest.mark.parametrize("place", range(1, 6))
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_refusal_at_any_moment_of_saving_leaves_the_others_whole(tmp_path, monkeypatch, place, code):
    save_checkpoint(tmp_path, some(1))
    before = tree(tmp_path)
    real, calls = os.fsync, []

    def fsync(descriptor):
        calls.append(descriptor)
        if len(calls) == place:
            raise OSError(code, os.strerror(code))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match=os.strerror(code)):
        save_checkpoint(tmp_path, some(2))
    assert tree(tmp_path) == before
    assert [path.name for path in tmp_path.iterdir()] == ["step-1"]


def test_a_full_disk_stops_the_run_with_a_sentence(configure, same, monkeypatch):
    straight = train(configure("straight")).run
    config = configure()
    real = files_module.os.fsync

    def fsync(descriptor):
        if (config.directory / "checkpoints" / "step-10").exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(
        RunError, match=r"could not be written: the disk is full\. .*Make room and run the same command again"
    ):
        train(config)
    monkeypatch.undo()
    assert list_checkpoints(config.directory / "checkpoints") == [10]
    same(straight, train(config).run)


PROGRAM = """
import resource, sys
from gatework.errors import RunError
from gatework.training import make_config, train
config = make_config({values!r})
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
try:
    train(config)
except RunError as error:
    sys.exit(str(error))
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="the system cannot limit the size of files")
def test_a_file_that_the_system_cuts_short(configure, same):
    """The system itself refuses to write on in the middle of a file."""
    straight = train(configure("straight")).run
    weights = (straight / "checkpoints" / "step-24" / "optimizer.safetensors").stat().st_size
    config = configure()
    program = PROGRAM.format(values=config.model_dump(), limit=weights - 100)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "Checkpoint step-10" in done.stderr
    assert "the disk is full. Nothing was saved before it. Make room" in done.stderr
    assert "Traceback" not in done.stderr
    assert list((config.directory / "checkpoints").iterdir()) == []
    same(straight, train(config).run)


def test_what_a_killed_process_left_is_swept(configure, run):
    for place in ("checkpoints/.unfinished-step-30", "checkpoints/.unfinished-gone-10"):
        (run / place).mkdir()
        (run / place / "model.safetensors").write_bytes(b"half")
    (run / ".unfinished-config.json").write_bytes(b"{")
    train(configure(schedule="constant"))
    assert list(run.rglob(".unfinished*")) == []
