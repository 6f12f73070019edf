"""What can be read off h and off c of the demo's model: the character to come, those that were, and where it stands."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

import gatework
from gatework.explorer.models import DemoOrigin
from gatework.tracing import probe

TEXT = Path(__file__).parent.parent / "text" / "held_out.txt"
_WARM = 100  # characters at the beginning of a row that nothing is asked about


def measure_probes(rows: int, offsets: Sequence[int], folds: int) -> dict[str, object]:
    """Read off the top layer's h and c of the demo's model, by linear probes, what comes and what was.

    Args:
        rows: Into how many rows the text is cut; a probe is judged on whole rows that it has not seen.
        offsets: Which characters are asked for: 1 the next, 0 the one just read, -5 the fifth before it.
        folds: Into how many parts the rows are put; each part is once what is judged on.

    Returns:
        For each of ``h`` and ``c``, and each character and quantity asked for, its score on every row: accuracy, or the
        share of the variance that is explained. ``model``: the accuracy of the model itself on every row.
    """
    origin = DemoOrigin()
    model = origin.load(origin.steps[-1])
    text = TEXT.read_text(encoding="utf-8")
    steps = len(text) // rows
    text = text[: steps * rows]
    given = _in_rows(torch.as_tensor(origin.vocabulary.encode(text), dtype=torch.int64), rows)
    asked = {str(offset): _moved(given, offset) for offset in offsets}
    asked |= {name: _in_rows(values, rows) for name, values in _places(text).items()}
    with torch.no_grad():
        kept = gatework.trace(model, given, ["l1.h", "l1.c"])
    found = {
        name: {what: _by_row(kept[f"l1.{name}"], targets, folds) for what, targets in asked.items()}
        for name in ("h", "c")
    }
    right = kept.output[0][_WARM:-1].argmax(-1) == given[_WARM + 1 :]
    return {**found, "model": right.double().mean(0).tolist(), "steps": steps}


def _in_rows(values: Tensor, rows: int) -> Tensor:
    """Cut what is known of each character into rows [T, B]."""
    return values.reshape(rows, -1).t().contiguous()


def _moved(symbols: Tensor, offset: int) -> Tensor:
    """Give for each step the symbol that stands so far from it; -1 where nothing is asked."""
    targets = torch.full_like(symbols, -1)
    last = len(symbols) - max(0, offset)
    targets[_WARM:last] = symbols[_WARM + offset : last + offset]
    return targets


def _places(text: str) -> dict[str, Tensor]:
    """Say of each character how far from the line's beginning it stands, and how far its line is indented."""
    columns, indents = [], []
    for line in text.split("\n"):
        indent = len(line) - len(line.lstrip(" "))
        columns += range(1, len(line) + 2)
        # What is still to come of the indentation is not known yet.
        indents += [min(place, indent) for place in range(1, len(line) + 2)]
    return {
        "column": torch.tensor(columns[: len(text)], dtype=torch.float64),
        "indentation": torch.tensor(indents[: len(text)], dtype=torch.float64),
    }


def _by_row(values: Tensor, targets: Tensor, folds: int) -> list[float]:
    """Give the score on each row of a probe that has not seen it."""
    rows = values.shape[1]
    found = [0.0] * rows
    spread = targets[_WARM:].var(correction=0) if targets.is_floating_point() else None
    for fold in range(folds):
        away = torch.arange(rows) % folds == fold
        inside, goals = values[_WARM:, ~away], targets[_WARM:, ~away]
        # The probe's own measurement is not needed, so it holds back as little as it can.
        learned = probe(inside, goals, held_out=1 / inside.shape[1])
        for row in away.nonzero().flatten().tolist():
            told = learned.predict(values[_WARM:, row])
            true = targets[_WARM:, row]
            if spread is None:
                found[row] = float((told == true)[true >= 0].double().mean())
            else:
                found[row] = float(1 - (told[:, 0] - true).square().mean() / spread)
    return found
