"""Settings: their defaults, their ranges, and the sentence for each that cannot be used."""

import pytest

from gatework.cells import CELLS
from gatework.errors import CellError, ConfigError
from gatework.training.config import TrainConfig, make_config, read_toml
from gatework.training.jobs.build import build_cell
from gatework.training.jobs.memory_check import available_memory
from gatework.training.jobs.text import build_model, count_parameters
from gatework.training.parallel import pick_device


def test_every_field_says_in_one_sentence_what_it_is():
    for name, field in TrainConfig.model_fields.items():
        text = field.description or ""
        assert text[:1].isupper() or text.startswith(("cpu", "CPU")), name
        assert text.endswith("."), name
        assert "\n" not in text, name


def test_a_configuration_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        TrainConfig().hidden_size = 3  # pyrefly: ignore  # that is the point


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"hiden_size": 3}, "'hiden_size' is no setting. Did you mean 'hidden_size'?"),
        ({"num-layer": 3}, "'num-layer' is no setting. Did you mean 'num_layers'?"),
        ({"hidden_size": -1}, "hidden_size is -1; it should be greater than or equal to 1"),
        (
            {"hidden_size": 1.5},
            "hidden_size is 1.5; it should be a valid integer",
        ),
        ({"dropout": 1}, "dropout is 1; it should be less than 1"),
        ({"learning_rate": float("nan")}, "learning_rate is nan; it should be a finite number."),
        ({"level": "line"}, "level is 'line'; it should be 'byte', 'char', 'word' or 'bpe'"),
        ({"steps": 0}, "steps is 0; it should be greater than or equal to 1"),
        ({"steps": 3, "epochs": 2}, "steps is 3 and epochs is 2; expected one of the two."),
        ({"keep_checkpoints": 1}, "keep_checkpoints is 1; it should be greater than or equal to 2"),
        ({"proj_size": 256}, "expected a projection smaller than hidden_size"),
        ({"tie_weights": True, "embedding_size": 3}, "Leave embedding_size out, or set it to 256"),
        ({"init_range": 0.0}, "init_range is 0.0; it should be greater than 0"),
        ({"init_range": 0.1, "init": "chrono"}, "init is 'chrono' and init_range 0.1; expected one of the two."),
        ({"reduction": "sum"}, "reduction is 'sum'; it should be 'mean' or 'sum_over_time'"),
        ({"encoding": "utf-9"}, "'utf-9' is not the name of a text encoding"),
        ({"encoding": "base64"}, "'base64' is not the name of a text encoding"),
        ({"vocabulary_size": 99, "level": "byte"}, "vocabulary_size has no meaning at level byte."),
        ({"cell": "lstmm"}, "lstm"),
        ({"cell": "nowhere.txt"}, "Cell file 'nowhere.txt' cannot be read (No such file or directory)"),
        ({"zoneout": "c0.5"}, "zoneout is 'c0.5'; expected rates by state, such as c=0.5,h=0.05"),
        ({"zoneout": "c=half"}, "zoneout is 'c=half'; expected a number per state, such as c=0.5,h=0.05"),
        ({"task": 3}, "task is 3; it should be a valid string"),
        ({"task": ["adding"]}, "task is ['adding']; it should be a valid string"),
        ({"hidden_size": True}, "hidden_size is True; it should be a valid integer"),
        ({"steps": "6"}, "steps is '6'; it should be a valid integer"),
        ({"tie_weights": "yes"}, "tie_weights is 'yes'; it should be a valid boolean"),
        ({"run": "a\0b"}, "run is 'a\\x00b'; "),
        ({"zoneout": {"c": 1.5}}, "zoneout.c is 1.5; it should be less than 1"),
        ({"device": "gpu"}, "device is 'gpu'; expected cpu, cuda, cuda:N, mps or auto"),
        ({"device": "mps", "dtype": "float64"}, "dtype is float64, which Apple's GPUs do not have; expected dtype"),
    ],
)
def test_what_cannot_be_used(values, sentence):
    with pytest.raises(ConfigError) as error:
        make_config(values)
    assert sentence in str(error.value)
    assert "pydantic" not in str(error.value)
    with pytest.raises(ConfigError, match=r"^mine.toml: "):
        make_config(values, where="mine.toml")


def test_zoneout_in_words():
    assert make_config({"zoneout": "c=0.5, h=0.05"}).zoneout == {"c": 0.5, "h": 0.05}
    assert make_config({"zoneout": ""}).zoneout == {}


