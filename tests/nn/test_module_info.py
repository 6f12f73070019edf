"""torch's own table of inputs and error inputs for its recurrent layers and cells, put to the drop-ins."""

import re

import pytest
import torch
from tests.tolerances import assert_close
from torch.func import functional_call
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

import gatework

pytest.importorskip("expecttest", reason="torch's test tables need the package expecttest")
common = pytest.importorskip("torch.testing._internal.common_modules")

NAMES = ("LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell")
KINDS = {getattr(torch.nn, name): getattr(gatework, name) for name in NAMES}
ROWS = [row for row in common.module_db if row.module_cls in KINDS]
ASKED = {"device": "cpu", "dtype": torch.float32, "requires_grad": False, "training": False}

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.module_cls.__name__)
def test_inputs(row):
    samples = row.module_inputs_func(row, **ASKED)
    assert len(samples) >= (2 if row.module_cls.__name__.endswith("Cell") else 16)
    for sample in samples:
        made, given = sample.constructor_input, sample.forward_input
        results = []
        for kind in (row.module_cls, KINDS[row.module_cls]):
            torch.manual_seed(0)
            results.append(kind(*made.args, **made.kwargs)(*given.args, **given.kwargs))
        assert_close(results[1], results[0])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.module_cls.__name__)
def test_error_inputs(row):
    samples = row.module_error_inputs_func(row, **ASKED)
    assert len(samples) >= (4 if row.module_cls.__name__.endswith("Cell") else 10)
    for sample in samples:
        made, given = sample.module_error_input.constructor_input, sample.module_error_input.forward_input
        construct = sample.error_on == common.ModuleErrorEnum.CONSTRUCTION_ERROR
        layer = None if construct else KINDS[row.module_cls](*made.args, **made.kwargs)
        with pytest.raises(sample.error_type) as caught:
            _ = (
                KINDS[row.module_cls](*made.args, **made.kwargs)
                if layer is None
                else layer(*given.args, **given.kwargs)
            )
        assert re.search(sample.error_regex, str(caught.value))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.module_cls.__name__)
def test_gradients(row):
    """By finite differences, one at a time and in batches, of every input, state and parameter."""
    asked = ASKED | {"dtype": torch.float64, "requires_grad": True}
    samples = row.module_inputs_func(row, **asked)
    for sample in samples[:: max(1, len(samples) // 5)]:
        torch.manual_seed(0)
        made, given = sample.constructor_input, sample.forward_input
        layer = KINDS[row.module_cls](*made.args, **made.kwargs).to(torch.float64)
        flat, form = tree_flatten(given.args)
        leaves, names = [one for one in flat if isinstance(one, torch.Tensor)], dict(layer.named_parameters())

        def call(*tensors, layer=layer, flat=flat, form=form, given=given, names=names):
            left = iter(tensors)
            arguments = tree_unflatten([next(left) if isinstance(one, torch.Tensor) else one for one in flat], form)
            found = functional_call(layer, dict(zip(names, left, strict=True)), arguments, given.kwargs)
            return tuple(one for one in tree_leaves(found) if isinstance(one, torch.Tensor) and one.requires_grad)

        tensors = (*leaves, *names.values())
        assert torch.autograd.gradcheck(call, tensors, fast_mode=True, check_batched_grad=True)
        assert torch.autograd.gradgradcheck(call, tensors, fast_mode=True)
