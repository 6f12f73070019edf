"""Sizes that make cells comparable."""

import pytest
import torch

from gatework.cells import CELLS, project
from gatework.errors import ConfigError, SizeError
from gatework.models.sequences import SequenceModel
from gatework.search.comparing.config import CompareConfig, make_compare_config
from gatework.search.comparing.matching import Size, match_sizes, nearest_size
from gatework.search.comparing.plan import ComparisonPlan
from gatework.search.running.trial import Trial
from gatework.tasks.registry import TASKS
from gatework.tasks.task import Synthetic
from gatework.training.jobs.sequence import SequenceJob
from gatework.training.jobs.shape import SequenceShape

NUMBERS = SequenceShape(inputs=2, outputs=1)


def config(cells, **values):
    return CompareConfig(task="adding", cells=cells, gaps=(10,), **values)


def matched(cells, hidden_size=16, shape=NUMBERS, **values):
    told = config(cells, **values)
    labels = dict.fromkeys((*told.cells, told.reference_cell))
    return match_sizes(told, {label: told.find(label) for label in labels}, shape, hidden_size)


@pytest.mark.parametrize(
    "shape",
    [
        NUMBERS,
        SequenceShape(8, 1),
        SequenceShape(3, 5, num_layers=2),
        SequenceShape(3, 5, num_layers=2, proj_size=4),
        SequenceShape(9, 4, symbols=True),
        SequenceShape(9, 4, symbols=True, embedding_size=6),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "depth_gated", "indrnn", "lstm_layer_norm", "mut1", "mut2"])
def test_counted_is_what_a_model_learns(name, shape):
    model = SequenceModel(
        shape.inputs,
        shape.outputs,
        CELLS[name],
        8,
        shape.num_layers,
        symbols=shape.symbols,
        embedding_size=shape.embedding_size,
        proj_size=shape.proj_size,
    )
    assert shape.count(CELLS[name], 8) == sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("task", [name for name, task in TASKS.items() if isinstance(task.examples, Synthetic)])
def test_counted_is_what_a_task_learns(task):
    plan = ComparisonPlan(
        make_compare_config({"task": task, "cells": "lstm,gru,mut1,lstm_projected", "gaps": [TASKS[task].gap.default]})
    )
    for cell, size in plan.sizes.items():
        told = plan.train_config(Trial(cell, plan.config.gaps[0], "final", 0.01, 0))
        model = SequenceJob(told).build(torch.device("cpu"))
        assert sum(parameter.numel() for parameter in model.parameters()) == size.parameters


def test_what_the_equations_hold_at_zero_is_not_counted():
    model = SequenceModel(2, 1, CELLS["clockwork"], 16)
    stored = sum(parameter.numel() for parameter in model.parameters())
    assert NUMBERS.count(CELLS["clockwork"], 16) == CELLS["clockwork"].count(2, 16) + 16 + 1 < stored


def test_counting_takes_no_memory_and_draws_nothing():
    before = torch.get_rng_state()
    assert NUMBERS.count(CELLS["lstm"], 2**20) > 2**42  # sixteen terabytes, were they there
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", list(CELLS))
def test_nearest_size_is_the_nearest_of_all(name):
    cell, wanted = CELLS[name], 1500
    found = nearest_size(cell, NUMBERS, wanted)
    unit = cell.step.multiple_of
    # A cell that projects its output needs two units.
    least = max(unit, 2 if name == "lstm_projected" else 1)
    sizes = {size: NUMBERS.count(cell, size) for size in range(least, found.hidden_size + 4 * unit, unit)}
    assert found.parameters == sizes[found.hidden_size]
    assert abs(found.parameters - wanted) == min(abs(number - wanted) for number in sizes.values())


@pytest.mark.parametrize("width", [1, 2, 24])
def test_nearest_size_where_one_size_has_no_map_and_learns_fewer(width):
    cell, shape = CELLS["mut1"], SequenceShape(inputs=width, outputs=1)
    sizes = {size: shape.count(cell, size) for size in range(1, 40)}
    # 24 units without a map learn about as many numbers as 21 with one: all around both is to be found.
    for wanted in (sizes[size] + more for size in (1, 2, 20, 21, 22, 23, 24, 25) for more in (-9, 9)):
        found = nearest_size(cell, shape, wanted)
        assert found.parameters == sizes[found.hidden_size]
        assert abs(found.parameters - wanted) == min(abs(number - wanted) for number in sizes.values())


def test_nearest_size_at_the_small_end():
    assert nearest_size(CELLS["lstm_projected"], NUMBERS, 1).hidden_size == 2
    smallest = NUMBERS.count(CELLS["lstm"], 1)
    assert nearest_size(CELLS["lstm"], NUMBERS, 1) == Size(1, smallest)
    assert nearest_size(project(CELLS["lstm"]), SequenceShape(2, 1, proj_size=5), 1).hidden_size == 6


def test_matched_parameters_are_within_one_unit():
    sizes = matched("rnn,lstm,gru")
    assert sizes["lstm"] == Size(16, NUMBERS.count(CELLS["lstm"], 16))
    for name in ("rnn", "gru"):
        own, wanted = sizes[name], sizes["lstm"].parameters
        larger = NUMBERS.count(CELLS[name], own.hidden_size + 1)
        assert abs(own.parameters - wanted) <= (larger - own.parameters)


def test_reference_is_lstm_or_the_first_or_what_is_asked_for():
    assert matched("gru,rnn")["gru"].hidden_size == 16
    assert matched("gru,lstm,rnn")["lstm"].hidden_size == 16
    assert matched("gru,lstm", reference="gru")["gru"].hidden_size == 16
    # A reference need not take part.
    assert matched("rnn", reference="lstm") == {"rnn": nearest_size(CELLS["rnn"], NUMBERS, 1233)}


def test_matched_sizes():
    sizes = matched("rnn,lstm", match="size")
    assert {size.hidden_size for size in sizes.values()} == {16}


def test_cells_that_cannot_take_part_are_all_named():
    with pytest.raises(ConfigError) as caught:
        matched("lstm,clockwork,slstm,mut1", hidden_size=15, match="size")
    message = str(caught.value)
    assert message.startswith("These cells cannot take part at this task and size: clockwork (hidden_size is 15; ")
    assert "; slstm (hidden_size is 15; " in message
    assert message.endswith(". Leave them out.")


def test_cells_that_need_a_map_or_a_projection_take_part():
    sizes = matched("lstm,mut1,lstm_projected,mut2")
    for name in ("mut1", "mut2", "lstm_projected"):
        assert sizes[name] == nearest_size(CELLS[name], NUMBERS, sizes["lstm"].parameters)
    projected = SequenceModel(2, 1, "lstm_projected", 16, proj_size=8)
    same = matched("lstm,lstm_projected", match="size")["lstm_projected"]
    assert same == Size(16, sum(parameter.numel() for parameter in projected.parameters()))
    # As the reference it says nothing of the others' outputs.
    assert matched("rnn,lstm_projected", reference="lstm_projected")["lstm_projected"].hidden_size == 16


def test_blocks_are_rounded_to_where_parameters_are_matched_and_refused_where_sizes_are():
    assert matched("lstm,clockwork", hidden_size=15)["clockwork"].hidden_size % 8 == 0
    with pytest.raises(
        ConfigError, match=r"clockwork \(hidden_size is 15; .* needs a multiple of 8\. .*Choose 8 or 16\)"
    ):
        matched("lstm,clockwork", hidden_size=15, match="size")


def test_sizes_that_make_no_sense():
    with pytest.raises(SizeError):
        NUMBERS.count(CELLS["clockwork"], 15)