def test_files_of_editors_that_begin_with_a_mark(tmp_path):
    (tmp_path / "mine.toml").write_bytes(b"\xef\xbb\xbfhidden_size = 64\n")
    (tmp_path / "mine.txt").write_bytes(b"\xef\xbb\xbfh = tanh(W @ x + R @ h)\n")
    assert read_toml(tmp_path / "mine.toml") == {"hidden_size": 64}
    assert make_config({"cell": str(tmp_path / "mine.txt")}).cell == "h = tanh(W @ x + R @ h)\n"


def test_a_file_of_equations_brings_its_header_along(tmp_path):
    (tmp_path / "mine.txt").write_text("outputs: q\nsizes: q\nq = R_q @ h\nh = tanh(W @ x + R @ h)")
    cell = build_cell(make_config({"cell": str(tmp_path / "mine.txt"), "zoneout": "h=0.1"}))
    assert (cell.outputs, cell.own_sizes) == (("q",), ("q",))


def test_a_run_has_one_input_to_give():
    config = make_config({"cell": "inputs: x eps v\nh = tanh(W @ x + eps + v)"})
    with pytest.raises(CellError, match=r"has the inputs x, eps, v, and a run has one to give\. Take eps, v out of"):
        build_cell(config)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "cp1252"])
def test_encodings_of_more_than_a_byte(encoding):
    assert make_config({"encoding": encoding}).encoding == encoding


def test_a_home_that_does_not_exist_is_a_name_like_any_other():
    config = make_config({"run": "~nobody-of-this-name/run", "data": "~nobody-of-this-name/book.txt"})
    assert (str(config.directory), config.title) == ("~nobody-of-this-name/run", "book")


def test_toml(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('hidden_size = 64\nlevel = "byte"\nzoneout = {c = 0.5}\n')
    assert make_config(read_toml(path)).hidden_size == 64
    path.write_text("hidden_sise = 64\n")
    with pytest.raises(
        ConfigError, match=r"Settings file '.*mine.toml': 'hidden_sise' is no setting. Did you mean 'hidden_size'"
    ):
        read_toml(path)
    path.write_text("hidden_size : 64\n")
    with pytest.raises(ConfigError, match=r"is not TOML \(.*line 1"):
        read_toml(path)
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="is not utf-8 text: byte 0xff at offset 0"):
        read_toml(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_toml(tmp_path)


def test_through_json():
    config = make_config({"hidden_size": 64, "zoneout": "c=0.5", "cell": "h = tanh(W @ x + R @ h)", "seed": 3})
    assert make_config(config.model_dump(mode="json")) == config


def test_where_a_run_goes(tmp_path):
    assert str(TrainConfig().directory) == "runs/lstm-python"
    config = make_config({"cell": "h = tanh(W @ x + R @ h)", "data": "/books/war and peace.txt", "level": "word"})
    assert str(config.directory) == "runs/own-cell-war and peace"


@pytest.mark.parametrize("cell", list(CELLS))
@pytest.mark.parametrize("layers", [1, 3])
def test_parameters_are_counted_without_building(cell, layers):
    values = {"cell": cell, "hidden_size": 48, "num_layers": layers, "tie_weights": layers > 1}
    if cell == "lstm_projected":
        values["proj_size"] = 32
    config = make_config(values)
    model = build_model(config, 20, pick_device("cpu"))
    built = sum(parameter.numel() for parameter in model.parameters())
    counted = count_parameters(config, CELLS[cell], 20)
    # Block-upper matrices are stored whole and counted by what is read; a first layer has no state below it to read.
    assert counted == pytest.approx(built, rel=0.5 if cell == "clockwork" else 0.2 if cell == "depth_gated" else 0)


def test_sizes_that_do_not_fit_are_refused_before_they_are_taken():
    for values in (
        {"hidden_size": 2**20},
        {"batch_size": 2**20, "window": 2**20},
        {"num_layers": 1024, "hidden_size": 9999},
    ):
        with pytest.raises(
            ConfigError, match=r"would take about [\d,]+\.\d GB of memory and [\d,]+\.\d GB are free. Make"
        ):
            build_model(make_config(values), 100, pick_device("cpu"))


def test_memory_is_what_this_machine_could_have():
    assert 10**8 < available_memory(pick_device("cpu")) < 10**14
