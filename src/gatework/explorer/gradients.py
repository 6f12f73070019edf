"""The influence of each earlier position on one prediction."""

import torch
from torch import Tensor

from gatework.errors import ExplorerError
from gatework.explorer.messages import GradientsAnswer
from gatework.explorer.models import vocabulary_display
from gatework.explorer.rows import holding
from gatework.explorer.traces import CHUNK, TextTrace
from gatework.tracing import gradient_flow

# The number of rows that a gradient is followed back through, to within one chunk.
_MOST_ROWS = 2000


def measure_gradients(traced: TextTrace, at: int) -> GradientsAnswer:
    """Compute the gradient of one prediction's log-probability with respect to the states of all earlier positions.

    Args:
        traced: The text.
        at: The position of the prediction. It predicts the next symbol, or at the very end the most likely one. In a
            long text, the gradient is followed back through about 2,000 positions.

    Returns:
        The norms, for every state and for the input of the lowest layer (``x``): of all layers together, and of each.

    Raises:
        ExplorerError: If there is no such position.
    """
    if at >= traced.steps:
        raise ExplorerError(f"There is no position {at}: the text has positions from 0 to {traced.steps - 1}.", 404)
    row = at + 1
    first = max(0, row - _MOST_ROWS) // CHUNK * CHUNK
    is_last = row + 1 == len(traced.tokens)
    target = int(traced.predictions.symbols[row, 0] if is_last else traced.tokens[row + 1])
    tokens = traced.tokens[first : row + 1, None]
    with holding(traced.opened, traced.interventions, first, len(tokens)):
        flow = gradient_flow(
            traced.opened.model, tokens, at=row - first, target=target, state=traced.starts[first // CHUNK]
        )
    # Row 0 is the line end before the text, which is no position.
    skipped = 0 if first else 1
    layer = traced.opened.model.recurrent
    names = (*layer.cell.states, layer.cell.inputs[0])
    each = [
        {name: flow[f"l{number}.{name}"][skipped:, 0] for name in names if f"l{number}.{name}" in flow}
        for number in range(layer.num_layers)
    ]
    along = {name: _together([norms[name] for norms in each]) for name in layer.cell.states}
    along[names[-1]] = each[0][names[-1]]
    shown = vocabulary_display(traced.opened.vocabulary, len(traced.opened.vocabulary))
    return GradientsAnswer(
        at=at,
        start=first + skipped - 1,
        symbol=shown[target],
        along={name: norms.tolist() for name, norms in along.items()},
        layers=[{name: norms.tolist() for name, norms in norms_of.items()} for norms_of in each],
        memory_length=flow.memory_length,
    )


def _together(norms: list[Tensor]) -> Tensor:
    """Return the norm of several gradients as one long vector."""
    return torch.stack(norms).square().sum(0).sqrt()
