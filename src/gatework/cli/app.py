"""The entry of the command line: find the verb, and turn every error into one sentence and an exit code.

| exit code | meaning |
|---|---|
| 0 | success |
| 1 | a bug in gatework |
| 2 | invalid input; nothing was changed |
| 130, 143 | Ctrl-C, SIGTERM |
"""

import os
import shlex
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cyclopts import (
    App,
    CycloptsError,
    MissingArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)
from rich.markup import escape

from gatework import __version__
from gatework.cells import is_name
from gatework.cli.output import err, out, program
from gatework.errors import GateworkError, GateworkWarning, did_you_mean, nearest, sentences

FAULT, REFUSED, INTERRUPTED, TERMINATED, PIPE_CLOSED = 1, 2, 130, 143, 141


class Verb(NamedTuple):
    """A row of the table of verbs: the place of its function, its purpose, and an example."""

    function: str
    purpose: str
    example: str


# The file of a verb is imported when the verb is used, because only some verbs need torch.
VERBS = {
    "cells": Verb("cells:list_cells", "List the cells, with their sizes.", "gatework cells --hidden-size 512"),
    "show": Verb("show:show_cell", "Show a cell: equations, parameters, source.", "gatework show gru --latex"),
    "draw": Verb("draw:draw_cell", "Draw a cell from its equations.", "gatework draw gru --kind walk -o gru.svg"),
    "tasks": Verb("tasks:list_tasks", "List the sequence tasks, or show one.", "gatework tasks adding --gap 200"),
    "train": Verb(
        "train:train",
        "Train a model on text or on a task.",
        "gatework train --data book.txt --cell gru --run runs/book",
    ),
    "evaluate": Verb(
        "evaluate:evaluate", "Measure a trained model on its text or task.", "gatework evaluate runs/book"
    ),
    "predict": Verb(
        "predict:predict",
        "Predict classes, tags or numbers of new sequences.",
        "gatework predict runs/mine new.csv -o answers.csv",
    ),
    "transcribe": Verb(
        "transcribe:transcribe",
        "Write what is said in recordings.",
        "gatework transcribe runs/speech one.wav two.wav",
    ),
    "forecast": Verb(
        "forecast:forecast",
        "Forecast how a table of your own goes on, with intervals.",
        "gatework forecast runs/sales --horizon 12 -o forecast.csv --plot forecast.png",
    ),
    "generate": Verb(
        "generate:generate",
        "Let a trained model write.",
        'gatework generate runs/book --prompt "Once upon" --temperature 0.8',
    ),
    "translate": Verb(
        "translate:translate",
        "Translate lines with a run of task translation.",
        "gatework translate runs/lstm-translation captions.en --beams 5",
    ),
    "compare": Verb(
        "compare:compare",
        "Compare cells on a task, over gaps and seeds.",
        "gatework compare --task adding --cells rnn,lstm,gru --gaps 5,20,100 --seeds 5",
    ),
    "explore": Verb(
        "explore:explore", "Look at what a trained model computes, in the browser.", "gatework explore --demo"
    ),
    "report": Verb(
        "report:report",
        "Write what a model computes on one text into a file for the browser.",
        "gatework report runs/book --sample s2 -o report.html",
    ),
    "doctor": Verb("doctor:doctor", "Look at this machine, and say what would help.", "gatework doctor"),
}
# Parts of a verb that need torch while the rest of the verb does not. The verb looks them up here, and only then are
# they imported.
PARTS = {
    "show-plan": "compiled:print_plans",
    "show-kernel": "compiled:print_code",
    "explore-open": "opening:open_runs",
}
# Packages that only some verbs need, and the extra that installs each.
EXTRAS = {"anyio": "explore", "starlette": "explore", "uvicorn": "explore"}
DEBUG = "With --debug, an error shows its traceback."

WELCOME = """\
[bold]gatework[/bold] {version}: gated recurrent networks, each cell written once as its paper's equations.

Start with
  [cyan]{program} show lstm[/cyan]     a cell: its equations, its parameters, where it comes from
  [cyan]{program} train[/cyan]         train a language model on Python's own source, and read what it writes
  [cyan]{program} --help[/cyan]        everything else
"""

app = App(
    name="gatework",
    help="Gated recurrent networks: a cell is written once, as its paper's equations.",
    help_epilogue=DEBUG,
    help_format="plaintext",
    version=__version__,
    version_flags=("--version", "-V"),
    result_action="return_value",
    exit_on_error=False,
    print_error=False,
)
for _order, (_name, _verb) in enumerate(VERBS.items()):
    app.command(
        f"gatework.cli.{_verb.function}",
        name=_name,
        help=_verb.purpose,
        help_epilogue=f"Example: {_verb.example}\n\n{DEBUG}",
        sort_key=_order,
    )
