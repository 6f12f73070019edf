"""torch's own table of inputs and error inputs for its recurrent layers, put to the drop-in layers."""

import re

import pytest
import torch
from tests.tolerances import assert_close

import gatework

pytest.importorskip("expecttest", reason="torch's test tables need the package expecttest")
common = pytest.importorskip("torch.testing._internal.common_modules")

KINDS = {torch.nn.LSTM: gatework.LSTM, torch.nn.GRU: gatework.GRU, torch.nn.RNN: gatework.RNN}
ROWS = [row for row in common.module_db if row.module_cls in KINDS]
ASKED = {"device": "cpu", "dtype": torch.float32, "requires_grad": False, "training": False}

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.module_cls.__name__)
def test_inputs(row):
    samples = row.module_inputs_func(row, **ASKED)
    assert len(samples) >= 16
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
    assert len(samples) >= 10
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
