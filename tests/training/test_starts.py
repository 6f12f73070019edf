"""What a start changes in a run directory: what an earlier one left undone, and nothing where it is refused."""

import errno
import json
import os
import shutil

import pytest
import safetensors.torch

from gatework.errors import CheckpointError, GateworkError, RunError
from gatework.runs import checkpoint as checkpoint_module
from gatework.runs.checkpoint import list_checkpoints
from gatework.runs.files import digest
from gatework.training import loop as loop_module
from gatework.training import train
from gatework.training.curve import is_drawn_from
from gatework.training.progress import Quiet
from gatework.training.run import RunDirectory


class Killed(BaseException):
    """Stands for a SIGKILL: nothing of the program's own runs any more."""


def kill(*_):
    raise Killed


class After(Quiet):
    """Do something when a step is done."""

    def __init__(self, step, action):
        self.at, self.action = step, action

    def step(self, step, tokens, loss):
        if step == self.at:
            self.action()


def contents(run):
    return {p: p.read_bytes() for p in run.rglob("*") if p.is_file() and p.name != ".lock"}


def seal(checkpoint, **changes):
    """Change the facts of a checkpoint, and give it right sums again."""
    path = checkpoint / "training.json"
    facts = json.loads(path.read_text()) | changes
    facts["sha256"] = {name: digest((checkpoint / name).read_bytes()) for name in facts["sha256"]}
    del facts["checksum"]
    path.write_text(json.dumps(facts | {"checksum": checkpoint_module._checksum(facts)}))


# --- a start that is refused


@pytest.fixture
def broken(configure):
    """A run that was killed after step 13: lines later than its checkpoint, and a half-written file."""
    config = configure(steps=24, schedule="constant")
    with pytest.raises(Killed):
        train(config, After(13, kill))
    RunDirectory(config.directory).append_metrics({"step": 13, "train_loss": 1.0})
    (config.directory / "checkpoints" / ".unfinished-step-20").mkdir()
    (config.directory / "checkpoints" / ".unfinished-step-20" / "model.safetensors").write_bytes(b"half")
    return config


def other_shapes(run):
    """A checkpoint that is sound, and of another model."""
    path = run / "checkpoints" / "step-10" / "model.safetensors"
    tensors = safetensors.torch.load_file(path)
    tensors["embedding.weight"] = tensors["embedding.weight"][:, :-1].contiguous()
    safetensors.torch.save_file(tensors, path)
    seal(path.parent)


def cut_short(run):
    path = run / "checkpoints" / "step-10" / "optimizer.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def damaged_lines(run):
    path = run / "metrics.jsonl"
    path.write_bytes(b"{]" + path.read_bytes()[2:])


@pytest.mark.parametrize(
    ("damage", "changes"),
    [
        (None, {"cell": "gru"}),
        (None, {"steps": 12}),
        (other_shapes, {}),
        (other_shapes, {"steps": 40, "log_every": 1}),
        (cut_short, {"steps": 40}),
        (damaged_lines, {"steps": 40}),
    ],
    ids=["cell", "shorter", "shapes", "shapes and longer", "checkpoint", "metrics"],
)
def test_a_refused_start_changes_nothing(broken, configure, damage, changes):
    if damage is not None:
        damage(broken.directory)
    before = contents(broken.directory)
    with pytest.raises(GateworkError):
        train(configure(**({"steps": 24, "schedule": "constant"} | changes)))
    assert contents(broken.directory) == before


# --- a start after a run that came to its last checkpoint and no further


@pytest.mark.parametrize("place", ["remove_checkpoints", "draw_curve"])
def test_killed_after_the_last_checkpoint(configure, same, monkeypatch, place):
    straight = train(configure("straight")).run
    config = configure("broken")
    real = getattr(loop_module, place)

    def at_the_end(*given):
        if (config.directory / "checkpoints" / "step-24").exists():
            kill()
        return real(*given)

    monkeypatch.setattr(loop_module, place, at_the_end)
    with pytest.raises(Killed):
        train(config)
    monkeypatch.undo()
    again = train(config)
    assert again.already
    assert list_checkpoints(config.directory / "checkpoints") == [20, 24]
    same(straight, config.directory)
    assert (straight / "loss.png").exists()
    assert is_drawn_from(again.curve.read_bytes(), RunDirectory(again.run).read_metrics())


def test_a_curve_of_an_earlier_stop_is_drawn_anew(configure, monkeypatch):
    """There is a picture, but of the first 24 steps."""
    short = train(configure(schedule="constant"))
    old = short.curve.read_bytes()
    longer = configure(schedule="constant", steps=40)
    monkeypatch.setattr(loop_module, "draw_curve", kill)
    with pytest.raises(Killed):
        train(longer)
    monkeypatch.undo()
    assert short.curve.read_bytes() == old
    assert train(longer).already
    assert short.curve.read_bytes() != old
    before = contents(short.run)
    monkeypatch.setattr(loop_module, "draw_curve", kill)  # it is not drawn a second time
    assert train(longer).already
    assert contents(short.run) == before


