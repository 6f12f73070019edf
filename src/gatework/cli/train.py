"""``gatework train``: train a model on text or on a sequence task, or resume a run."""

import json as json_text
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape

from gatework.cli.output import Flag, Json, err, out, print_json, program
from gatework.cli.predictors import predictor_table
from gatework.cli.settings import ALSO_CALLED, as_toml, given, make_flags
from gatework.errors import Stopped, printable
from gatework.training import TrainConfig, TrainResult, make_config, make_reporter, read_toml
from gatework.training import train as train_model
from gatework.training.jobs.registry import kind_of
from gatework.training.jobs.settings import listed

FLAGS: Any = make_flags(TrainConfig, listed(TrainConfig), also_called=ALSO_CALLED)
NO_FLAGS = FLAGS()


def train(
    *, config: Path | None = None, print_config: Flag = False, json: Json = False, settings: Any = NO_FLAGS
) -> int | None:
    """Train a language model on text, or a model on a task, or resume where the same command stopped.

    Args:
        config: Settings from a TOML file; flags override it.
        print_config: Print the settings as TOML, and do nothing else.
        json: Print JSON, one line per measurement and the result at the end, for programs.
        settings: The flags, one for each field of the configuration.

    Returns:
        An exit code, if it is not 0.
    """
    chosen = make_config(_together(read_toml(config) if config else {}, given(settings)))
    if print_config:
        if json:
            print_json(chosen.model_dump(mode="json"))
        else:
            out().out(as_toml(chosen), end="", highlight=False)
        return None
    reporter = make_reporter("json", sys.stdout) if json else make_reporter()
    try:
        result = train_model(chosen, reporter)
    except Stopped as stopped:
        if _speaks():
            err().print(escape(str(stopped)), soft_wrap=True)
        return stopped.exit_code
    if _speaks():
        if json:
            print(json_text.dumps({"result": result.to_json()}, ensure_ascii=False))
        else:
            _print(out(), chosen, result)
    return None


# The flags are made from the fields of TrainConfig, so their type cannot be written into the signature.
train.__annotations__["settings"] = Annotated[FLAGS, Parameter(name="*")]


def _together(file: dict[str, Any], flags: dict[str, Any]) -> dict[str, Any]:
    """Let flags override a file. Steps and epochs mean the same thing, so each also overrides the other."""
    lengths = ("steps", "epochs")
    if any(name in flags for name in lengths):
        file = {name: value for name, value in file.items() if name not in lengths}
    return {**file, **flags}


def _speaks() -> bool:
    """Tell whether this process prints: under torchrun, only the first does."""
    return os.environ.get("RANK", "0") == "0"


def _print(console: Console, config: TrainConfig, result: TrainResult) -> None:
    run = shlex.quote(str(result.run))
    if result.already:
        console.print(
            f"The run {escape(run)} is at step {result.step:,} already: nothing was left to do.", soft_wrap=True
        )
    if result.sample:
        console.print(f"\n[bold]What it writes after step {result.step:,}[/bold]")
        for line in printable(result.sample).strip("\n").splitlines():
            console.print(f"  {escape(line)}", soft_wrap=True)
    ending = kind_of(config.task).ending(config, run, result.metrics, result.sample, result.splits, result.trivial)
    if result.metrics and len(result.trivial) > 1:
        console.print(f"\nHeld-out {ending.measured}, beside predictors that learn nothing:")
        console.print(predictor_table(result.metrics, result.trivial))
    elif result.metrics:
        named = ", ".join(f"{name.replace('_', ' ')} {value:{ending.digits}}" for name, value in result.metrics.items())
        console.print(f"\nHeld-out {ending.measured}: [bold]{named}[/bold]", soft_wrap=True)
    for note in ending.notes:
        console.print(escape(note), soft_wrap=True)
    for note in result.notes:
        console.print(escape(note), soft_wrap=True)
    console.print(f"The curve: {escape(str(result.curve))}", soft_wrap=True)
    console.print("\nNext")
    for command in ending.commands:
        console.print(f"  [cyan]{escape(program())} {escape(command)}[/cyan]", soft_wrap=True)
    if ending.continues and not result.stopped_early:
        console.print(f"  the same command with [cyan]--steps {2 * result.step}[/cyan], which goes on from here")
