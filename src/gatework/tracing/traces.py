"""What a trace is: tensors by name, what the names mean, and the file that holds both."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from gatework.errors import DataError, FileError, SizeError
from gatework.language import Step, parse, show
from gatework.language.parse import DERIVED
from gatework.reading.nested import parse_json
from gatework.reading.tensors import read_safetensors

FORMAT = "gatework trace 1"
OUTPUT = ".output"  # no quantity begins with a dot


@dataclass(frozen=True, eq=False)
class TracedLayer:
    """One layer in one direction, as it was traced.

    Args:
        prefix: What its keys begin with: ``l0``, ``l1_reverse``, ``encoder.l0``.
        module: Its path in the model; empty where the layer itself was traced.
        number: The layer, counted from 0 at the input.
        direction: 0 for forward, 1 for backward in time.
        cell: The name of its cell.
        step: Its equations.
        drawn: Whether masks were drawn; if not, each was its probability.
        parts: For each addend of a state's equation, the name it is a part of.
        inputs: What it was given, [T, B, size] by name.
        before: The states before the first step taken, [B, size] by name.
        fresh: The states from which a row starts anew, [B, size] by name.
        restart: Where rows start anew, bool [T, B]; None where none does.
        lengths: The number of steps of each row, int64 [B]; None where all have T.
    """

    prefix: str
    module: str
    number: int
    direction: int
    cell: str
    step: Step
    drawn: bool
    parts: Mapping[str, str]
    inputs: Mapping[str, Tensor] = field(repr=False)
    before: Mapping[str, Tensor] = field(repr=False)
    fresh: Mapping[str, Tensor] = field(repr=False)
    restart: Tensor | None = field(repr=False)
    lengths: Tensor | None = field(repr=False)

    def last(self, state: str, values: Tensor, begin: int = 0, end: int | None = None) -> Tensor:
        """Give last step's values of a state, as each step found them.

        Args:
            state: The state.
            values: Its traced values, [T, B, H].
            begin: The first step that is asked about.
            end: The step after the last one; None for all.

        Returns:
            [end - begin, B, H].
        """
        steps = len(values)
        times = torch.arange(begin, steps if end is None else end, device=values.device)
        earlier = times + 1 if self.direction else times - 1
        inside = ((earlier >= 0) & (earlier < steps))[:, None].expand(-1, values.shape[1])
        if self.direction and self.lengths is not None:  # a row's way back begins at its own last step
            inside = inside & (earlier[:, None] < self.lengths.to(values.device))
        found = torch.where(inside[..., None], values[earlier.clamp(0, steps - 1)], self.before[state])
        if self.restart is None:
            return found
        # The mask ends with the longest row; beyond it there is padding, in which nothing starts.
        starts = self.restart.new_zeros(steps, values.shape[1])
        starts[: len(self.restart)] = self.restart
        return torch.where(starts[times][..., None], self.fresh[state], found)

    @property
    def equations(self) -> str:
        """Give the equations as text."""
        return show(self.step)

    @property
    def comments(self) -> dict[str, str]:
        """Give the comment of every line, by name; empty where the equations have none."""
        return {line.target: line.comment for line in self.step.equations}


@dataclass(frozen=True, eq=False)
class Keyed(Mapping[str, Tensor]):
    """A mapping from keys such as ``l0.i`` to tensors, in which a bare ``i`` will do where there is one layer.

    Args:
        tensors: The tensors, by full key.
        prefixes: What the keys of each layer in each direction begin with.
    """

    tensors: Mapping[str, Tensor] = field(repr=False)
    prefixes: tuple[str, ...]

    def key(self, name: str) -> str:
        """Give the full key of a name.

        Args:
            name: A key, or a bare name where there is one layer in one direction.

        Returns:
            The key.

        Raises:
            SizeError: If there is nothing of that name; the message says what there is.
        """
        if name in self.tensors:
            return name
        if len(self.prefixes) == 1 and f"{self.prefixes[0]}.{name}" in self.tensors:
            return f"{self.prefixes[0]}.{name}"
        kind = type(self).__name__.lower()
        raise SizeError(f"The {kind} has no `{name}`; it has {', '.join(f'`{key}`' for key in self.tensors)}.")

    def __getitem__(self, name: str) -> Tensor:
        """Look a quantity up, or say what there is."""
        return self.tensors[self.key(name)]

    def get(self, key: str, default: Any = None) -> Any:
        """Look a quantity up, or give the default, as every mapping does."""
        return self[key] if key in self else default  # noqa: SIM401 - this is that method

    def __contains__(self, name: object) -> bool:
        """Say whether there is a quantity of that name."""
        only = f"{self.prefixes[0]}.{name}" if len(self.prefixes) == 1 else None
        return name in self.tensors or only in self.tensors

    def __iter__(self) -> Iterator[str]:
        """Yield the full keys, in the order of the layers and of their equations."""
        return iter(self.tensors)

    def __len__(self) -> int:
        """Count the quantities."""
        return len(self.tensors)


@dataclass(frozen=True, eq=False)
class Trace(Keyed):
    """What a run computed, by name: a mapping from keys to tensors [T, B, H].

    A key is the layer and the quantity, ``l0.i``, ``l1_reverse.c``, with the path of the layer before it where a model
    has several: ``encoder.l0.i``. Where one layer in one direction was traced the quantity is enough: ``i``.

    Args:
        tensors: The tensors, by full key.
        prefixes: What the keys of each layer in each direction begin with.
        output: What the layer gave as its output, or what the model returned.
        state: The layer's final state; None of a model.
        layers: Every layer in every direction.
    """

    output: Any = field(repr=False)
    state: Any = field(repr=False)
    layers: tuple[TracedLayer, ...] = field(repr=False)

    def layer(self, name: str) -> TracedLayer:
        """Give the layer that a name belongs to.

        Args:
            name: As for :meth:`key`.

        Returns:
            The layer.

        Raises:
            SizeError: As for :meth:`key`.
        """
        key = self.key(name)
        return next(layer for layer in self.layers if key.startswith(f"{layer.prefix}."))

    def bare(self, name: str) -> str:
        """Give a name as the equations have it: ``f`` for ``l0.f``.

        Args:
            name: As for :meth:`key`.

        Returns:
            The name.

        Raises:
            SizeError: As for :meth:`key`.
        """
        return self.key(name).removeprefix(f"{self.layer(name).prefix}.")

    def save(self, path: str | Path) -> None:
        """Write the trace to a file of safetensors.

        The output is written where it is a tensor; a final state is not, for it is in the values of the last step.

        Args:
            path: The file.

        Raises:
            DataError: If the file cannot be written.

        Example:
            >>> import gatework, tempfile
            >>> kept = gatework.trace(gatework.GRU(3, 4), torch.zeros(5, 2, 3))
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     kept.save(f"{folder}/trace.safetensors")
            ...     print(list(Trace.load(f"{folder}/trace.safetensors")))
            ['l0.r', 'l0.z', 'l0.n', 'l0.h']
        """
        try:
            save_file(_apart(tensors_of(self)), path, metadata_of(self))
        except (OSError, SafetensorError) as error:
            raise DataError(f"the trace cannot be written to '{path}': {error}") from None

    @classmethod
    def load(cls, path: str | Path) -> "Trace":
        """Read a trace from a file.

        Args:
            path: A file that :meth:`save` or :func:`gatework.tracing.save_trace` wrote.

        Returns:
            The trace, on the CPU.

        Raises:
            DataError: If there is no such file, or it holds no trace.
        """
        try:
            tensors, metadata = read_safetensors(path)
            if metadata.get("format") != FORMAT:
                raise DataError(f"'{path}' holds no trace of gatework; expected a file that Trace.save() wrote.")
            facts = parse_json(metadata.get("trace", "").encode(errors="replace"), path, _Facts, inside="trace")
        except FileError as error:
            raise DataError(f"the trace cannot be read: {error}") from None
        if missing := [key for key in facts.names if key not in tensors]:
            raise DataError(f"the trace '{path}' is damaged: it has no values of '{missing[0]}'")
        return _rebuilt(facts, tensors)


def tensors_of(trace: Trace) -> dict[str, Tensor]:
    """Give all tensors of a trace, those that are no quantities under names that begin with a dot."""
    found = dict(trace.tensors)
    if isinstance(trace.output, Tensor):
        found[OUTPUT] = trace.output
    for layer in trace.layers:
        for kind in ("inputs", "before", "fresh"):
            found |= {f".{kind}.{layer.prefix}.{name}": one for name, one in getattr(layer, kind).items()}
        for kind in ("restart", "lengths"):
            if getattr(layer, kind) is not None:
                found[f".{kind}.{layer.prefix}"] = getattr(layer, kind)
    return found


def _apart(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copy what shares memory with another, as a layer's output and the next one's input do."""
    found: dict[str, Tensor] = {}
    seen: set[int] = set()
    for key, tensor in tensors.items():
        whole = tensor.contiguous()
        place = whole.untyped_storage().data_ptr()
        found[key] = whole.clone() if place in seen else whole
        seen.add(place)
    return found


