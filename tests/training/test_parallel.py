"""Two processes train as one: the same result within rounding, one writer, resumed by any number."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import safetensors.torch
import torch

from gatework.errors import ConfigError
from gatework.models.loss import widened
from gatework.runs.checkpoint import list_checkpoints
from gatework.training import make_config, train
from gatework.training.parallel import ProcessGroup, pick_device
from gatework.training.run import RunDirectory
from gatework.training.trainer import Trainer

PROGRAM = """
import json, sys
from pathlib import Path
from gatework.training import make_config, make_reporter, train
train(make_config(json.loads(sys.argv[1])), make_reporter("json", sys.stdout))
threads = [path.read_text() for path in Path("/proc/self/task").glob("*/comm")]
assert not [name for name in threads if "gloo" in name], "the group has outlived its end"
"""


@pytest.fixture
def together(tmp_path):
    """Train in several real processes, as torchrun starts them."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)

    def run(config, processes):
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [*command, str(program), config.model_dump_json()],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
            env=environment,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def weights(run, step):
    return safetensors.torch.load_file(run / "checkpoints" / f"step-{step}" / "model.safetensors")


def test_two_processes_are_one_within_rounding(configure, together, metrics):
    # Five streams over two processes: their shares are of different sizes. The clipping bites, so its norm is global.
    changes = {"batch_size": 5, "clip_norm": 0.05, "dtype": "float64", "cell": "gru", "schedule": "constant"}
    one = train(configure("one", **changes)).run
    two = configure("two", **changes)
    printed = together(two, 2)

    assert len(printed.splitlines()) == len(metrics(one))  # only one of them speaks
    for ours, theirs in zip(metrics(one), metrics(two.directory), strict=True):
        assert theirs == pytest.approx(ours, rel=1e-9)
    expected, found = weights(one, 24), weights(two.directory, 24)
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-9, atol=1e-12)

    # The carried state is that of the global batch, so that any number of processes can go on.
    states = [
        safetensors.torch.load_file(run / "checkpoints" / "step-24" / "state.safetensors")
        for run in (one, two.directory)
    ]
    torch.testing.assert_close(states[1]["state.0"], states[0]["state.0"], rtol=1e-9, atol=1e-12)
    assert {name for name in states[1] if name.startswith("generator")} == {"generator.0.cpu", "generator.1.cpu"}

    onward = changes | {"steps": 30}
    train(configure("one", **onward))
    train(configure("two", **onward))  # begun by two, ended by one
    expected, found = weights(one, 30), weights(two.directory, 30)
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("task", [{"task": "adding", "gap": 20}, {"task": "continual_reber", "gap": 60}])
def test_two_processes_are_one_on_sequences_too(tmp_path, together, metrics, task):
    """Sequences of several lengths, so that the shares ask differently often; and a stream whose state is carried."""

    def configured(run):
        small = {"hidden_size": 8, "batch_size": 5, "steps": 24, "evaluate_every": 12, "log_every": 5, "threads": 1}
        return make_config(small | task | {"run": str(tmp_path / run), "dtype": "float64", "clip_norm": 0.05})

    one, two = train(configured("one")).run, configured("two")
    together(two, 2)
    for ours, theirs in zip(metrics(one), metrics(two.directory), strict=True):
        assert theirs == pytest.approx(ours, rel=1e-9)
    states = [
        safetensors.torch.load_file(run / "checkpoints" / "step-24" / "state.safetensors")
        for run in (one, two.directory)
    ]
    carried = [name for name in states[0] if name.startswith("state.")]
    assert bool(carried) == (task["task"] == "continual_reber")
    for name in carried:
        torch.testing.assert_close(states[1][name], states[0][name], rtol=1e-9, atol=1e-12)


def test_two_processes_go_on_to_the_same_bit(configure, together):
    """With dropout each process draws from its own generator, which its checkpoint brings back."""
    changes = {"dropout": 0.3, "checkpoint_every": 6}
    straight, again = configure("straight", **changes), configure("again", **changes)
    together(straight, 2)
    shutil.copytree(straight.directory, again.directory)
    shutil.rmtree(again.directory / "checkpoints" / "step-24")
    together(again, 2)
    for name in ("model", "optimizer", "state"):
        paths = [run.directory / "checkpoints" / "step-24" / f"{name}.safetensors" for run in (straight, again)]
        assert paths[0].read_bytes() == paths[1].read_bytes()
    facts = json.loads((again.directory / "checkpoints" / "step-24" / "training.json").read_text())
    assert facts["processes"] == 2


