"""Runs of task translation: what they learn, that they resume, what they refuse, and what they write."""

import json
import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sacrebleu
import torch

import gatework
from gatework.cli.app import run as command
from gatework.data.sentences import Sentences
from gatework.errors import ConfigError, DataError, GateworkError, RunError
from gatework.heads import HEADS
from gatework.search import compare, make_compare_config
from gatework.search.comparing.plan import ComparisonPlan
from gatework.tasks.registry import TASKS
from gatework.training import evaluate, generate, make_config, train
from gatework.training.jobs.registry import kind_of, open_job
from gatework.training.jobs.translation_data import Bilingual, Numbered, PairedText, make_text
from gatework.training.jobs.translation_score import measure_trivial
from gatework.training.translating import translate

WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
SMALL = {
    "task": "translation",
    "languages": "num-word",
    "pieces": 280,
    "hidden_size": 24,
    "embedding_size": 12,
    "batch_size": 16,
    "steps": 20,
    "log_every": 5,
    "evaluate_every": 10,
    "checkpoint_every": 5,
    "threads": 1,
}


def opened(config) -> Any:
    return open_job(config)


def draw(count, seed):
    """Digits, and their names from the last one to the first."""
    rng = random.Random(seed)
    rows = [[rng.randrange(10) for _ in range(rng.randint(1, 4))] for _ in range(count)]
    return [" ".join(map(str, row)) for row in rows], [" ".join(WORDS[one] for one in row[::-1]) for row in rows]


def write(folder, name, lines):
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("pairs")
    for seed, (split, count) in enumerate({"train": 600, "valid": 40, "test_a": 40, "test_b": 10}.items()):
        source, target = draw(count, seed)
        write(made, f"{split}.num", source)
        write(made, f"{split}.word", target)
    return made


@pytest.fixture
def told(folder, tmp_path):
    def settings(run="run", **changes):
        return make_config(SMALL | {"data": str(folder), "run": str(tmp_path / run)} | changes)

    return settings


@pytest.fixture(scope="module")
def learned(folder, tmp_path_factory):
    """A run that has learned the task."""
    run = tmp_path_factory.mktemp("runs") / "gru"
    changes = {"cell": "gru", "hidden_size": 48, "embedding_size": 24, "batch_size": 32, "steps": 400, "dropout": 0.0}
    changes |= {"learning_rate": 1e-2, "smoothing": 0.0, "evaluate_every": 400, "checkpoint_every": 400}
    return train(make_config(SMALL | {"data": str(folder), "run": str(run)} | changes))


def test_it_learns_to_translate(learned, capsys):
    assert learned.metrics["bleu"] > 90
    assert learned.trivial["copying"]["bleu"] == 0
    run = str(learned.run)
    found = evaluate(run, split="test", beams=3)
    assert found.text == "test_a"
    assert found.metrics["bleu"] > 90
    assert "tok:13a" in found.notes["BLEU"]
    assert found.notes["search"] == "3 beams"
    assert found.solved
    model = gatework.load(run)
    assert model.translate(["3 1", "", "9"]) == ["one three", "", "nine"]
    assert model.translate(["3 1"], beams=1) == ["one three"]
    assert command(["translate", run, "--text", "4 2 7"]) == 0
    assert capsys.readouterr().out == "seven two four\n"


def test_generate_draws_a_translation_of_the_prompt(learned, capsys):
    run = str(learned.run)
    assert generate(run, "4 2 7", temperature=0.0).text == "seven two four"
    assert generate(run, "4 2 7", beams=3).text == "seven two four"
    drawn = {generate(run, "4 2 7", temperature=30.0, length=5, seed=seed).text for seed in range(4)}
    assert len(drawn) == 4
    assert generate(run, "4 2 7", temperature=30.0, length=5, seed=1).text in drawn
    assert generate(run, "", temperature=0.0).text == ""
    assert command(["generate", run, "--prompt", "4 2", "--temperature", "0"]) == 0
    assert capsys.readouterr().out == "two four\n"
    with pytest.raises(DataError, match="Sentence 1 has a line end in it"):
        generate(run, "4\n2")


def test_bleu_is_that_of_the_package(learned, folder):
    """Counts of parts add up to the figure of the whole."""
    lines = (folder / "test_b.num").read_text().splitlines()
    told = (folder / "test_b.word").read_text().splitlines()
    found = gatework.load(str(learned.run)).translate(lines, beams=1)
    expected = sacrebleu.BLEU(lowercase=True).corpus_score(found, [told]).score
    assert evaluate(str(learned.run), split="test_b").metrics["bleu"] == pytest.approx(expected, abs=1e-9)
    job = opened(make_config(SMALL | {"data": str(folder)}))
    model = job.build(torch.device("cpu"))
    parts = [job.measure(model, "valid", (rank, 3)).sums() for rank in range(3)]
    together = job.put_together([sum(column) for column in zip(*parts, strict=True)]).named()
    whole = job.measure(model, "valid", (0, 1)).named()
    assert together == pytest.approx(whole)
    assert model.training


