"""What is done with a run: measure it, let it write, look at its curve, watch it go."""

import io
import json
import math

import pytest
from matplotlib import image
from rich.console import Console

from gatework.errors import ConfigError, DataError, RunError
from gatework.training import evaluate, generate, make_reporter, train
from gatework.training.curve import draw_curve, smooth
from gatework.training.progress import JsonLines, Live, Plain, Quiet


@pytest.fixture
def run(configure):
    return train(configure()).run


@pytest.mark.parametrize(("level", "bits"), [("byte", "bits_per_byte"), ("char", "bits_per_character"), ("word", None)])
def test_evaluation_is_what_training_found(configure, level, bits, text):
    result = train(configure(level=level, valid_fraction=0.2))
    found = evaluate(str(result.run))
    assert found.metrics == result.metrics
    assert found.metrics["perplexity"] == pytest.approx(math.exp(found.metrics["loss"]))
    names = {"loss", "perplexity"} | ({bits} if bits else set())
    assert found.metrics.keys() == names
    if bits:
        assert found.metrics[bits] == pytest.approx(found.metrics["loss"] / math.log(2))
    content = text.read_text()
    length = len(content) if bits else len(content.replace("\n", " \n ").split(" ")) - content.count("\n")
    splits = json.loads((result.run / "data.json").read_text())["splits"]
    assert found.tokens == splits["valid"]["tokens"]
    if bits:
        assert found.tokens == length - int(length * 0.8)
    assert evaluate(str(result.run), split="train").tokens == splits["train"]["tokens"]


def test_evaluation_on_another_text_and_checkpoint(run, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("the gate? the cell!\n")
    found = evaluate(str(run), data=str(other), step=20)
    assert (found.tokens, found.unknown, found.step) == (20, 2, 20)
    assert json.dumps(found.to_json())
    with pytest.raises(RunError, match="has no checkpoint of step 7; it has 20, 24"):
        evaluate(str(run), step=7)
    with pytest.raises(DataError, match="has no split 'test': it has train, valid"):
        evaluate(str(run), split="test")
    with pytest.raises(ConfigError, match="streams is 0"):
        evaluate(str(run), streams=0)


def test_evaluation_notices_that_the_text_has_changed(run, text):
    text.write_text(text.read_text() + "more")
    with pytest.raises(DataError, match="has changed since it was trained"):
        evaluate(str(run))
    text.unlink()
    with pytest.raises(DataError, match="does not exist"):
        evaluate(str(run))
    assert generate(str(run)).text


def test_unknown_symbols_are_counted_and_never_written(configure, text):
    text.write_text(text.read_text() + "§§ a new sign §§\n")
    config = configure(valid_fraction=0.05)
    found = evaluate(str(train(config).run))
    assert found.unknown == 4
    assert math.isfinite(found.metrics["loss"])
    assert "<unk>" not in generate(str(config.directory), temperature=5.0, length=2000).text


def test_writing(run):
    first = generate(str(run), "the gate ", length=50, seed=3)
    assert first.text.startswith("the gate ")
    assert len(first.text) == len("the gate ") + 50
    assert generate(str(run), "the gate ", length=50, seed=3) == first
    assert generate(str(run), "the gate ", length=50, seed=4) != first
    greedy = [generate(str(run), length=40, temperature=0, seed=seed).text for seed in (1, 2)]
    assert greedy[0] == greedy[1]
    assert json.dumps(first.to_json())


def test_a_prompt_that_the_vocabulary_lacks(run, configure):
    with pytest.raises(DataError, match=r"The prompt has characters that the run's vocabulary lacks: 'X', 'ü';"):
        generate(str(run), "the Xü gate X")
    words = train(configure("words", level="word", steps=3)).run
    with pytest.raises(DataError, match="The prompt has words that the run's vocabulary lacks: 'gateway'"):
        generate(str(words), "the gateway")
    assert generate(str(words), "the gate\n", length=3).text.startswith("the gate\n")
    everything = train(configure("bytes", level="byte", steps=3)).run
    assert generate(str(everything), "Xü\x00", length=3).text.startswith("Xü\x00")


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": -1},
        {"temperature": math.nan},
        {"top_p": 0},
        {"top_p": 1.1},
        {"top_k": -1},
        {"length": 0},
        {"seed": -1},
    ],
)
def test_settings_out_of_range(run, settings):
    with pytest.raises(ConfigError, match=rf"{next(iter(settings))} is .*; expected"):
        generate(str(run), **settings)


