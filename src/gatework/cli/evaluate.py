"""``gatework evaluate``: measure a run's model on text."""

from gatework.cli.output import Json, Size, Whole, out, pairs, print_json
from gatework.training import evaluate as measure


def evaluate(
    run: str,
    /,
    *,
    split: str = "valid",
    data: str = "",
    step: Whole | None = None,
    streams: Size | None = None,
    device: str = "cpu",
    json: Json = False,
) -> None:
    """Measure a trained model on its held-out text, every symbol once.

    Args:
        run: The run's directory.
        split: Which part of the run's own text: train, valid, or test where there is one.
        data: A file or folder to measure on instead.
        step: The checkpoint of this step; by default the newest.
        streams: Parts of the text read side by side; 1 is slowest and carries the state from beginning to end.
        device: cpu, cuda, cuda:N, or auto.
        json: Print JSON, for programs.
    """
    result = measure(run, split=split, data=data, streams=streams, step=step, device=device)
    if json:
        print_json(result.to_json())
        return
    values = {"run": f"{result.run}, step {result.step:,}", "text": result.text, "symbols": f"{result.tokens:,}"}
    if result.unknown:
        # A text may have been prepared with rare words taken out, and <unk> written where they stood.
        values["unknown"] = f"{result.unknown:,} of them, which the vocabulary lacks or the text itself calls <unk>"
    values |= {name.replace("_", " "): f"{value:.4f}" for name, value in result.metrics.items()}
    out().print(pairs(values))
