"""``gatework evaluate``: evaluate a run's model on text, or on its task."""

from typing import Any

from rich.markup import escape

from gatework.cli.output import Checkpoint, Json, Size, Whole, checkpoint_step, grid, out, pairs, print_json
from gatework.cli.predictors import predictor_table
from gatework.cli.searching import NO_FLAGS, SearchFlags
from gatework.training import Evaluation
from gatework.training import evaluate as measure


def evaluate(
    run: str,
    /,
    *,
    split: str = "valid",
    data: str = "",
    checkpoint: Checkpoint = "last",
    streams: Size | None = None,
    symbols: Whole | None = None,
    gap: Size | None = None,
    beams: Size | None = None,
    search: SearchFlags = NO_FLAGS,
    draws: Size | None = None,
    device: str = "cpu",
    json: Json = False,
) -> None:
    """Evaluate a trained model on its held-out text, every symbol once, or on its task.

    Args:
        run: The run's directory.
        split: The part of the run's own data: train, valid, or test if there is one.
        data: A file or folder of text to evaluate on instead; for translation two files, as a.en,a.de.
        checkpoint: The weights to use: last, best (lowest held-out loss), or the step of a checkpoint.
        streams: Number of parts of the text that run side by side; 1 is slowest and carries the state through all of
            it.
        symbols: The most symbols to measure, evenly chosen over the text; 0 for all. By default the run's
            evaluate_symbols.
        gap: Another gap than the one that the model was trained on.
        beams: For translation, the beams of the searches; 1 is greedy. By default the run's own. For speech, the beams
            of a search beside the most probable path; by default there is none.
        search: What a search for transcripts knows.
        draws: With latent variables, estimate the loss from this number of draws, by importance weights.
        device: cpu, cuda, cuda:N, mps, or auto.
        json: Print JSON, for programs.
    """
    step = checkpoint_step(checkpoint)
    asked: dict[str, Any] = {"split": split, "data": data, "streams": streams, "symbols": symbols, "gap": gap}
    asked |= {"beams": beams, "draws": draws}
    known = None if search == NO_FLAGS else search.chosen(beams)
    result = measure(run, **asked, search=known, step=step, device=device)
    if json:
        print_json(result.to_json())
        return
    if result.gap is not None:
        _print_task(result)
        return
    values = {"run": f"{result.run}, step {result.step:,}", "text": result.text, "symbols": f"{result.tokens:,}"}
    part = result.of is not None and result.tokens < result.of
    if part:
        values["symbols"] += f" of {result.of:,}, evenly chosen; --symbols 0 measures all"
    if result.replaced:
        values["replaced"] = f"{result.replaced:,} places that are not text, by U+FFFD"
    if result.unknown:
        # The text itself may contain <unk> in place of rare words.
        lacking = "which the vocabulary lacks or the text itself calls <unk>"
        values["unknown"] = f"{result.unknown:,} of {'the text' if part else 'them'}, {lacking}"
    values |= {name.replace("_", " "): f"{value:.4f}" for name, value in result.metrics.items()}
    out().print(pairs(values))


def _print_task(result: Evaluation) -> None:
    values = {"run": f"{result.run}, step {result.step:,}", "split": f"{result.text}, gap {result.gap:,}"}
    several = len(result.trivial) > 1
    # One trivial predictor stands beside the figures, and several in a table below them.
    predictor, known = next(iter(result.trivial.items()), ("", {}))
    by = "by guessing" if predictor == "guessing" else predictor
    for name, value in () if several else result.metrics.items():
        guessed = f"   ({by} {known[name]:.4f})" if name in known else ""
        values[name.replace("_", " ")] = f"{value:.4f}{guessed}"
    out().print(pairs(values))
    if several:
        out().print(predictor_table(result.metrics, result.trivial))
    for name, how in result.notes.items():
        out().print(f"{escape(name)}: {escape(how)}", soft_wrap=True)
    out().print(f"{escape(result.verdict)}.", soft_wrap=True)
    if result.groups:
        names = list(next(iter(result.groups.values())))
        rows = [
            [
                escape(result.group_names.get(group, str(group))),
                *(f"{line[name]:.4f}" if name != "sequences" else f"{line[name]:,.0f}" for name in names),
            ]
            for group, line in result.groups.items()
        ]
        out().print(grid(["group", *names], rows, right=names))
