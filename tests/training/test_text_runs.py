"""Runs on text at every level: what is read, what is said about it, and what is measured."""

import io
import json
import math
import shutil

import pytest
import torch

from gatework.errors import ConfigError, DataError, RunError
from gatework.models.language import measure
from gatework.training import evaluate, generate, make_config, train
from gatework.training.jobs.text import TextJob, read_text
from gatework.training.jobs.text_data import LARGE_VOCABULARY
from gatework.training.progress import Plain
from gatework.training.restore import load_model


def about(config):
    return TextJob(config, read_text(config)).about()


def test_a_run_on_pieces(configure, text, same, tmp_path):
    config = configure(level="bpe", vocabulary_size=300, valid_fraction=0.3)
    file = io.StringIO()
    result = train(config, Plain(file))
    assert "300 different" in file.getvalue().splitlines()[1]
    assert "pieces to train on" in file.getvalue()
    assert "bits/byte" in file.getvalue()
    assert result.sample
    found = evaluate(str(result.run))
    assert found.metrics == result.metrics
    assert found.metrics.keys() == {"loss", "perplexity", "bits_per_byte", "bits_per_character"}
    # All characters of this text are single bytes, so level char holds out the same text.
    held_out = read_text(configure(valid_fraction=0.3)).tokens["valid"]
    nats = found.metrics["loss"] * found.tokens
    assert found.metrics["bits_per_byte"] == pytest.approx(nats / len(held_out) / math.log(2))
    assert generate(str(result.run), "the gate ü", length=20).text.startswith("the gate ü")
    # Stopped half-way, it ends as the run that never stopped.
    shutil.copytree(result.run, tmp_path / "broken")
    shutil.rmtree(tmp_path / "broken" / "checkpoints" / "step-24")
    same(result.run, train(config.model_copy(update={"run": str(tmp_path / "broken")})).run)
    text.write_text(text.read_text() + "more")
    with pytest.raises(DataError, match=r"has changed since it was trained\."):
        evaluate(str(result.run))


def test_pieces_that_were_learned_otherwise_are_other_data(configure, monkeypatch):
    config = configure(level="bpe", vocabulary_size=300)
    train(config)
    monkeypatch.setattr("gatework.data.vocabulary._learn_merges", lambda text, size: ((1, 2),))
    with pytest.raises(RunError, match="was trained on other data"):
        train(config.model_copy(update={"steps": 30}))


def test_pieces_are_learned_from_a_part_of_a_long_text(configure, text, monkeypatch):
    text.write_text("aaa bbb\n" * 500 + "ccc ddd\n" * 500 + "eee fff\n" * 500, encoding="utf-8")
    config = configure(level="bpe", vocabulary_size=300)
    whole = read_text(config).vocabulary
    assert {b"aaa", b" ddd", b"eee"} <= set(whole.pieces)
    monkeypatch.setattr("gatework.training.jobs.text_data._AT_ONCE", 1000)
    monkeypatch.setattr("gatework.training.jobs.text_data._MOST_LEARNED", 1500)
    part = read_text(config).vocabulary
    assert len(part) < len(whole)
    assert b"aaa" in part.pieces
    monkeypatch.setattr("gatework.training.jobs.text_data._MOST_LEARNED", 10**9)
    monkeypatch.setattr("gatework.training.jobs.text_data._MOST_DIFFERENT", 7)
    assert read_text(config).vocabulary == part


def test_bad_bytes_are_refused_or_replaced(configure, text):
    text.write_bytes(text.read_bytes() + b"caf\xe9 \xff\n")
    with pytest.raises(
        DataError, match=r"byte 0xe9 at offset \d+ does not fit\. Name .*--errors replace.*--level byte"
    ):
        read_text(configure())
    config = configure(errors="replace")
    assert "2 places that are not utf-8 text were replaced by U+FFFD" in about(config)
    run = train(config).run
    found = evaluate(str(run), data=str(text))
    assert (found.replaced, found.to_json()["replaced"]) == (2, 2)


