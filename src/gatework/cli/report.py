"""``gatework report``: the explorer's page with one text, as a single file for the browser."""

import os
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gatework.cli.output import Flag, Json, out, print_json
from gatework.data.corpus import decode_text
from gatework.errors import ConfigError
from gatework.explorer.answers import open_answers
from gatework.explorer.messages import LATEST, TraceRequest
from gatework.explorer.report import write_report
from gatework.explorer.settings import PAGE, Settings
from gatework.reading.files import read_file
from gatework.runs.files import saving, write_file

# A report holds 2,000 symbols; a longer text is refused by its number of symbols, up to this size.
_MOST_BYTES = 1 << 26


def report(
    run: str = "",
    /,
    *,
    output: Annotated[Path, Parameter(alias="-o")] = Path("report.html"),
    text: Annotated[str, Parameter(allow_leading_hyphen=True)] = "",
    sample: str = "",
    demo: Flag = False,
    json: Json = False,
) -> None:
    """Write the explorer's page with one text into a file that opens without a server.

    Args:
        run: The run's directory.
        output: The file to write.
        text: A file with a text of at most 2,000 symbols; - for standard input.
        sample: One of the run's samples: s1, s2 …; by default the first.
        demo: Use the small model that comes with the package.
        json: Print JSON, for programs.
    """
    if bool(run) == demo:
        raise ConfigError("What is the report about? Give a run's directory, or --demo for the model that comes along.")
    if text and sample:
        raise ConfigError("--text and --sample are two texts. Give one of them.")
    settings = Settings()
    answers = open_answers([run] if run else [], demo, settings)
    id = next(iter(answers.runs))
    if text:
        request = TraceRequest(run=id, checkpoint=LATEST, text=_read(text))
    else:
        request = TraceRequest(run=id, checkpoint=LATEST, sample=f"{id}-{sample or 's1'}")
    content = write_report(answers, request, PAGE).encode("utf-8")
    with saving(f"'{output}'"):
        write_file(output, content)
    if json:
        print_json({"report": str(output), "bytes": len(content)})
    else:
        out().print(f"{output}: {len(content) / 1e6:.1f} MB; any browser opens it.", soft_wrap=True, markup=False)


def _read(name: str) -> str:
    content = sys.stdin.buffer.read() if name == "-" else read_file(os.path.expanduser(name), _MOST_BYTES)
    return decode_text(content, name, "utf-8")
