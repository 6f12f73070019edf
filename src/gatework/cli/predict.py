"""``gatework predict``: predict classes, tags or numbers of new sequences."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.markup import escape

from gatework.cli.output import Checkpoint, Json, checkpoint_step, csv_text, err, grid, out, print_json
from gatework.errors import printable
from gatework.runs.files import saving, write_file
from gatework.training.prediction import Predictions
from gatework.training.prediction import predict as predict_table

# The most rows and classes that are printed; all of them are written.
_MOST_ROWS, _MOST_CLASSES = 20, 6


def predict(
    run: str,
    file: Path,
    /,
    *,
    output: Annotated[Path | None, Parameter(name=("-o", "--output"))] = None,
    checkpoint: Checkpoint = "last",
    device: str = "cpu",
    json: Json = False,
) -> None:
    """Predict the class of each sequence, the tag of each row or a number, as the run's task asks.

    Args:
        run: The directory of a run of task classify, tag or regress.
        file: A table like that of the run; its labels may be missing.
        output: Write all answers to this CSV file.
        checkpoint: The weights to use: last, best (lowest held-out loss), or the step of a checkpoint.
        device: cpu, cuda, cuda:N, mps, or auto.
        json: Print JSON, for programs.
    """
    found = predict_table(run, file, step=checkpoint_step(checkpoint), device=device)
    if output is not None:
        with saving(f"'{output}'"):
            write_file(output, csv_text(found.header(), found.rows()).encode("utf-8"))
    if json:
        print_json(found.to_json())
        return
    for line in found.about:
        err().print(escape(printable(line)), soft_wrap=True)
    _print(found)
    if output is not None:
        err().print(escape(f"Wrote {output}."), soft_wrap=True)


def _written(value: Any, digits: str) -> str:
    return f"{value:{digits}}" if isinstance(value, float) else printable(str(value))


def _print(found: Predictions) -> None:
    heading, rows = found.header(), []
    width = len(heading) - max(0, len(found.classes) - _MOST_CLASSES)
    for number, row in enumerate(found.rows()):
        if number == _MOST_ROWS:
            break
        digits = ".3f" if found.classes else ".4g"  # probabilities, or numbers in their unit
        rows.append([escape(_written(value, digits)) for value in row[:width]])
    right = [name for name in heading[len(found.heading) : width] if not found.classes or "probability" in name]
    out().print(grid([escape(printable(name)) for name in heading[:width]], rows, right=right))
    if len(found.names) > _MOST_ROWS or width < len(heading):
        left = "" if width == len(heading) else f", with the probabilities of {len(found.classes):,} classes"
        out().print(f"{len(found.names):,} answers in all{left}: -o writes them.", soft_wrap=True)
    best = "the most frequent label of the file" if found.classes else "the mean of the file"
    for name, value in found.score.items():
        unit = f" {found.unit}" if found.unit else ""
        shown = f"{value:.4g}{unit}; always answering {best} would get {found.trivial[name]:.4g}{unit}"
        out().print(f"{name.replace('_', ' ')} by the labels in the file: {escape(shown)}", soft_wrap=True)