def test_the_system_refuses_the_picture(configure, monkeypatch):
    """The checkpoint is saved, the picture is not; the next start draws it."""
    config = configure()

    def full(path, content):
        if path.name == "loss.png":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        path.write_bytes(content)

    monkeypatch.setattr(loop_module, "write_file", full)
    with pytest.raises(RunError, match=r"loss\.png' could not be written: the disk is full"):
        train(config)
    monkeypatch.undo()
    assert train(config).already
    assert (config.directory / "loss.png").read_bytes().startswith(b"\x89PNG")


# --- lines that were not seen to the disk


def page_of_zeros(content, first, last):
    return content[:first] + bytes(last - first) + content[last:]


def test_zeros_among_lines_that_were_not_flushed_are_cut(configure, same):
    """A power cut may keep a later page and lose an earlier one, so that sound lines stand below zeros."""
    straight = train(configure("straight", log_every=1)).run
    config = configure("broken", log_every=1)
    with pytest.raises(Killed):
        train(config, After(19, kill))
    path = config.directory / "metrics.jsonl"
    content = path.read_bytes()
    flushed = content.index(b'{"step": 11')
    path.write_bytes(page_of_zeros(content, flushed + 20, content.index(b'{"step": 14') + 5))
    train(config)
    same(straight, config.directory)


@pytest.mark.parametrize("what", [bytes(4000), b"\xff" * 50, b'{"step": 3}\n', b'{"seconds": 1}\n', b"["])
def test_whatever_stands_below_the_flushed_lines_is_cut(configure, same, what):
    straight = train(configure("straight")).run
    config = configure("broken")
    with pytest.raises(Killed):
        train(config, After(13, kill))
    path = config.directory / "metrics.jsonl"
    sound = path.read_bytes()
    path.write_bytes(sound[: sound.index(b'{"step": 12')] + what)
    train(config)
    same(straight, config.directory)


def test_before_the_first_checkpoint_no_line_was_flushed(configure, same):
    straight = train(configure("straight")).run
    config = configure("broken")
    with pytest.raises(Killed):
        train(config, After(9, kill))
    path = config.directory / "metrics.jsonl"
    path.write_bytes(bytes(100) + b"\n" + path.read_bytes())
    train(config)
    same(straight, config.directory)


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_damage_to_flushed_lines_is_refused_even_at_their_end(configure, end):
    """The last line before a checkpoint was flushed as well: half of it is no crash's doing."""
    config = configure()
    with pytest.raises(Killed):
        train(config, After(11, kill))
    path = config.directory / "metrics.jsonl"
    sound = path.read_bytes()
    path.write_bytes(sound[: sound.index(b'{"step": 10') + 9] + end)
    with pytest.raises(RunError) as caught:
        train(config)
    assert str(caught.value) == f"'{path}' is damaged: line 2 is not JSON."


def test_a_checkpoint_from_before_goes_on(configure, same):
    """Checkpoints did not always know how many lines there were."""
    straight = train(configure("straight")).run
    config = configure("broken")
    with pytest.raises(Killed):
        train(config, After(13, kill))
    path = config.directory / "checkpoints" / "step-10"
    facts = json.loads((path / "training.json").read_text())
    assert facts["lines"] == 2
    seal(path, lines=None)
    train(config)
    shutil.rmtree(straight / "checkpoints" / "step-20")
    shutil.rmtree(config.directory / "checkpoints" / "step-20")
    same(straight, config.directory)


# --- the lock


def replaced(path):
    path.unlink()
    path.write_text("process 1")


@pytest.mark.parametrize("deed", [lambda path: path.unlink(), replaced], ids=["removed", "replaced"])
def test_a_lock_that_is_gone_stops_the_run_before_it_writes(configure, same, deed):
    straight = train(configure("straight")).run
    config = configure()
    lock, before = config.directory / ".lock", {}

    def take_away():
        deed(lock)
        before.update(contents(config.directory))

    with pytest.raises(RunError) as caught:
        train(config, After(13, take_away))
    assert str(caught.value) == (
        f"The lock '{lock}' was removed or replaced while this process held it, so that another one may write here "
        "too; expected it to stay as long as the run is written. This process has stopped writing. Make sure that no "
        "other one writes, and run the same command again."
    )
    assert contents(config.directory) == before
    train(config)
    same(straight, config.directory)


def test_the_lock_is_looked_at_before_each_save(configure):
    """Even where no line of metrics comes before it."""
    config = configure(log_every=100, evaluate_every=100)
    with pytest.raises(RunError, match="was removed or replaced"):
        train(config, After(10, (config.directory / ".lock").unlink))
    assert list_checkpoints(config.directory / "checkpoints") == []


def test_a_second_run_cannot_come_between(configure, monkeypatch):
    """The lock is removed and a second process begins; the first stops, and the second ends in peace."""
    config = configure()

    def second():
        (config.directory / ".lock").unlink()
        assert train(config).step == 24

    with pytest.raises(RunError, match="was removed or replaced"):
        train(config, After(13, second))
    assert train(config).already


def test_other_shapes_are_what_stops_it(broken):
    other_shapes(broken.directory)
    with pytest.raises(CheckpointError, match="does not belong to this model: of its parameters"):
        train(broken)
