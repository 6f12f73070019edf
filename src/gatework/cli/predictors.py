"""The table that holds a model against the predictors that learn nothing."""

from collections.abc import Mapping

from rich.markup import escape
from rich.table import Table

from gatework.cli.output import grid

MODEL = "this model"


def predictor_table(metrics: Mapping[str, float], trivial: Mapping[str, Mapping[str, float]]) -> Table:
    """Make a table of the metrics of a model and of trivial predictors on the same data.

    Args:
        metrics: The metrics of the model.
        trivial: The metrics of each trivial predictor, by its name.

    Returns:
        The table, ready to print: a row for each predictor, a column for each metric of the model.
    """
    rows = [
        [escape(name), *(f"{found[metric]:.4f}" if metric in found else "-" for metric in metrics)]
        for name, found in {MODEL: metrics, **trivial}.items()
    ]
    columns = [metric.replace("_", " ") for metric in metrics]
    return grid(["predictor", *columns], rows, right=columns)
