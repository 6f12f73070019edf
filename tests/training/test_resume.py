"""A run that was interrupted ends exactly like one that was not."""

import os
import signal

import pytest
import torch

from gatework.errors import NonFiniteLossError, RunError, Stopped
from gatework.models.language import Metric
from gatework.runs.checkpoint import list_checkpoints
from gatework.training import loop as loop_module
from gatework.training import make_config, train
from gatework.training.progress import Quiet
from gatework.training.run import RunDirectory

MINE = "z = sigmoid(W_z @ x + R_z @ h + b_z)\nh = (1 - z) * h + z * tanh(W_h @ x + R_h @ h + b_h)\n"


class At(Quiet):
    """Do something when a step is done."""

    def __init__(self, step, action):
        self.at, self.action = step, action
        self.notes, self.lines, self.began = [], [], None

    def begin(self, beginning):
        self.began = beginning

    def step(self, step, tokens, loss):
        if step == self.at:
            self.action()

    def note(self, message):
        self.notes.append(message)

    def line(self, values):
        self.lines.append(values)


class Killed(BaseException):
    """Stands for a SIGKILL: nothing of the program's own runs any more."""


def kill():
    raise Killed


def send(number):
    return lambda: os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"cell": "gru", "level": "byte"},
        {"num_layers": 2, "dropout": 0.3, "zoneout": {"c": 0.1, "h": 0.2}, "recurrent_dropout": 0.2},
        {"level": "word", "optimizer": "sgd", "schedule": "zaremba", "decay_after": 1, "learning_rate": 0.5},
        {"cell": MINE, "tie_weights": True, "weight_decay": 0.1, "warmup_steps": 7},
        {"proj_size": 5, "layer_norm": True},
        {"dtype": "bfloat16"},
        {"cell": "slstm", "window": 7},
        {"cell": "gru", "num_layers": 2, "dropout": 0.3, "tbptt": [5, 17], "window": 5},
        {"cell": "clockwork", "hidden_size": 16},
    ],
    ids=["lstm", "gru", "dropout", "zaremba", "mine", "projected", "bfloat16", "slstm", "tbptt", "clockwork"],
)
def test_killed_twice_and_the_same_to_the_bit(configure, same, changes):
    straight = train(configure("straight", **changes))
    broken = configure("broken", **changes)
    for step in (13, 22):
        with pytest.raises(Killed):
            train(broken, At(step, kill))
    result = train(broken)
    assert result.step == straight.step == 24
    assert result.metrics == straight.metrics
    same(straight.run, result.run)


def test_killed_before_the_first_checkpoint(configure, same):
    straight = train(configure("straight"))
    with pytest.raises(Killed):
        train(configure("broken"), At(9, kill))
    same(straight.run, train(configure("broken")).run)


def test_an_epoch_ends_between_the_kills(configure):
    """The tests above mean what they say only if they go through the start of an epoch, where memory is cleared."""
    reporter = At(0, kill)
    train(configure(epochs=1, steps=None), reporter)
    assert reporter.began is not None
    assert 13 < reporter.began.steps < 22


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_save_and_leave(configure, same, number, code):
    before = signal.getsignal(number)
    straight = train(configure("straight"))
    broken = configure("broken")
    with pytest.raises(Stopped, match=r"after step 17, saved in '.*broken'") as stopped:
        train(broken, At(17, send(number)))
    assert stopped.value.exit_code == code
    assert list_checkpoints(broken.directory / "checkpoints") == [10, 17]
    assert (broken.directory / "loss.png").read_bytes()[:4] == b"\x89PNG"
    assert signal.getsignal(number) is before
    result = train(broken)
    assert result.metrics == straight.metrics
    # The checkpoint of step 17 took the place of that of step 10 or 20; the last one is what counts.
    first = (straight.run / "checkpoints" / "step-24" / "model.safetensors").read_bytes()
    assert (result.run / "checkpoints" / "step-24" / "model.safetensors").read_bytes() == first


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_ignored_signal_stays_ignored(configure, number):
    """As ``nohup`` and ``&`` ask of every program."""
    before = signal.signal(number, signal.SIG_IGN)
    try:
        assert train(configure(), At(17, send(number))).metrics
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


@pytest.mark.usefixtures("interruptible")
def test_a_second_signal_leaves_at_once(configure):
    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    config = configure()
    with pytest.raises(KeyboardInterrupt):
        train(config, At(17, twice))
    assert list_checkpoints(config.directory / "checkpoints") == [10]


def test_a_finished_run_says_so(configure, same):
    first = train(configure())
    reporter = At(1, kill)
    again = train(configure(), reporter)
    assert not first.already
    assert again.already
    assert reporter.began is None
    assert again.metrics == first.metrics
    assert again.sample == first.sample != ""


