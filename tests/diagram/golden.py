"""The pictures that must not change by themselves. `python -m tests.diagram.golden` writes them anew."""

from collections.abc import Callable
from pathlib import Path

from tests.tracing.attended import CELLS

import gatework
from gatework.diagram import Picture

FOLDER = Path(__file__).parent / "golden"

GOLDEN: dict[str, Callable[[], Picture]] = {
    "lstm": lambda: gatework.draw("lstm"),
    "lstm-dark": lambda: gatework.draw("lstm", dark=True),
    "peephole": lambda: gatework.draw("peephole"),
    "gru_v3": lambda: gatework.draw("gru_v3"),
    "slstm": lambda: gatework.draw("slstm"),
    "niaf-zh-Hans": lambda: gatework.draw("niaf", language="zh-Hans"),
    "rnn-chain": lambda: gatework.draw("rnn", "chain"),
    "gru_v3-walk": lambda: gatework.draw("gru_v3", "walk", language="zh-Hant"),
    "lstm-compare-peephole": lambda: gatework.draw("lstm", "compare", other="peephole"),
    "lstm_1997-memory": lambda: gatework.draw("lstm_1997", "memory"),
    "attended-additive": lambda: gatework.draw(gatework.attend(gatework.CELLS["lstm"])),
    "attended-location-gru": lambda: gatework.draw(gatework.attend(gatework.CELLS["gru"], "location")),
    "attended-window-dark": lambda: gatework.draw(gatework.attend(gatework.CELLS["lstm"], "window"), dark=True),
    "attended-twice": lambda: gatework.draw(CELLS["two"]),
}


def path_of(name: str) -> Path:
    return FOLDER / f"{name}.svg"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.svg"):
        old.unlink()
    for name, make in GOLDEN.items():
        print(make().save(path_of(name)))