def test_what_is_no_run(tmp_path, configure):
    with pytest.raises(RunError, match="is not a run: it does not exist"):
        evaluate(str(tmp_path / "nowhere"))
    with pytest.raises(RunError, match=r"is not a run: it holds no config\.json"):
        generate(str(tmp_path))
    run = train(configure()).run
    for step in (20, 24):
        (run / "checkpoints" / f"step-{step}").rename(run / f"away-{step}")
    with pytest.raises(RunError, match="has no checkpoint yet"):
        generate(str(run))
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | {"hidden": 3}))
    with pytest.raises(RunError, match=r"'hidden' is no setting"):
        generate(str(run))


def test_the_curve_is_a_picture_with_two_curves(run, metrics):
    picture = image.imread(run / "loss.png")
    assert picture.shape[1] > picture.shape[0] > 300
    with_both = draw_curve(metrics(run), "bits_per_character", "a title")
    only_training = draw_curve([line for line in metrics(run) if "train_loss" in line], "bits_per_character", "a title")
    assert with_both != only_training
    colours = {
        tuple((pixel[:3] * 255).round().astype(int)) for row in image.imread(io.BytesIO(with_both)) for pixel in row
    }
    assert {(0xC8, 0x45, 0x1B), (0x2F, 0x6C, 0xA8)} <= colours


def test_a_dollar_in_a_title_is_no_formula():
    assert draw_curve([], "bits_per_character", "lstm, on a$\\b^$").startswith(b"\x89PNG")


def test_a_curve_of_nothing_and_of_one_point():
    assert draw_curve([], "bits_per_character", "")[:4] == b"\x89PNG"
    assert draw_curve([{"step": 1, "train_perplexity": 9.0}], "perplexity", "")[:4] == b"\x89PNG"


def test_smoothing_keeps_ends_and_straight_lines():
    line = [(step, 2.0 * step) for step in range(100)]
    assert smooth(line, share=0.2)[:90] == line[:90]
    assert smooth(line, share=0.2)[-1] == (99, 2 * (99 + 89) / 2)
    noisy = [(step, float(step % 2)) for step in range(1000)]
    assert max(abs(value - 0.5) for _, value in smooth(noisy, share=0.1)[60:-60]) < 0.02
    assert smooth([(1, 3.0)]) == [(1, 3.0)]


def test_plain_lines(configure):
    file = io.StringIO()
    train(configure(), Plain(file))
    lines = file.getvalue().splitlines()
    assert lines[0] == "lstm: 1,650 parameters on cpu"
    assert lines[1].startswith("text: ")
    assert lines[2].startswith("run: 24 steps into ")
    assert "bits/char" in lines[3]
    assert "chars/s" in lines[3]
    assert sum("held out" in line for line in lines[3:]) == 2
    assert "\x1b" not in file.getvalue()


def test_json_lines_are_those_of_the_run(configure):
    file = io.StringIO()
    run = train(configure(), JsonLines(file)).run
    assert file.getvalue() == (run / "metrics.jsonl").read_text()


def test_the_moving_display(configure):
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=100)
    train(configure(), Live(console))
    assert "held out" in file.getvalue()
    assert "24/24" in file.getvalue()


def test_which_reporter():
    assert isinstance(make_reporter(file=io.StringIO()), Plain)
    assert isinstance(make_reporter("live", io.StringIO()), Live)
    assert isinstance(make_reporter("json", io.StringIO()), JsonLines)
    assert type(make_reporter("quiet")) is Quiet


def test_the_curve_shows_a_held_out_loss_far_above_the_training_loss(recwarn):
    """A short run on few rows learns them by heart; its held-out loss was cut off, and the layout with it."""
    train = [{"step": step, "train_loss": 0.1 + (0.9 if step < 5 else 0.02 / step)} for step in range(1, 60)]
    assert draw_curve([*train, {"step": 60, "valid_loss": 0.9}], "loss", "")[:4] == b"\x89PNG"
    assert not recwarn.list