def test_trivial_predictors_are_measured_by_hand():
    train = Sentences(("x",) * 5, ("a b c d", "a b c e", "a b c e", "f", "g"))
    held = Sentences(("a b c d e", "q r s t"), ("a b c d e", "a b c e"))
    found = measure_trivial(train, held, lowercase=True)
    score = sacrebleu.BLEU(lowercase=True).corpus_score
    assert found["copying"]["bleu"] == pytest.approx(score([*held.source], [[*held.target]]).score)
    assert found["most frequent sentence"]["bleu"] == pytest.approx(score(["a b c e"] * 2, [[*held.target]]).score)


@pytest.mark.parametrize("changes", [{}, {"cell": "gru", "attention": "general", "attention_place": "after"}])
def test_a_resumed_run_is_the_same_to_the_bit(told, same, changes):
    changes = {"dropout": 0.2, "shared_pieces": True, "num_layers": 2, "schedule": "constant"} | changes
    straight = train(told("straight", **changes))
    train(told("broken", steps=10, **changes))  # in the middle of a pass
    broken = train(told("broken", **changes))
    same(straight.run, broken.run)
    with pytest.raises(RunError, match=r"smoothing is 0\.1 there and 0\.2 now"):
        train(told("broken", smoothing=0.2, **changes))


def test_batches_hold_every_pair_once_in_each_pass(folder):
    job = opened(make_config(SMALL | {"data": str(folder)}))
    text = job.text
    first, second = (text.epoch(np.random.default_rng(seed), 16) for seed in (1, 2))
    seen = [int(number) for batch in first for number in batch]
    assert len(seen) == len(set(seen)) == 600 // 16 * 16
    assert [batch.tolist() for batch in first] != [batch.tolist() for batch in second]
    # Sorted by length, little is padding.
    lengths = text.numbered("train")[1].lengths
    padding = sum(lengths[batch].max() * len(batch) - lengths[batch].sum() for batch in first)
    assert padding < 0.1 * lengths[seen].sum()
    assert sorted(int(n) for batch in text.by_length("valid", 7) for n in batch) == list(range(40))


def test_pieces_are_those_of_the_training_sentences_and_spell_any_text():
    train = Sentences(("aaa bbb",) * 9, ("ccc",) * 9)
    text = make_text(
        {"train": train, "valid": Sentences(("zz zz",), ("yy yy",))}, make_config(SMALL | {"batch_size": 9})
    )
    pieces = {*text.vocabulary.source.pieces[256:], *text.vocabulary.target.pieces[256:]}
    assert {b" aaa", b" bbb", b" ccc"} <= pieces
    assert not any(b"z" in piece or b"y" in piece for piece in pieces)
    known = text.vocabulary
    for line in ("aaa", "größer als ½ 🙂", "zz"):
        assert known.write(Numbered.of([line], known.target).numbers.tolist()) == line
    batch = text.batch("valid", np.array([0]), HEADS["words"](len(known.target)).shift)
    assert known.end == 10  # a line feed, which no sentence holds
    assert [int(batch.source[-1, 0]), int(batch.before[0, 0]), int(batch.targets[-1, 0])] == [10, 10, 10]
    assert known.write(batch.targets[:-1, 0].tolist()) == "yy yy"
    assert Bilingual.from_json(json.loads(json.dumps(known.to_json())), False).sizes == known.sizes


def test_only_short_sentences_are_learned_from_and_all_are_measured(folder, told):
    job = opened(told(gap=2))
    assert isinstance(job.text, PairedText)
    assert max(len(line.split()) for line in job.text.splits["train"].source) == 2
    assert max(len(line.split()) for line in job.text.splits["valid"].source) == 4


