"""The runs that are open: the demo, and runs of bytes and of words."""

import json
import shutil
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from gatework.errors import CellError, ExplorerError, RunError
from gatework.explorer import models
from gatework.explorer.models import DEMO, DemoOrigin, display, open_runs
from gatework.models.language import LanguageModel, measure
from gatework.models.sequences import SequenceModel
from gatework.training import make_config, read_toml, train

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def test_the_demo(call):
    demo = call(demo=True)
    (run,) = demo.get("/api/about")["runs"]
    assert (run["title"], run["cell"], run["layers"], run["hidden_sizes"]) == ("demo", "lstm", 2, [128, 128])
    assert (DEMO / "model.safetensors").stat().st_size < 1_000_000
    samples = run["samples"]
    assert len(samples) >= 5
    assert max(sample["steps"] for sample in samples) == 100_000
    for sample in samples[:-1]:
        told = demo.post("/api/traces", run="r0", sample=sample["id"])
        assert told["unknown"] == []
        assert sample["title"] == sample["titles"]["en"]
        assert len(set(sample["titles"].values())) == 3
        assert set(sample["titles"]) == {"en", "zh-Hans", "zh-Hant"}
        # It reads Python, and the least of it as prose: by chance it would be log(98) = 4.6 nats.
        assert told["mean_loss"] < 3


def test_the_demo_is_as_good_as_it_says():
    """On this package's own source, which is Python as it learned it, though of other people's hand."""
    (run,) = open_runs([], demo=True).values()
    facts = json.loads((DEMO / "model.json").read_text())
    tokens = run.vocabulary.encode(run.held_out[:20_000])
    assert measure(run.open().model, tokens, run.vocabulary).loss < facts["valid_loss"] + 1