def test_steps_may_be_raised_but_not_lowered(configure, same):
    straight = train(configure("straight", schedule="constant", steps=40))
    train(configure("longer", schedule="constant"))
    reporter = At(0, kill)
    longer = train(configure("longer", schedule="constant", steps=40), reporter)
    assert reporter.notes == ["this run goes on to step 40 instead of 24"]
    weights = [run / "checkpoints" / "step-40" / "model.safetensors" for run in (straight.run, longer.run)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    with pytest.raises(RunError, match="steps may only be raised"):
        train(configure("longer", schedule="constant", steps=39))


@pytest.mark.parametrize("damage", [b"[1, 2]\n", b'{"seconds": 1}\n', b"{]\n{}\n", None])
def test_damaged_metrics_stop_before_anything_is_changed(configure, damage):
    train(configure(steps=12))
    run = configure().directory
    metrics = run / "metrics.jsonl"
    metrics.unlink()
    metrics.mkdir() if damage is None else metrics.write_bytes(damage)
    before = (run / "config.json").read_bytes()
    with pytest.raises(RunError, match=r"metrics\.jsonl' (is damaged: line 1 |cannot be read \(Is a directory\))"):
        train(configure(steps=24))
    assert (run / "config.json").read_bytes() == before


def test_a_damaged_sample_is_shown_as_it_is(configure):
    train(configure(steps=12))
    (configure().directory / "samples" / "step-12.txt").write_bytes(b"a\xffb")
    assert train(configure(steps=12)).sample == "a\ufffdb"


def test_another_configuration_is_refused_by_name(configure):
    run = train(configure()).run
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(RunError, match=r"cell is \"lstm\" there and \"gru\" now; window is 16 there and 8 now\. Give"):
        train(configure(cell="gru", window=8))
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_another_text_is_refused_and_a_moved_one_is_not(configure, text, tmp_path):
    run = train(configure()).run
    moved = text.rename(tmp_path / "moved.txt")
    assert train(configure(data=str(moved))).already
    moved.write_text(moved.read_text() + "more\n")
    with pytest.raises(RunError, match="was trained on other data"):
        train(configure(data=str(moved)))
    assert list_checkpoints(run / "checkpoints") == [20, 24]


def test_a_directory_of_something_else_is_left_alone(configure, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"meow")
    with pytest.raises(RunError, match=r"not a run and not empty \(it holds cat.jpg\)"):
        train(configure("photos"))
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["cat.jpg"]
    with pytest.raises(RunError, match="is a file"):
        train(configure("photos/cat.jpg"))


def test_a_loss_that_is_no_number_stops_the_run(configure, monkeypatch):
    config = configure()
    real = loop_module.Trainer.train_step

    def poisoned(self):
        if self.step == 16:
            with torch.no_grad():
                self.model.head.bias.fill_(float("nan"))
        return real(self)

    monkeypatch.setattr(loop_module.Trainer, "train_step", poisoned)
    with pytest.raises(
        NonFiniteLossError, match=r"^The loss became nan at step 17\. Run .* good checkpoint is step-10"
    ):
        train(config)
    assert list_checkpoints(config.directory / "checkpoints") == [10]
    monkeypatch.undo()
    assert train(config).step == 24


def test_a_held_out_loss_that_is_no_number_stops_the_run(configure, monkeypatch):
    monkeypatch.setattr(loop_module.Trainer, "measure", lambda self, split: Metric(float("inf"), 9, "char"))
    config = configure()
    with pytest.raises(NonFiniteLossError, match=r"^The held-out loss became inf after step 12"):
        train(config)
    assert list_checkpoints(config.directory / "checkpoints") == [10]


def test_parameters_that_are_no_numbers_are_never_saved(configure, monkeypatch):
    real = loop_module.Trainer.train_step

    def poisoned(self):
        done = real(self)
        if self.step == 20:
            with torch.no_grad():
                self.model.head.bias[0] = float("inf")
        return done

    monkeypatch.setattr(loop_module.Trainer, "train_step", poisoned)
    config = configure()
    with pytest.raises(NonFiniteLossError, match="A parameter is no longer a number after step 20"):
        train(config)
    assert list_checkpoints(config.directory / "checkpoints") == [10]


def test_training_leaves_torch_as_it_was(configure):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    threads = torch.get_num_threads()
    train(configure(steps=2))
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


def test_the_seed_decides(configure):
    weights = [
        (train(configure(f"run{i}", seed=seed, steps=3)).run / "checkpoints/step-3/model.safetensors").read_bytes()
        for i, seed in enumerate((1, 1, 2))
    ]
    assert weights[0] == weights[1] != weights[2]


def test_equations_of_a_file_are_copied_into_the_run(configure, tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text(MINE)
    config = configure(cell=str(path))
    assert config.cell == MINE
    run = train(config).run
    path.unlink()
    assert RunDirectory(run).read_config().cell == MINE
    assert train(make_config(config.model_dump())).already


def test_two_processes_do_not_write_one_run(configure):
    config = configure()
    lock = RunDirectory(config.directory).lock()
    with pytest.raises(RunError, match=r"is being written by another process \(process \d+\)"):
        train(config)
    lock.release()
    assert train(config).step == 24