def test_words_of_a_book_are_cut_by_unicode(configure, text):
    text.write_text("It isn't so, is it? 猫です。\nNo: it's not!\n" * 30, encoding="utf-8")
    assert any("--words unicode takes them apart" in line for line in about(configure(level="word")))
    config = configure(level="word", words="unicode")
    assert len(about(config)) == 1
    assert {"isn't", ",", "猫", "で"} <= set(read_text(config).vocabulary.symbols)
    run = train(config).run
    assert json.loads((run / "vocabulary.json").read_text())["words"] == "unicode"
    assert generate(str(run), "is it?", length=3).text.startswith("is it?")


def test_a_text_in_words_already_is_not_remarked_upon(configure):
    assert len(about(configure(level="word"))) == 1


def test_many_words_are_warned_of(configure, text):
    text.write_text(" ".join(f"w{number}" for number in range(60_000)), encoding="utf-8")
    line = about(configure(level="word"))[1]
    # 12 numbers for the embedding of a word, 12 and a bias for its score, of 4 bytes each.
    assert line.startswith("54,002 different words are many: the embedding and the output layer take 5 MB")
    assert "--vocabulary-size 20000" in line
    assert "--level bpe" in line
    assert len(about(configure(level="word", vocabulary_size=LARGE_VOCABULARY))) == 1
    with pytest.raises(ConfigError, match=r"vocabulary_size \(54002\) or window \(16\) smaller"):
        train(configure(level="word", hidden_size=2**20))


def test_of_a_long_text_a_part_is_measured(configure):
    config = configure(valid_fraction=0.5, evaluate_symbols=60, steps=12)
    assert "held out (of which 60 are measured)" in about(config)[0]
    result = train(config)
    found = evaluate(str(result.run))
    whole = evaluate(str(result.run), symbols=0)
    assert found.metrics == result.metrics != whole.metrics
    assert (found.tokens, found.of) == (60, whole.tokens)
    assert evaluate(str(result.run), symbols=70).tokens == 70
    loaded, tokens = load_model(str(result.run)), read_text(config).tokens["valid"]
    assert measure(loaded.model, tokens, loaded.vocabulary, most=60).named() == found.metrics
    with pytest.raises(ConfigError, match=r"symbols is -1; expected a number of symbols, or 0 for all\."):
        evaluate(str(result.run), symbols=-1)
    # It may be changed, because it changes nothing of the training.
    longer = train(config.model_copy(update={"evaluate_symbols": 0, "steps": 14}))
    assert longer.metrics == evaluate(str(result.run), symbols=0).metrics


def test_a_text_in_a_file_gives_the_same_run(configure, same, monkeypatch):
    short = {"steps": 6, "evaluate_every": 6, "checkpoint_every": 6}
    memory = train(configure("memory", **short))
    monkeypatch.setattr("gatework.data.numbers.Numbers.__init__.__defaults__", (0,))
    config = configure("file", **short)
    assert "GB in a temporary file in" in about(config)[1]
    same(memory.run, train(config).run)
    assert evaluate(str(memory.run)).metrics == memory.metrics


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"level": "bpe", "vocabulary_size": 256}, "vocabulary_size is 256; expected 257 or more at level bpe"),
        ({"words": "unicode"}, "words is 'unicode', which has a meaning at level word only."),
        ({"level": "byte", "errors": "replace"}, "errors is 'replace', but level byte takes bytes as they are"),
    ],
)
def test_settings_that_do_not_fit(values, message):
    with pytest.raises(ConfigError, match=message):
        make_config(values)


def test_tokens_have_the_smallest_type(configure, text):
    assert read_text(configure()).tokens["train"].dtype == torch.uint8
    text.write_text("".join(map(chr, range(0x4E00, 0x4E00 + 400))) * 2, encoding="utf-8")
    assert read_text(configure(valid_fraction=0.4)).tokens["train"].dtype == torch.int16
