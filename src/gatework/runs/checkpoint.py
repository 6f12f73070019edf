"""Checkpoints: everything that a run needs to continue as if it had never stopped.

A checkpoint is a folder ``step-N`` with three safetensors files and ``training.json``, which contains the SHA-256 of
each of them and of itself. The folder is written under another name, and is renamed when everything is on the disk. So
a folder with the final name is complete unless something else damaged it, and damage is detected before the checkpoint
is used.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from gatework.errors import CheckpointError, FileError, sentences
from gatework.reading.files import read_file
from gatework.reading.nested import MOST_FACTS, fault_in_words, parse_object
from gatework.reading.tensors import MOST_TENSORS, parse_safetensors
from gatework.runs.files import UNFINISHED, digest, to_json, write_flushed
from gatework.system import flush_folder, is_in_use, replace

FORMAT = 1
_PARTS = ("model", "optimizer", "state")


@dataclass(frozen=True)
class Checkpoint:
    """The complete state of a run at the end of a step.

    Args:
        step: The step.
        model: The parameters by name.
        optimizer: The state of the optimiser, as ``<parameter>/<quantity>``.
        state: The carried state of all streams, ``state.0`` …, and the random generators,
            ``generator.<rank>.<device>``.
        facts: Plain data: position in the text, sums of the current log line, versions, fingerprints.
    """

    step: int
    model: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]
    state: Mapping[str, Tensor]
    facts: Mapping[str, Any]


def list_checkpoints(folder: Path) -> list[int]:
    """List the steps of the checkpoints in a folder, in order."""
    if not folder.is_dir():
        return []
    names = [path.name.removeprefix("step-") for path in folder.iterdir() if path.name.startswith("step-")]
    return sorted(int(name) for name in names if name.isascii() and name.isdigit())


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Save a checkpoint atomically: after a crash it is complete or does not exist.

    Args:
        folder: The run's folder of checkpoints.
        checkpoint: The checkpoint; its tensors must be on the CPU.

    Returns:
        The folder of the checkpoint.
    """
    path = folder / f"step-{checkpoint.step}"
    unfinished = folder / f"{UNFINISHED}{path.name}"
    try:
        unfinished.mkdir(parents=True)
        sums = {}
        for part in _PARTS:
            content = safetensors.torch.save({name: t.contiguous() for name, t in getattr(checkpoint, part).items()})
            sums[f"{part}.safetensors"] = digest(content)
            write_flushed(unfinished / f"{part}.safetensors", content)
        facts = {"format": FORMAT, "step": checkpoint.step, **checkpoint.facts, "sha256": sums}
        write_flushed(unfinished / "training.json", to_json(facts | {"checksum": _checksum(facts)}))
        flush_folder(unfinished)
        replace(unfinished, path)
        flush_folder(folder)
    except OSError:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return path


def remove_checkpoints(folder: Path, keep: int) -> None:
    """Remove all but the latest checkpoints of a folder."""
    _remove(folder, list_checkpoints(folder)[:-keep])


def remove_others(folder: Path, step: int) -> None:
    """Remove all checkpoints of a folder but that of one step."""
    _remove(folder, [other for other in list_checkpoints(folder) if other != step])


def _remove(folder: Path, steps: Sequence[int]) -> None:
    """Remove checkpoints. Each is renamed first, so that no partial checkpoint is ever visible.

    On Windows a checkpoint that another process is reading stays until the next call.
    """
    for step in steps:
        leaving = folder / f"{UNFINISHED}gone-{step}"
        try:
            replace(folder / f"step-{step}", leaving)
        except PermissionError as error:
            if not is_in_use(error):
                raise
            continue
        shutil.rmtree(leaving)


def load_checkpoint(folder: Path, step: int, fingerprint: str) -> Checkpoint:
    """Load a checkpoint, after checking that it is complete and belongs to this run.

    Args:
        folder: The run's folder of checkpoints.
        step: The step of the checkpoint.
        fingerprint: The fingerprint of the run, which the checkpoint must have too.

    Returns:
        The checkpoint.

    Raises:
        CheckpointError: If the checkpoint is damaged, truncated or of another run; the message names the file and says
            what to do.
    """
    path = folder / f"step-{step}"
    facts = _read_facts(path, step)
    if facts["fingerprint"] != fingerprint:
        raise _fault(path, "training.json", "belongs to another run: its configuration or its text is not this run's")
    parts = {part: _read_tensors(path, part, facts["sha256"]) for part in _PARTS}
    return Checkpoint(step, parts["model"], parts["optimizer"], parts["state"], facts)


class _Facts(BaseModel):
    """The facts that every checkpoint has; a run adds more."""

    model_config = ConfigDict(extra="allow", strict=True)

    format: int
    step: int
    fingerprint: str
    sha256: dict[str, str]
    seconds: float = Field(ge=0)


def _read_facts(path: Path, step: int) -> dict[str, Any]:
    name = "training.json"
    content = _read(path, name, MOST_FACTS)
    try:
        facts = parse_object(content, path / name)
    except FileError as error:
        raise _fault(path, name, error.reason) from error
    if facts.pop("checksum", None) != _checksum(facts):
        raise _fault(path, name, "is damaged: it does not match its own checksum")
    if facts.get("format") != FORMAT:
        raise _fault(path, name, f"has format {facts.get('format')}, and this version reads {FORMAT}")
    try:
        _Facts.model_validate(facts)
    except ValidationError as error:
        raise _fault(path, name, f"is damaged: {fault_in_words(error)}") from error
    if facts["step"] != step:
        raise _fault(path, name, f"is that of step {facts['step']}: the folder was renamed")
    return facts


def _read_tensors(path: Path, part: str, sums: Mapping[str, str]) -> dict[str, Tensor]:
    name = f"{part}.safetensors"
    content = _read(path, name, MOST_TENSORS)
    if digest(content) != sums.get(name):
        raise _fault(path, name, f"is damaged: its {len(content):,} bytes do not match their SHA-256")
    try:
        return parse_safetensors(content, path / name)
    except FileError as error:
        raise _fault(path, name, error.reason) from error


def _read(path: Path, name: str, most: int) -> bytes:
    try:
        return read_file(path / name, most)
    except FileError as error:
        what = "is missing" if isinstance(error.__cause__, FileNotFoundError) else error.reason
        raise _fault(path, name, what) from error


def _fault(path: Path, name: str, what: str) -> CheckpointError:
    """Make the error for a checkpoint file; it says how to continue without the checkpoint."""
    others = [step for step in list_checkpoints(path.parent) if path.name != f"step-{step}"]
    way_out = f"go on from step {others[-1]}" if others else "begin again from step 0"
    return CheckpointError(
        sentences(
            f"Checkpoint file '{path / name}' {what}",
            f"Nothing was changed. Move '{path}' away and run the same command again to {way_out}.",
        )
    )


def _checksum(facts: Mapping[str, Any]) -> str:
    return digest(json.dumps(facts, sort_keys=True, ensure_ascii=False).encode("utf-8"))
