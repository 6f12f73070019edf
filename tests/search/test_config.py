"""What a comparison is told, and what it refuses."""

import json

import pytest

from gatework.errors import ConfigError
from gatework.search.comparing.config import MAY_CHANGE, SHARED, CompareConfig, make_compare_config
from gatework.training.config import TrainConfig

TOLD = {"task": "adding", "cells": "rnn,lstm", "gaps": "5,20"}
LEAKY = "h = 0.9 * h + 0.1 * tanh(W @ x + R @ h + b)\n"


def test_words_sequences_and_mappings_say_the_same():
    words = make_compare_config(TOLD | {"learning_rates": "0.01,0.001"})
    same = {"cells": ("rnn", "lstm"), "gaps": [20, 5], "learning_rates": (0.001, 0.01)}
    assert words == make_compare_config(TOLD | same)
    assert words == make_compare_config(TOLD | same | {"cells": {"rnn": "rnn", "lstm": "lstm"}})


def test_json_reads_back():
    config = make_compare_config(TOLD | {"forget_bias": 1.0, "steps": 30, "cells": {"mine": LEAKY, "lstm": "lstm"}})
    assert make_compare_config(json.loads(json.dumps(config.model_dump(mode="json")))) == config


def test_files_become_their_equations(tmp_path):
    (tmp_path / "leaky.txt").write_text(LEAKY)
    config = make_compare_config(TOLD | {"cells": ["rnn", str(tmp_path / "leaky.txt")]})
    assert config.cells == {"rnn": "rnn", "leaky": LEAKY}
    assert config.find("leaky").name == "leaky"
    (tmp_path / "leaky.txt").unlink()
    assert config.find("leaky").equations == LEAKY


def test_equations_may_stand_for_themselves():
    assert make_compare_config(TOLD | {"cells": LEAKY}).cells == {"own-cell": LEAKY}


def test_a_cell_may_be_called_anything():
    config = make_compare_config(TOLD | {"cells": {"ours": "gru", "theirs": "gru_v3"}})
    assert (config.find("ours").name, config.reference_cell) == ("gru", "ours")


def test_shared_settings_are_those_of_a_training_run():
    for name in SHARED:
        assert name in TrainConfig.model_fields
        assert name in CompareConfig.model_fields
    assert set(CompareConfig.model_fields) >= MAY_CHANGE


def test_every_setting_has_a_description():
    assert all(field.description for field in CompareConfig.model_fields.values())


NONSENSE = {
    "task": ({"task": "addin"}, "There is no task 'addin'. Did you mean 'adding'?"),
    "key": ({"gapes": 3}, "'gapes' is no setting. Did you mean 'gaps'?"),
    "no cells": ({"cells": ()}, "cells is {}; dictionary should have at least 1 item"),
    "cell": ({"cells": "rnn,lstmm"}, "There is no cell `lstmm`. Did you mean `lstm`?"),
    "twice": ({"cells": "rnn,rnn"}, "Two cells are called 'rnn'; expected each once. Give a file another name"),
    "file": ({"cells": "none.txt"}, "Cell file 'none.txt' cannot be read (No such file or directory)"),
    "equations": ({"cells": {"bad": "h = tanh(W @ x"}}, "This line cannot be read ('(' was never closed); an"),
    "label": ({"cells": {"a\nb": "rnn"}}, "A cell is called 'a\\nb'; expected a name that can be printed."),
    "gap": ({"gaps": "5,2"}, "gap is 2: task 'adding' takes 4 and more (least length of a sequence"),
    "gap of words": ({"gaps": "five"}, "'five' is no number; expected numbers with commas between, such as 5,20,100."),
    "gap twice": ({"gaps": "5,5"}, "5 is given twice; expected every number once."),
    "half a gap": ({"gaps": "5,5.5"}, "gaps: 5.5 is given; expected whole numbers, such as 5,20,100."),
    "no gaps": ({"gaps": ""}, "gaps is (); tuple should have at least 1 item"),
    "seeds": ({"seeds": 0}, "seeds is 0; it should be greater than or equal to 1"),
    "rate": ({"learning_rates": "0"}, "learning_rates: 0 is given; expected numbers above 0, up to 10,000, such as "),
    "rates": ({"learning_rates": "0.1,-1,0"}, "learning_rates: -1 is given; expected numbers above 0"),
    "no number": ({"learning_rates": (0.1, float("nan"))}, "learning_rates: nan is given; expected numbers above 0"),
    "large rate": ({"learning_rates": 10001}, "learning_rates: 10001 is given; expected numbers above 0, up to 10,000"),
    "yes": ({"learning_rates": (True,)}, "learning_rates: True is given; expected numbers above 0"),
    "word": ({"gaps": ["5"]}, "gaps: '5' is given; expected whole numbers"),
    "data": ({"data": "foo"}, "data is 'foo', and the sequences of task 'adding' are drawn. Leave it out."),
    "match": ({"match": "size "}, "match is 'size '; it should be 'parameters' or 'size'"),
    "reference": ({"reference": "lstmm"}, "reference is 'lstmm'; expected one of rnn, lstm, or another cell's name."),
    "run": ({"run": "a\0b"}, "run is 'a\\x00b'; "),
}


@pytest.mark.parametrize(("values", "message"), NONSENSE.values(), ids=NONSENSE)
def test_nonsense_gets_a_sentence(values, message):
    with pytest.raises(ConfigError) as caught:
        make_compare_config(TOLD | values)
    assert str(caught.value).startswith(message)


def test_a_bad_number_is_the_only_thing_said():
    """And not that there is none, as every one was refused."""
    with pytest.raises(ConfigError) as caught:
        make_compare_config(TOLD | {"learning_rates": "0,-1"})
    assert str(caught.value) == (
        "learning_rates: 0 is given; expected numbers above 0, up to 10,000, such as 0.001,0.01."
    )


def test_what_is_missing_is_named():
    with pytest.raises(ConfigError, match="gaps is missing"):
        make_compare_config({"task": "adding", "cells": "rnn"})
    with pytest.raises(ConfigError, match=r"^'here': 'a' is no setting"):
        make_compare_config({"a": 1}, where="'here'")


def test_directory():
    assert str(make_compare_config(TOLD).directory) == "runs/compare-adding"
    assert str(make_compare_config(TOLD | {"run": "x"}).directory) == "x"


@pytest.mark.parametrize("cells", [{"mine": "mine.txt"}, {"mine": "/dev/zero.txt"}])
def test_the_directory_of_a_comparison_names_no_file_of_equations(cells):
    with pytest.raises(ConfigError) as refusal:
        make_compare_config({"task": "adding", "cells": cells, "gaps": [30]}, files=False)
    assert str(refusal.value) == (
        f"A cell is '{cells['mine']}'; expected a cell's name or its equations. What a directory holds never names a "
        "file of equations: it could be anyone's."
    )
    with pytest.raises(ConfigError, match="cells are not a mapping; expected their equations, each under its label"):
        make_compare_config({"task": "adding", "cells": "mine.txt", "gaps": [30]}, files=False)
