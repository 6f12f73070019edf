"""A finished run in Python: what it holds, what it answers, and what it refuses in a sentence."""

import json
import shutil

import numpy as np
import pytest
import torch
from tests.training.test_registry import EchoKind

from gatework.errors import DataError, RunError
from gatework.training import evaluate, generate, load, make_config, train
from gatework.training.jobs import registry
from gatework.training.jobs.registry import JOBS

SMALL = {"hidden_size": 8, "batch_size": 8, "steps": 3, "log_every": 1, "threads": 1}


@pytest.fixture
def book(configure):
    return train(configure())


@pytest.fixture
def order(tmp_path):
    return train(make_config({"task": "temporal_order_2", "gap": 10, "run": str(tmp_path / "order"), **SMALL}))


def test_a_run_on_text_holds_everything(book):
    run = load(book.run)
    assert (run.path, run.step, run.config.task) == (book.run, 24, "text")
    assert run.metrics == book.metrics
    halfway = next(line for line in run.history if line["step"] == 12 and "valid_loss" in line)
    assert load(book.run, 20).metrics["loss"] == halfway["valid_loss"]
    assert run.facts["fingerprint"]
    assert run.classes == run.vocabulary.symbols
    assert not run.model.training
    assert repr(run) == f"<run {str(book.run)!r}: task text, step 24>"


def test_it_does_what_the_functions_do(book, text):
    run = load(book.run)
    assert run.evaluate().to_json() | {"seconds": 0} == evaluate(str(book.run)).to_json() | {"seconds": 0}
    assert run.generate("the gate ", length=30, seed=2) == generate(str(book.run), "the gate ", length=30, seed=2)
    text.unlink()
    assert load(book.run).generate(length=5).text
    with pytest.raises(DataError, match="does not exist"):
        run.evaluate()


def test_a_text_is_predicted_and_traced(book):
    run = load(book.run)
    predicted = run.predict("the gat")
    assert predicted.scores.shape == (8, 1, len(run.vocabulary))
    torch.testing.assert_close(predicted.probabilities.sum(-1), torch.ones(8, 1))
    written = run.generate("the gat", length=1, temperature=0).text
    assert predicted.last.named == [written[-1]]
    assert predicted.last.last is not None
    traced = run.trace("the gat", ["c"])
    read = torch.cat([torch.ones(1), run.vocabulary.encode("the gat")]).long()[:, None]
    assert torch.equal(traced["c"][-1], run.model(read)[1][1][0])
    for wrong in (3, torch.zeros(4)):
        with pytest.raises(DataError, match=r"was trained on text, and an object of the type (int|Tensor) was given"):
            run.predict(wrong)
    with pytest.raises(DataError, match="and lengths was given"):
        run.predict("the", lengths=[3])


def test_bytes_have_names(configure):
    run = load(train(configure(level="byte", steps=2)).run)
    assert (len(run.classes), run.classes[97], run.classes[10], run.classes[255]) == (256, "a", r"\n", r"\xff")


def test_symbols_are_read_by_number_and_by_name(order):
    run = load(order.run)
    assert run.classes == ("XX", "XY", "YX", "YY")
    names = run._restored.trained.task.alphabet
    by_name, by_number = run.predict(list(names)), run.predict(np.arange(len(names)))
    assert torch.equal(by_name.scores, by_number.scores)
    rows = torch.arange(len(names))[:, None].repeat(1, 2)
    cut = run.predict(rows, lengths=[3, len(names)])
    torch.testing.assert_close(cut.last.scores[1], by_number.last.scores[0])
    torch.testing.assert_close(cut.last.scores[0], by_number.scores[2, 0])
    assert cut.last.answers.shape == (2,)
    assert run.trace(rows, lengths=[3, len(names)])["h"].shape == (len(names), 2, 8)


@pytest.mark.parametrize(
    ("inputs", "lengths", "message"),
    [
        ([0, 8], None, "A symbol is 8; expected numbers from 0 to 7 for run"),
        (["B", "Q"], None, "The symbol 'Q' is given, which task 'temporal_order_2' of run"),
        (
            [[[0]]],
            None,
            r"The inputs have the shape \[1, 1, 1\]; expected \[T\] or \[T, B\], time first, for the model",
        ),
        ([], None, r"The inputs have the shape \[0, 1\]"),
        ([0, 1], [3], r"The lengths are \[3\]; expected 1 whole numbers from 1 to 2"),
        ({"a": 1}, None, "The inputs are of the type dict and cannot be read as numbers"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(order, inputs, lengths, message):
    with pytest.raises(DataError, match=message):
        load(order.run).predict(inputs, lengths)


def test_what_a_job_cannot_do_is_said_in_a_sentence(order, tmp_path, monkeypatch):
    run = load(order.run)
    for ask in (lambda: run.vocabulary, lambda: run.generate("the")):
        with pytest.raises(RunError, match=r"on task 'temporal_order_2', and its models do not read or write text"):
            ask()
    monkeypatch.setattr(registry, "JOBS", (*JOBS, EchoKind()))
    settings = {"task": "echo", "run": str(tmp_path / "echo"), **SMALL}
    echo = load(train(registry.TrainConfig.model_validate(settings)).run)
    assert echo.evaluate().metrics == echo.metrics
    with pytest.raises(RunError, match=r"on task 'echo', and its models do not read inputs of your own\."):
        echo.predict([[1.0]])
    with pytest.raises(RunError, match=r"and its models do not score answers\."):
        echo.classes  # noqa: B018


def test_numbers_have_no_probabilities(tmp_path):
    run = load(train(make_config({"task": "adding", "gap": 9, "run": str(tmp_path / "adding"), **SMALL})).run)
    answers = run.predict([[0.5, 1.0], [0.2, 1.0]]).last
    assert answers.answers.shape == (1, 1)
    assert run.classes == ()
    with pytest.raises(RunError, match="are numbers, which have no probabilities"):
        answers.probabilities  # noqa: B018
    with pytest.raises(RunError, match="not classes, so they have no names"):
        answers.named  # noqa: B018


@pytest.fixture
def walks(tmp_path):
    lines = ["id,time,x,label"]
    for number in range(40):
        label = "up" if number % 2 else "down"
        lines += [f"walk {number},{time},{(number % 2) * 2 - 1},{label}" for time in range(3)]
    table = tmp_path / "walks.csv"
    table.write_text("\n".join(lines) + "\n")
    settings = {"task": "classify", "data": str(table), "run": str(tmp_path / "walks"), **SMALL}
    return train(make_config(settings)), table


def test_recorded_data_are_not_needed_but_to_measure(walks):
    result, table = walks
    run = load(result.run)
    answers = run.predict([[1.0], [1.0]]).scores
    shutil.move(table, table.with_suffix(".old"))
    again = load(result.run)
    assert again.classes == ("down", "up")
    assert torch.equal(again.predict([[1.0], [1.0]]).scores, answers)
    with pytest.raises(DataError, match="does not exist"):
        again.evaluate()
    shutil.move(table.with_suffix(".old"), table)
    assert again.evaluate().metrics == run.metrics


@pytest.mark.parametrize("inputs", [0, -1, True, "1", 10**12, None])
def test_forged_sizes_are_refused(walks, inputs):
    path = walks[0].run / "data.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"inputs": inputs}))
    with pytest.raises(RunError, match="lacks the numbers of inputs and outputs"):
        load(walks[0].run)
