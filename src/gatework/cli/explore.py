"""``gatework explore``: look at what a trained model computes, in the browser."""

import os
import sys
import threading
import webbrowser
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.markup import escape

from gatework.cli.app import part
from gatework.cli.output import Flag, Json, Whole, out, print_json
from gatework.errors import ConfigError
from gatework.explorer.server import address_of, listen, make_door, serve
from gatework.explorer.settings import Settings


def explore(
    *runs: str,
    demo: Flag = False,
    host: str = "127.0.0.1",
    port: Annotated[Whole, Parameter(validator=Number(gte=0, lte=65535))] = 0,
    no_open: Flag = False,
    memory: Annotated[Whole, Parameter(validator=Number(gte=1, lte=10**7))] = 512,
    seconds: Annotated[float, Parameter(validator=Number(gt=0, lte=3600))] = 60.0,
    json: Json = False,
) -> None:
    """Look at what a trained model computes, symbol by symbol, in the browser.

    Args:
        runs: One run's directory, or several to compare.
        demo: Open the small model that comes with the package.
        host: The address to listen on. Any address but this machine's own needs a token, which is part of the printed
            address.
        port: The port to listen on; 0 for any free port.
        no_open: Do not open the browser.
        memory: Limit of the stored results, in megabytes.
        seconds: Time limit of a request.
        json: Print JSON, for programs.
    """
    if not runs and not demo:
        raise ConfigError(
            "Nothing to explore was named. Give a run's directory, or --demo for the model that comes along."
        )
    settings = Settings(trace_bytes=memory * 1_000_000, seconds=seconds)

    def opener() -> Any:
        return part("explore-open")(runs, demo, settings)

    if not all(map(_holds_text, runs)):
        opener()  # raises the error before anything is served
    sock = listen(host, port)
    door = make_door(host, sock.getsockname()[1])
    address = address_of(host, door)
    if json:
        print_json({"address": address})
    else:
        console = out()
        console.print(f"The explorer is at [bold cyan]{escape(address)}[/bold cyan]", soft_wrap=True)
        console.print("Ctrl-C ends it.")
    out().file.flush()
    if not no_open and _has_screen():
        # In a thread of its own, because the call may not return before the browser is closed.
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    serve(opener, sock, door, settings)


def _holds_text(run: str) -> bool:
    """Tell a run that reads text from all else by what its directory holds, without torch, which takes a second."""
    path = Path(os.path.expanduser(run))
    return (path / "config.json").is_file() and (path / "vocabulary.json").is_file()


def _has_screen() -> bool:
    """Tell whether a browser can open a window. Otherwise Python would start a browser inside the terminal."""
    return not sys.platform.startswith("linux") or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
