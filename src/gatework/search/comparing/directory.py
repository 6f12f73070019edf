"""The directory of a comparison. It holds everything that is known about the comparison.

config.json     the configuration, including the user's own equations
trials.jsonl    one line per finished trial, in the order in which they finished
results.json    all results, once all trials are finished
gaps.png        the criterion's metric against the gap
.lock           held while a process writes
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from gatework.errors import ConfigError, RunError
from gatework.reading.nested import parse_json
from gatework.runs.directory import Directory, append_line
from gatework.runs.files import flush_folder, saving, write_file, write_json
from gatework.runs.locks import Lock
from gatework.search.comparing.config import MAY_CHANGE, CompareConfig, make_compare_config
from gatework.search.running.trial import Outcome, Trial


class _Line(BaseModel):
    """A line of ``trials.jsonl``."""

    model_config = ConfigDict(extra="forbid", strict=True)

    trial: Trial
    outcome: Outcome


@dataclass(frozen=True)
class CompareDirectory(Directory):
    """The files of a comparison.

    Args:
        path: The directory.
    """

    noun: ClassVar = "comparison"
    denial: ClassVar = "no comparison"
    called: ClassVar = "Directory"
    before_config: ClassVar = frozenset((".lock", "data.json"))

    @property
    def trials(self) -> Path:
        """The file of finished trials."""
        return self.path / "trials.jsonl"

    @property
    def results(self) -> Path:
        """The file of results."""
        return self.path / "results.json"

    @property
    def picture(self) -> Path:
        """The picture."""
        return self.path / "gaps.png"

    def open(self, config: CompareConfig, fingerprints: Mapping[int, str]) -> Lock:
        """Lock the directory for writing, and make sure that it belongs to this comparison.

        Args:
            config: The configuration of the comparison.
            fingerprints: The fingerprint of the data at each gap.

        Returns:
            The lock; release it at the end.

        Raises:
            RunError: If another process is writing to the directory, or it holds something else.
        """
        data = {str(gap): number for gap, number in fingerprints.items()}
        lock = self.lock()
        try:
            self.sweep_folders(self.path)
            if self.exists():
                data = self._check_same(config, data)
            # A grown comparison is written anew. Data without a gap that reads them do no harm.
            if not self.exists() or self.read_config() != config:
                with self.saving():
                    write_json(self.path / "data.json", data)
                    write_json(self.path / "config.json", config.model_dump(mode="json"))
        except BaseException:
            lock.release()
            raise
        return lock

    def grown(self, config: CompareConfig) -> CompareConfig:
        """Fit a configuration to the comparison in the directory, to which it may add cells, gaps and seeds.

        Args:
            config: The configuration.

        Returns:
            The same settings, with the cells that are there already in their order before the new ones, and with the
            reference that their sizes were matched to.

        Raises:
            RunError: If the configuration of the directory cannot be read.
        """
        if not self.exists():
            return config
        before = self.read_config()
        if not before.cells.items() <= config.cells.items():
            return config  # refused when the directory is opened
        grown = config.model_copy(update={"cells": {**before.cells, **config.cells}})
        if config.reference or grown.reference_cell == before.reference_cell:
            return grown
        return grown.model_copy(update={"reference": before.reference_cell})

    def read_config(self) -> CompareConfig:
        """Read the configuration of the comparison.

        Raises:
            RunError: If it cannot be read, or does not belong to a comparison.
        """
        file = self.path / "config.json"
        try:
            return make_compare_config(self.read_json(file.name), where=f"'{file}'", files=False)
        except ConfigError as error:
            raise RunError(
                f"Directory '{self.path}' holds no comparison that can be read. {error} Choose another with --run."
            ) from error

    def _check_same(self, config: CompareConfig, data: Mapping[str, str]) -> dict[str, str]:
        """Refuse another comparison and other data; return the fingerprints of the data at all gaps."""
        there = self.read_config()
        before, now = there.model_dump(mode="json"), config.model_dump(mode="json")
        # The order of cells matters: sizes may be matched to the first.
        same = {key for key in now if key in MAY_CHANGE or _text(before[key]) == _text(now[key])} | _grown(
            there, config
        )
        differing = [key for key in now if key not in same]
        if differing:
            told = "; ".join(f"{key} is {_short(before[key])} there and {_short(now[key])} now" for key in differing)
            raise RunError(
                f"Directory '{self.path}' has another comparison: {told}. Give the same settings, to which cells, gaps "
                "and seeds may be added, or another directory with --run."
            )
        known = self.read_json("data.json")
        changed = [gap for gap in data if known.get(gap) != data[gap] and int(gap) in there.gaps]
        if changed:
            raise RunError(
                f"The data of task '{config.task}' at gap {', '.join(changed)} are no longer those that directory "
                f"'{self.path}' was begun with. Give the same data, or another directory with --run."
            )
        return {**known, **data}

    def read_trials(self) -> dict[Trial, Outcome]:
        """Read the finished trials, without an incomplete last line.

        Raises:
            RunError: If any other line is damaged.
        """
        entries = self.read_lines(self.trials, lambda line: parse_json(line, self.trials, _Line), "is no trial")
        return {entry.trial: entry.outcome for entry in entries}

    def append(self, trial: Trial, outcome: Outcome) -> None:
        """Append a trial, and flush it to disk."""
        append_line(self.trials, (line_of(trial, outcome) + "\n").encode(), flush=True)

    def rewrite(self, done: Mapping[Trial, Outcome]) -> None:
        """Rewrite the file of trials, so that no line is appended to an incomplete one."""
        with saving(f"'{self.trials}'"):
            write_file(self.trials, "".join(f"{line_of(*item)}\n" for item in done.items()).encode())
            flush_folder(self.path)


def _grown(before: CompareConfig, now: CompareConfig) -> set[str]:
    """List the settings that only add to those before, and leave finished trials as they are."""
    grown = set()
    if list(before.cells.items()) == list(now.cells.items())[: len(before.cells)]:
        grown |= {"cells"} | ({"reference"} if before.reference_cell == now.reference_cell else set())
    if set(before.gaps) <= set(now.gaps):
        grown.add("gaps")
    return grown | ({"seeds"} if before.seeds <= now.seeds else set())


def line_of(trial: Trial, outcome: Outcome) -> str:
    """Return a trial as one line of JSON."""
    return json.dumps({"trial": asdict(trial), "outcome": outcome.to_json()}, ensure_ascii=False, allow_nan=False)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _short(value: Any) -> str:
    text = _text(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
