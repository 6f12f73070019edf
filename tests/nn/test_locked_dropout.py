"""Dropout with one mask for a whole sequence: the same features at every step, others in another row."""

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import gatework
from gatework.errors import ConfigError, SizeError
from gatework.models.language import LanguageModel
from gatework.nn.dropout import LockedDropout, locked_dropout
from gatework.training import make_config, train
from gatework.training.trainer import _optimizer


def test_the_mask_is_the_same_at_every_step_and_another_in_every_row():
    torch.manual_seed(0)
    dropped = locked_dropout(torch.ones(7, 40, 50), 0.3)
    assert torch.equal(dropped, dropped[:1].expand(7, -1, -1))
    assert dropped.unique().tolist() == pytest.approx([0.0, 1 / 0.7])
    assert float((dropped[0] == 0).float().mean()) == pytest.approx(0.3, abs=0.03)
    assert len(dropped[0].unique(dim=0)) == 40


def test_nothing_is_dropped_in_use():
    given = torch.randn(3, 2, 4)
    assert torch.equal(LockedDropout(0.5).eval()(given), given)
    assert torch.equal(locked_dropout(given, 0.0), given)


def between(layer, given, lengths=None):
    """Return what the second of two layers reads, where the first gives ones and the second hands its input on."""
    torch.manual_seed(3)
    return layer(given, lengths=lengths)[0]


def handing_on():
    cell = gatework.cell("h = x + 0 * h")
    return gatework.Recurrent(cell, 6, 6, 2, dropout=0.5, locked_dropout=True, backend="reference").train()


def test_between_layers_for_padded_and_packed_sequences():
    layer, lengths = handing_on(), torch.tensor([5, 3, 2])
    plain = between(layer, torch.ones(5, 3, 6))
    assert torch.equal(plain, plain[:1].expand(5, -1, -1))
    assert set(plain.unique().tolist()) == {0.0, 2.0}
    padded = between(layer, torch.ones(5, 3, 6), lengths)
    packed = between(layer, pack_padded_sequence(torch.ones(5, 3, 6), lengths))
    for row, length in enumerate(lengths):
        for found in (padded, pad_packed_sequence(packed)[0]):
            assert torch.equal(found[:length, row], plain[:length, row])
    even = between(layer, pack_padded_sequence(torch.ones(5, 3, 6), torch.tensor([5, 5, 5])))
    assert torch.equal(pad_packed_sequence(even)[0], plain)


def test_the_option_is_true_or_false():
    wrong: dict = {"locked_dropout": 0.3}
    with pytest.raises(SizeError, match=r"locked_dropout is 0\.3; expected True or False"):
        gatework.Recurrent("gru", 3, 4, 2, dropout=0.3, **wrong)


def test_a_run_with_it_is_another_run_and_resumes(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("the gate opens and the gate closes\n" * 30)
    small = {"data": str(text), "hidden_size": 8, "num_layers": 2, "batch_size": 4, "window": 8, "dropout": 0.4}
    small |= {"schedule": "constant", "threads": 1}
    plain = train(make_config(small | {"steps": 4, "run": str(tmp_path / "plain")}))
    locked = small | {"locked_dropout": True}
    straight = train(make_config(locked | {"steps": 4, "run": str(tmp_path / "straight")}))
    train(make_config(locked | {"steps": 2, "run": str(tmp_path / "broken")}))
    broken = train(make_config(locked | {"steps": 4, "run": str(tmp_path / "broken")}))
    files = [
        (result.run / "checkpoints" / "step-4" / "model.safetensors").read_bytes()
        for result in (plain, straight, broken)
    ]
    assert files[0] != files[1] == files[2]
    with pytest.raises(ConfigError, match=r"locked_dropout is true and dropout is 0\. Give the rate with dropout"):
        make_config({"locked_dropout": True})


@pytest.mark.parametrize(
    ("on", "decayed"),
    [
        ("matrices", {"embedding.weight", "head.weight", "recurrent.weight_ih_l0", "recurrent.weight_hh_l0"}),
        ("hidden", {"head.weight", "recurrent.weight_ih_l0", "recurrent.weight_hh_l0"}),
        ("all", None),
    ],
)
def test_what_weight_decay_applies_to(on, decayed):
    model = LanguageModel(5, "lstm", 4, 4)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = _optimizer(make_config({"weight_decay": 0.1, "weight_decay_on": on}), model).param_groups
    found = {names[id(one)]: group["weight_decay"] for group in groups for one in group["params"]}
    assert found.keys() == set(names.values())
    assert {name for name, decay in found.items() if decay == 0.1} == (decayed or set(names.values()))


def test_a_matrix_shared_with_the_embedding_has_none_either():
    groups = _optimizer(make_config({"weight_decay_on": "hidden"}), LanguageModel(5, "lstm", 4, 4, tie_weights=True))
    assert [tuple(one.shape) for one in groups.param_groups[0]["params"]] == [(16, 4), (16, 4)]
