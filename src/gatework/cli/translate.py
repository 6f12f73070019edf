"""``gatework translate``: translate lines with a run's model."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.markup import escape

from gatework.cli.output import Checkpoint, Json, Size, checkpoint_step, err, print_json
from gatework.errors import ConfigError, printable
from gatework.reading.files import MOST_TEXT, decode, read_file
from gatework.runs.files import saving, write_file
from gatework.training.translating import translate as find


def translate(
    run: str,
    file: Path | None = None,
    /,
    *,
    text: str = "",
    beams: Size = 5,
    penalty: float = 1.0,
    output: Annotated[Path | None, Parameter(name=("-o", "--output"))] = None,
    checkpoint: Checkpoint = "last",
    device: str = "cpu",
    json: Json = False,
) -> None:
    """Translate the lines of a file, or of standard input, into as many lines.

    Args:
        run: The directory of a run of task translation.
        file: The lines to translate, as UTF-8; by default standard input.
        text: One sentence to translate, in place of a file.
        beams: The beams of the search; 1 takes the most probable symbol at every step.
        penalty: The exponent of the length penalty; larger ones prefer longer translations.
        output: Write the translations to this file.
        checkpoint: The weights to use: last, best (lowest held-out loss), or the step of a checkpoint.
        device: cpu, cuda, cuda:N, mps, or auto.
        json: Print JSON, for programs: also the probabilities, and further hypotheses.
    """
    if text and file is not None:
        raise ConfigError(f"A file ('{file}') and --text are given; expected one of the two.")
    lines = [text] if text else _lines(file)
    found = find(run, lines, beams=beams, penalty=penalty, step=checkpoint_step(checkpoint), device=device)
    written = "".join(f"{one.text}\n" for one in found.lines)
    if output is not None:
        with saving(f"'{output}'"):
            write_file(output, written.encode("utf-8"))
    if json:
        print_json(found.to_json())
    elif output is None:
        # A terminal must not be told anything by control characters; a file or a pipe gets the text as it is.
        sys.stdout.write(printable(written) if sys.stdout.isatty() else written)
    else:
        err().print(escape(f"Wrote {len(lines):,} lines into {output}."), soft_wrap=True)


def _lines(file: Path | None) -> list[str]:
    """Return the lines of a file, or of standard input."""
    if file is not None:
        content, name = read_file(file, MOST_TEXT, "Expected the lines to translate in it."), str(file)
    else:
        content, name = sys.stdin.buffer.read(), "standard input"
    lines = decode(content, name, advice="Expected lines of text in UTF-8.").split("\n")
    return lines[:-1] if lines[-1] == "" else lines