for _name, _function in PARTS.items():
    app.command(f"gatework.cli.{_function}", name=_name, show=False)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code.

    Args:
        arguments: The words after ``gatework``; those of this process if not given.

    Raises:
        SystemExit: Always, with the exit code.
    """
    for stream in (sys.stdout, sys.stderr):
        # A character that the terminal cannot show is replaced, and does not cause a crash.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code.

    Args:
        arguments: The words after ``gatework``.

    Returns:
        The exit code, as listed at the top of this file.
    """
    debug = "--debug" in arguments
    words = [word for word in arguments if word != "--debug"]
    try:
        with warnings.catch_warnings():
            _tell_warnings_in_one_line()
            status = app(words) if words else welcome()
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of the output has closed the pipe, as `head` does. Python would report it again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except KeyboardInterrupt:
        return INTERRUPTED
    except (GateworkError, CycloptsError, OSError) as error:
        return _complain(error, REFUSED, debug)
    except Exception as error:
        return _complain(error, REFUSED if _missing(error) else FAULT, debug)
    return status if isinstance(status, int) else 0


def part(name: str) -> Callable[..., Any]:
    """Import and return a function of :data:`PARTS`."""
    function = app[name].default_command
    assert function is not None  # every row of the table has a function
    return function


def welcome() -> int:
    """Print where to start."""
    out().print(WELCOME.format(version=__version__, program=escape(program())), end="")
    return 0


def _tell_warnings_in_one_line() -> None:
    """Print each of gatework's own warnings once, as one line on standard error, without a place in the source."""
    warnings.simplefilter("always", GateworkWarning)
    others, told = warnings.showwarning, set()

    def tell(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if not issubclass(category, GateworkWarning):
            others(message, category, *place, **more)
        elif str(message) not in told and os.environ.get("RANK", "0") == "0":  # one of the processes of torchrun
            told.add(str(message))
            err().print(f"[bold yellow]gatework:[/bold yellow] {escape(str(message))}", soft_wrap=True)

    warnings.showwarning = tell


def _complain(error: Exception, status: int, debug: bool) -> int:
    """Print one sentence on standard error, or the traceback with --debug; return the status."""
    if debug:
        traceback.print_exception(error)
        return status
    if status == FAULT:
        # KeyError('x') prints only 'x', so the message includes the type.
        cause = error.__cause__ or error
        message = f"{type(cause).__name__}: {cause}. This is a fault in gatework; --debug shows where."
    else:
        message = _sentence(error)
    err().print(f"[bold red]gatework:[/bold red] {escape(message)}", soft_wrap=True)
    return status


def _sentence(error: Exception) -> str:
    """Return a sentence that says what was refused and what to do."""
    if isinstance(error, UnknownCommandError) and error.unused_tokens:
        given = error.unused_tokens[0]
        is_flag = given.startswith("-")
        hint = did_you_mean(given, ("--help", "--version") if is_flag else VERBS, quote="")
        return f"There is no {'flag' if is_flag else 'verb'} {given!r} here.{hint} The verbs are {', '.join(VERBS)}."
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        word = error.unused_tokens[0]
        flag = _flag_for(word, (error.command_chain or ("",))[0])
        hint = f" Did you mean {flag} {shlex.quote(word)}?" if flag else ""
        return f"Nothing takes {word!r} here.{hint} {_see_help(error)}"
    if isinstance(error, UnknownOptionError):
        given = (error.token.keyword or error.token.value).partition("=")[0]
        known = {name.lstrip("-"): name for argument in error.argument_collection for name in argument.names}
        near = nearest(given.lstrip("-"), known)
        return f"Unknown option: {given}. " + (f"Did you mean {known[near]}?" if near else _see_help(error))
    if isinstance(error, MissingArgumentError):
        return sentences(str(error), _see_help(error))
    missing = _missing(error).split(".")[0]
    if missing in EXTRAS:
        return f"{missing} is not installed, which this verb needs: pip install 'gatework[{EXTRAS[missing]}]'."
    if missing:
        return f"{missing} cannot be imported, which gatework needs: pip install --upgrade gatework puts that right."
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror}."
    return str(error)


def _flag_for(word: str, verb: str) -> str:
    """Return the flag that a word without one probably belongs to; empty if there is none."""
    flags = {"train": ("--data", "--cell", "--config"), "compare": ("--data", "--cells", "")}.get(verb)
    if flags is None:
        return ""
    data, cell, config = flags
    if is_name(word.split(",")[0]):
        return cell
    if word.endswith(".toml"):
        return config
    path = Path(word)
    return data if path.suffix or len(path.parts) > 1 or path.exists() else ""


def _missing(error: Exception) -> str:
    """Return the name of a third-party package that could not be imported; empty for any other error."""
    cause = error.__cause__ if isinstance(error.__cause__, ImportError) else error
    name = (cause.name or "") if isinstance(cause, ImportError) else ""
    return "" if name.split(".")[0] == "gatework" else name


def _see_help(error: CycloptsError) -> str:
    return f"See {' '.join(['gatework', *(error.command_chain or ())])} --help."