def metadata_of(trace: Trace) -> dict[str, str]:
    """Give what a trace is beside its tensors, as the texts that a file of safetensors takes."""
    layers = [
        {
            "prefix": layer.prefix,
            "module": layer.module,
            "number": layer.number,
            "direction": layer.direction,
            "cell": layer.cell,
            "drawn": layer.drawn,
            "equations": layer.equations,
            "states": layer.step.states,
            "inputs": layer.step.inputs,
            "parts": dict(layer.parts),
        }
        for layer in trace.layers
    ]
    return {"format": FORMAT, "trace": json.dumps({"keys": list(trace.tensors), "layers": layers})}


class _Told(BaseModel):
    """What a file says of a layer."""

    model_config = ConfigDict(extra="forbid", strict=True)

    prefix: str
    module: str
    number: int
    direction: int
    cell: str
    drawn: bool
    equations: str
    states: list[str]
    inputs: list[str]
    parts: dict[str, str]


class _Facts(BaseModel):
    """What a file holds beside its tensors."""

    model_config = ConfigDict(extra="forbid", strict=True)

    names: list[str] = Field(alias="keys")
    layers: list[_Told]


def _rebuilt(facts: _Facts, tensors: dict[str, Tensor]) -> Trace:
    layers = []
    for told in facts.layers:
        held: dict[str, dict[str, Tensor]] = {}
        for kind in ("inputs", "before", "fresh"):
            start = f".{kind}.{told.prefix}."
            held[kind] = {key.removeprefix(start): one for key, one in tensors.items() if key.startswith(start)}
        layers.append(
            TracedLayer(
                **told.model_dump(exclude={"equations", "states", "inputs"}),
                step=parse(told.equations, told.states, told.inputs, limits=DERIVED),
                inputs=held["inputs"],
                before=held["before"],
                fresh=held["fresh"],
                restart=tensors.get(f".restart.{told.prefix}"),
                lengths=tensors.get(f".lengths.{told.prefix}"),
            )
        )
    kept = {key: tensors[key] for key in facts.names}
    return Trace(kept, tuple(layer.prefix for layer in layers), tensors.get(OUTPUT), None, tuple(layers))