def test_a_damaged_demo_is_refused(tmp_path, monkeypatch):
    shutil.copytree(DEMO, tmp_path / "demo")
    monkeypatch.setattr(models, "DEMO", tmp_path / "demo")
    content = bytearray((tmp_path / "demo" / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (tmp_path / "demo" / "model.safetensors").write_bytes(content)
    with pytest.raises(RunError, match=r"The demo's model is damaged\. Install gatework again"):
        DemoOrigin().load(0)


def test_the_demo_was_trained_by_its_example(make_run, tmp_path, monkeypatch, capsys):
    """The settings that travel with the model are those of the example; and the packer packs what a run holds."""
    spec = spec_from_file_location("make_demo_model", EXAMPLES / "make_demo_model.py")
    assert spec is not None
    assert spec.loader is not None
    packer = module_from_spec(spec)
    spec.loader.exec_module(packer)
    told = make_config(read_toml(EXAMPLES / "explorer_demo.toml"))
    packed = make_config(json.loads((DEMO / "model.json").read_text())["config"])
    assert packed == told.model_copy(update={"run": ""})
    monkeypatch.setattr(packer, "FOLDER", tmp_path)
    run = make_run("packed")
    packer.pack(run)
    assert "step 8, held-out loss" in capsys.readouterr().out
    monkeypatch.setattr(models, "DEMO", tmp_path)
    origin = DemoOrigin()
    again = origin.load(8)
    ours = models.RunOrigin(run).load(8)
    for name, tensor in ours.state_dict().items():
        assert again.state_dict()[name].equal(tensor), name


def test_a_run_of_bytes(call, make_run):
    caller = call(make_run("bytes", level="byte", num_layers=1))
    told = caller.read("aé\n")
    assert (told["symbols"], told["unknown"], told["steps"]) == (["a", r"\xc3", r"\xa9", "\n"], [], 4)
    _, records = caller.forward("aé\n")
    assert (caller.numbers(f"/api/traces/{told['trace']}/values", name="c") == records[0]["c"].numpy()).all()
    about = caller.get("/api/about")["runs"][0]
    assert (about["vocabulary_size"], about["vocabulary"][65], len(about["samples"])) == (256, "A", 4)


def test_a_run_of_words(call, make_run):
    caller = call(make_run("words", level="word", num_layers=1))
    told = caller.read("def nonsense\nx = ")
    assert (told["symbols"], told["unknown"]) == (["def", "nonsense", "\n", "x", "="], [1])
    samples = caller.get("/api/about")["runs"][0]["samples"]
    assert [sample["steps"] > 10 for sample in samples] == [True] * len(samples)
    told = caller.post("/api/traces", run="r0", sample=samples[0]["id"])
    assert told["steps"] == samples[0]["steps"]
    found = caller.post(f"/api/traces/{told['trace']}/find", names=["h"], preset="line_ends")
    assert {symbol for begin, end in found["positions"] for symbol in told["symbols"][begin:end]} == {"\n"}
    assert found["marked"] == told["symbols"].count("\n")


def test_a_run_of_pieces(call, make_run):
    caller = call(make_run("pieces", level="bpe", vocabulary_size=280, num_layers=1))
    told = caller.read("def fü\n")
    assert (told["symbols"], told["unknown"]) == (["de", "f", " f", r"\xc3", r"\xbc", "\n"], [])
    about = caller.get("/api/about")["runs"][0]
    assert (about["vocabulary_size"], about["vocabulary"][65]) == (280, "A")
    samples = about["samples"]
    told = caller.post("/api/traces", run="r0", sample=samples[0]["id"])
    assert told["steps"] == samples[0]["steps"] < len(samples[0]["text"])
    assert "".join(told["symbols"]) == samples[0]["text"]
    found = caller.post(f"/api/traces/{told['trace']}/find", names=["h"], pattern="return")
    assert "return" in "".join(symbol for begin, end in found["positions"] for symbol in told["symbols"][begin:end])
    elsewhere = caller.post("/api/elsewhere", run="r0", layer=0, name="c", unit=0)
    assert elsewhere["searched"] > 100


def test_a_run_of_words_cut_by_unicode(call, make_run):
    caller = call(make_run("unicode words", level="word", words="unicode", num_layers=1))
    told = caller.read("def f(a, b):\n")
    assert (told["symbols"], told["unknown"]) == (["def", "f", "(", "a", ",", "b", ")", ":", "\n"], [])


def test_symbols_that_the_vocabulary_lacks_are_shown_as_they_were_typed(small):
    told = small.read("a€b")
    assert (told["symbols"], told["unknown"]) == (["a", "€", "b"], [1])


def test_without_its_text_a_run_can_still_read_what_is_typed(call, make_run):
    path = Path(make_run("orphan"))
    (path.parent / "text.txt").write_text("another text altogether\n" * 99)
    caller = call(str(path))
    assert caller.get("/api/about")["runs"][0]["samples"] == []
    assert caller.read("abc")["steps"] == 3
    body = {"run": "r0", "layer": 0, "name": "c", "unit": 0}
    told = caller.refused(404, "POST", "/api/elsewhere", json=body)
    assert told.startswith("There is no held-out text to look in: The text of run 'orphan' has changed since it was")


def test_a_checkpoint_that_is_gone(make_run):
    path = Path(make_run("gone"))
    (run,) = open_runs([str(path)], demo=False).values()
    shutil.rmtree(path / "checkpoints" / "step-4")
    with pytest.raises(ExplorerError) as caught:
        run.open("step-4")
    assert caught.value.status == 404
    # What it says names no file: whoever asks may be elsewhere.
    assert str(caught.value) == (
        "Checkpoint 'step-4' of run r0 cannot be read any more: if the run went on training, start the explorer again."
    )


def test_a_run_without_checkpoints(make_run):
    path = Path(make_run("empty"))
    shutil.rmtree(path / "checkpoints")
    with pytest.raises(RunError, match=r"has no checkpoint yet. Let it train until its first one"):
        open_runs([str(path)], demo=False)


def test_a_run_on_a_sequence_task(tmp_path):
    told = make_config({"task": "adding", "gap": 10, "steps": 1, "hidden_size": 4, "run": str(tmp_path / "adding")})
    run = str(train(told).run)
    with pytest.raises(RunError, match="was trained on task 'adding'; expected a run on text"):
        open_runs([run], demo=False)


def test_what_cannot_be_shown_as_it_is():
    assert display(bytes([0, 10, 65, 127, 200])) == [r"\x00", "\n", "A", r"\x7f", r"\xc8"]
    assert display(["<eos>", "<unk>"]) == ["\n", "<unk>"]


def test_a_cell_with_a_memory_is_refused_in_a_sentence(monkeypatch):
    """No model on text has a memory to give, so such a run can be neither trained nor shown."""
    cell = "memories: m\na = softmax(m @ h)\nh = tanh(W @ x + R @ h + C @ (a @ m))"
    message = "reads the memory m, and a language model has none to give it. Choose a cell without a memory."
    with pytest.raises(CellError, match=message):
        LanguageModel(5, cell, 3, 4)
    with pytest.raises(CellError, match="a sequence model has none to give it"):
        SequenceModel(5, 2, cell, 4)
    (opened,) = open_runs([], demo=True).values()
    monkeypatch.setattr(opened.origin, "load", lambda step: LanguageModel(5, cell, 3, 4))
    with pytest.raises(ExplorerError, match=r"^Run r0 cannot be shown: The cell .* reads the memory m, and a "):
        opened.open()