def test_what_the_first_process_refuses_is_no_fault_of_the_others(text, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"meow")
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "gatework"]
    done = subprocess.run(
        [*start, "train", "--data", str(text), "--run-dir", "photos", "--hidden-size", "4"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    said = [line for line in done.stderr.splitlines() if line.startswith("gatework: ")]
    assert done.returncode != 0
    assert [line for line in said if "'photos' is not a run and not empty" in line]
    assert "fault in gatework" not in done.stderr


IDENTIFIED = """
import json, os, sys
from pathlib import Path
from gatework.training import make_config, train
config = make_config(json.loads(sys.argv[1]))
(Path(sys.argv[2]) / f"rank-{os.environ['RANK']}").write_text(str(os.getpid()))
train(config)
"""


def is_running(process):
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system does not show its processes in /proc")
def test_when_torchrun_is_killed_its_processes_save_and_end(configure, tmp_path):
    """Nobody is left to stop them, and they held the run's directory for as long as they had steps to do."""
    program, config = tmp_path / "program.py", configure(steps=1_000_000, checkpoint_every=10, evaluate_every=10**6)
    program.write_text(IDENTIFIED)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(program)]
    launcher = subprocess.Popen(
        [*command, config.model_dump_json(), str(tmp_path)], env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    ranks = []
    try:
        wait_for(lambda: list_checkpoints(config.directory / "checkpoints"))
        ranks = [int((tmp_path / f"rank-{rank}").read_text()) for rank in (0, 1)]
        launcher.kill()
        launcher.wait()
        wait_for(lambda: not any(map(is_running, ranks)), 60)
    finally:
        launcher.kill()
        for process in filter(is_running, ranks):
            os.kill(process, signal.SIGKILL)
    # The last step was saved, and the run is free for whoever goes on with it.
    last = list_checkpoints(config.directory / "checkpoints")[-1]
    lines = (config.directory / "metrics.jsonl").read_text().splitlines()
    assert last >= json.loads(lines[-1])["step"] > last - config.log_every
    RunDirectory(config.directory).lock().release()


def test_rows_are_dealt_out_whole():
    for size in (1, 2, 3, 7):
        rows = [ProcessGroup(rank, size).rows(10) for rank in range(size)]
        assert [row for part in rows for row in range(10)[part]] == list(range(10))


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="this machine has a GPU of Apple's")
def test_apples_gpu_is_not_there(monkeypatch):
    with pytest.raises(
        ConfigError, match=r"^device is 'mps', and torch sees no GPU of Apple's here. Choose --device cpu"
    ):
        pick_device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert pick_device("mps") == torch.device("mps")
    assert pick_device("auto").type != "mps"
    with pytest.raises(ConfigError, match="dtype is float64, which Apple's GPUs do not have"):
        pick_device("mps", "float64")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match=r"device is 'mps', and 2 processes cannot share one\. Choose --device cpu"):
        ProcessGroup.join("mps")


class Metal:
    """A tensor on a device without float64, as far as sums go."""

    device = SimpleNamespace(type="mps")

    def cpu(self):
        return torch.tensor([0.1, 0.2])

    def double(self):
        raise TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64.")


def test_sums_are_kept_in_float64_where_the_device_has_none():
    there: Any = Metal()
    assert widened(there).dtype == torch.float64
    assert torch.equal(widened(torch.tensor([0.1, 0.2])), widened(there))


class Generators:
    """The random generator of a device, as torch's module for the device offers it."""

    def __init__(self):
        self.state, self.asked = torch.arange(8, dtype=torch.uint8), []

    def get_rng_state(self, device):
        self.asked.append(str(device))
        return self.state.clone()

    def set_rng_state(self, state, device):
        self.state = state


def test_the_generator_of_any_device_is_saved_and_restored(monkeypatch):
    generators, trainer = Generators(), Trainer.__new__(Trainer)
    trainer.group = ProcessGroup(device=torch.device("mps"))
    monkeypatch.setattr(torch, "get_device_module", lambda kind: generators)
    saved = trainer._gathered_generators()
    assert saved.keys() == {"generator.0.cpu", "generator.0.mps"}
    generators.state = generators.state + 1
    trainer._restore_generators(saved, 1)
    assert torch.equal(generators.state, torch.arange(8, dtype=torch.uint8))
    assert set(generators.asked) == {"mps"}


def test_a_device_that_is_not_there():
    with pytest.raises(ConfigError, match="device is 'cuda:63', and torch sees"):
        pick_device("cuda:63")


def test_more_processes_than_streams():
    with pytest.raises(ConfigError, match="batch_size is 4, and 5 processes are to share it"):
        ProcessGroup(0, 5).check_batch(4)


def test_two_processes_begin_with_other_weights_and_stop_together(configure, together):
    first = train(configure("first", batch_size=5)).run
    # Such steps only make the model worse, so its first evaluation stays the best one.
    worse = {"start_from": str(first), "optimizer": "sgd", "learning_rate": 30.0, "schedule": "constant"}
    config = configure("second", batch_size=5, steps=40, evaluate_every=2, checkpoint_every=50, patience=2, **worse)
    together(config, 2)
    run = RunDirectory(config.directory)
    best = list_checkpoints(run.best)
    assert len(best) == 1
    stopped = best[0] + 4  # two evaluations later
    assert stopped < 40
    assert list_checkpoints(run.checkpoints) == [0, stopped]
    begun = weights(run.path, 0)
    assert all(torch.equal(begun[name], tensor) for name, tensor in weights(first, 24).items())
    assert train(config).already