def test_pairs_of_files_are_read_and_others_held_out(folder, tmp_path):
    pair = f"{folder}/train.num,{folder}/train.word"
    job = opened(make_config(SMALL | {"pair": pair}))
    assert {split: len(part) for split, part in job.text.splits.items()} == {"train": 540, "valid": 30, "test": 30}
    valid = f"{folder}/valid.num,{folder}/valid.word"
    job = opened(make_config(SMALL | {"pair": pair, "valid_pair": valid}))
    assert {split: len(part) for split, part in job.text.splits.items()} == {"train": 600, "valid": 40, "test": 40}
    assert any("also those to test on" in line for line in job.about())
    made = train(make_config(SMALL | {"pair": pair, "run": str(tmp_path / "run"), "steps": 2}))
    found = evaluate(str(made.run), data=valid)
    assert found.text == valid
    assert found.sequences == 40


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("train.word", None, r"holds 'train.num', and no file of the split train in the language 'word'"),
        ("valid.word", "one\n", r"valid.num' has 40 lines and '.*valid.word' 1; expected as many"),
        ("train.num", "1\n\n", r"train.num' has no sentence on line 2"),
        ("valid.word", b"\xff\n", r"valid.word' is not utf-8 text: byte 0xff"),
        ("train.num", "1\n", "has 1 lines"),
    ],
)
def test_files_that_do_not_fit_are_refused_and_the_run_is_not_touched(folder, tmp_path, file, content, message):
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    settings = make_config(SMALL | {"data": str(copy), "run": str(tmp_path / "run"), "steps": 2})
    before = train(settings)
    kept = {path: path.read_bytes() for path in before.run.rglob("*") if path.is_file()}
    path = copy / file
    path.unlink() if content is None else path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(DataError, match=message):
        train(settings)
    with pytest.raises(DataError, match=message):
        evaluate(str(before.run))
    assert {path: path.read_bytes() for path in before.run.rglob("*") if path.is_file()} == kept
    # The model itself needs no data.
    assert len(gatework.load(str(before.run)).translate(["1 2"])) == 1


