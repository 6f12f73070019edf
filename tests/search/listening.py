"""What tests of comparisons hear, and how they read what was written."""

from collections import Counter
from typing import Any

from gatework.search.comparing.progress import Quiet


class Told(Quiet):
    """Remembers all that it was told, and may do something after so many trials."""

    def __init__(self, after=None, do=None):
        self.said = []
        self.after, self.do = after, do

    def begin(self, beginning):
        self.said.append(("begin", len(beginning.done)))

    def started(self, trial):
        self.said.append(("started", trial))

    def step(self, trial, step):
        self.said.append(("step", step))

    def finished(self, trial, outcome):
        self.said.append(("finished", trial))
        if self.do and len([1 for what, _ in self.said if what == "finished"]) == self.after:
            self.do()

    def chosen(self, cell, gap, learning_rate):
        self.said.append(("chosen", (cell, gap, learning_rate)))

    def note(self, message):
        self.said.append(("note", message))

    def end(self):
        self.said.append(("end", None))

    def counts(self):
        return Counter(what for what, _ in self.said)


def without_seconds(value: Any) -> Any:
    """Leave out what a clock has written."""
    if isinstance(value, dict):
        return {key: without_seconds(inner) for key, inner in value.items() if key != "seconds"}
    return [without_seconds(inner) for inner in value] if isinstance(value, list) else value