def test_changed_sentences_are_noticed(folder, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    settings = make_config(SMALL | {"data": str(copy), "run": str(tmp_path / "run"), "steps": 2})
    made = train(settings)
    (copy / "valid.word").write_text((copy / "valid.word").read_text().replace("one", "two"))
    with pytest.raises(DataError, match=r"The sentences of run .* have changed since it was trained"):
        evaluate(str(made.run))
    with pytest.raises(RunError, match="was trained on other data"):
        train(settings)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pair": "a.en"}, r"A pair of files is 'a.en'; expected two files with a comma between"),
        ({"pair": "a,b", "data": "c"}, "pair is 'a,b' and data 'c'; expected one of the two"),
        ({"valid_pair": "a,b"}, "valid_pair is given and pair is not"),
        ({"pair": "a,b", "test_pair": "a,b"}, "test_pair is given and valid_pair is not"),
        ({"attention": "none", "attention_place": "after"}, "attention is 'none' and attention_place 'after'"),
        ({"attention": "none", "attention_size": 3}, "attention is 'none' and attention_size 3"),
        ({"attention": "adition"}, "attention is 'adition'; it should be"),
        ({"pieces": 256}, "pieces is 256; it should be"),
        ({"languages": "en"}, "languages is 'en'; expected the endings of the files"),
        ({"window": 5}, "window is 5, and has no meaning in task 'translation'"),
        ({"gap": 0}, "gap is 0: task 'translation' takes 1 and more"),
        ({"smoothing": 1.0}, "smoothing is 1.0; it should be"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        make_config({"task": "translation"} | changes)


def test_settings_of_translation_have_no_meaning_elsewhere(told):
    with pytest.raises(ConfigError, match=r"smoothing is 0\.2, and has no meaning in task 'parity'"):
        make_config({"task": "parity", "smoothing": 0.2})
    with pytest.raises(ConfigError, match="attention is general, and a text has none"):
        make_config({"attention": "general"})
    with pytest.raises(ConfigError, match="gap is 3, and a text has none"):
        make_config({"gap": 3})


def test_questions_that_have_no_answer(learned, folder, tmp_path, capsys):
    run = str(learned.run)
    questions: tuple[tuple[Any, str], ...] = (
        ({"streams": 2}, "streams is given, and run .* was trained on pairs of sentences"),
        ({"beams": 0}, r"beams is 0; expected 1 \(greedy\) to 1,000"),
        ({"data": "one"}, "data is 'one'; expected two files with a comma between"),
        ({"split": "dev"}, "The data have no split 'dev': they have train, valid, test_a, test_b"),
    )
    for asked, message in questions:
        with pytest.raises(GateworkError, match=message):
            evaluate(run, **asked)
    parity = gatework.train(task="parity", run=str(tmp_path / "parity"), steps=1, gap=3, hidden_size=4).run
    with pytest.raises(ConfigError, match=r"beams is 2, and run .* translates nothing"):
        evaluate(str(parity), beams=2)
    with pytest.raises(RunError, match="was trained on task 'parity'; expected a run of task translation"):
        translate(str(parity), ["one"])
    with pytest.raises(RunError, match="its models do not translate"):
        gatework.load(str(parity)).translate(["one"])
    sentences: tuple[tuple[Any, str], ...] = (
        (["1\n2"], "Sentence 1 has a line end in it"),
        ([3], "Sentence 1 is of the type int"),
        ("1 2", "One text was given; expected a list of sentences"),
    )
    for given, message in sentences:
        with pytest.raises(DataError, match=message):
            gatework.load(run).translate(given)
    with pytest.raises(ConfigError, match="penalty is -1; expected 0"):
        translate(run, ["1"], penalty=-1)
    write(tmp_path, "lines", ["1", "", "2 3"])
    assert command(["translate", run, str(tmp_path / "lines"), "-o", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out").read_text() == "one\n\nthree two\n"
    capsys.readouterr()
    assert command(["translate", run, str(tmp_path / "lines"), "--json", "--beams", "2"]) == 0
    lines = json.loads(capsys.readouterr().out)["lines"]
    assert [one["text"] for one in lines] == ["one", "", "three two"]
    assert [len(one["others"]) for one in lines] == [1, 0, 1]
    assert lines[0]["log_probability"] < 0
    (tmp_path / "lines").write_bytes(b"\xff")
    assert command(["translate", run, str(tmp_path / "lines")]) == 2
    assert command(["translate", run, str(tmp_path / "lines"), "--text", "1"]) == 2
    assert "is not utf-8 text" in capsys.readouterr().err


def test_the_task_tells_its_licence(capsys):
    assert command(["tasks", "translation"]) == 0
    assert "research and education" in " ".join(capsys.readouterr().out.split())
    assert kind_of("translation").name == "pairs"
    assert TASKS["translation"].success.metric == "bleu"


def test_cells_are_compared_by_bleu(folder, tmp_path):
    """Every cell has as many parameters, encoder, decoder and attention together."""
    config = make_compare_config(
        {"task": "translation", "cells": "gru,rnn", "gaps": "2,4", "seeds": 1, "learning_rates": "0.01", "steps": 6}
        | {"data": str(folder), "languages": "num-word", "pieces": 270, "hidden_size": 16, "batch_size": 16}
        | {"attention": "general", "attention_place": "after", "evaluate_every": 3, "run": str(tmp_path / "compare")}
        | {"workers": 1}
    )
    found = compare(config)
    assert {cell: len(config.gaps) for cell, _ in found.summary} == {"gru": 2, "rnn": 2}
    assert all(0 <= one.median <= 100 for one in found.summary.values() if one.median is not None)
    assert found.task["success"]["metric"] == "bleu"
    assert found.task["predictor"] == "copying"
    sizes = {cell: size.parameters for cell, size in found.sizes.items()}
    assert abs(sizes["rnn"] - sizes["gru"]) < 0.05 * sizes["gru"]
    job = opened(make_config(SMALL | {"data": str(folder)}))
    model = job.build(torch.device("cpu"))
    counted = job.shape.count(model.encoder.cell, SMALL["hidden_size"])
    assert counted == sum(value.numel() for value in model.parameters())
    varied = make_compare_config(
        {
            "task": "translation",
            "cells": "gru",
            "gaps": "4",
            "learning_rates": "0.01",
            "vary": "attention=additive,none",
        }
        | {"data": str(folder), "languages": "num-word", "pieces": 270, "hidden_size": 16, "batch_size": 16}
    )
    plan = ComparisonPlan(varied)
    assert plan.sizes["gru attention=none"].hidden_size > plan.sizes["gru attention=additive"].hidden_size == 16
    data = varied.model_copy(update={"vary": "pieces=270,280"})
    with pytest.raises(ConfigError, match="would not be trained on the same data with each of its values"):
        ComparisonPlan(data)
    with pytest.raises(ConfigError, match="attention is 'general', and has no meaning in task 'parity'"):
        make_compare_config({"task": "parity", "cells": "gru", "gaps": "3", "attention": "general"})


def test_a_task_of_ones_own_over_pairs(folder, tmp_path, monkeypatch):
    mine = replace(TASKS["translation"], name="mine", examples=gatework.Pairs("", "num-word"), defaults={})
    small: dict[str, Any] = {name: value for name, value in SMALL.items() if name != "task"}
    small |= {"data": str(folder), "steps": 2}
    made = train(task=mine, run=str(tmp_path / "run"), **small)
    assert len(gatework.load(str(made.run), task=mine).translate(["1 2"])) == 1
    with pytest.raises(RunError, match="was trained on task 'mine', which is not one of gatework's"):
        gatework.load(str(made.run))
    monkeypatch.delenv("GATEWORK_DATA", raising=False)
    with pytest.raises(DataError, match="Task 'translation' needs recorded data"):
        opened(make_config({"task": "translation"}))
