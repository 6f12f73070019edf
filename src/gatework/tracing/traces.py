"""Traces: tensors by name, the meaning of the names, and the file format for both."""

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

from gatework.errors import DataError, FileError, SizeError, sentences
from gatework.language import Step, parse, show
from gatework.language.parse import DERIVED
from gatework.reading.nested import parse_json
from gatework.reading.tensors import read_safetensors

FORMAT = "gatework trace 1"
_NAMED = {"delivered", "sized", "memories"}  # what a step says of names, which its equations do not show
_KINDS = ("inputs", "before", "fresh", "banks", "extents")  # tensors by name that a layer holds beside its quantities
OUTPUT = ".output"  # no quantity begins with a dot


@dataclass(frozen=True, eq=False)
class TracedLayer:
    """A traced layer in one direction.

    Args:
        prefix: The beginning of its keys: ``l0``, ``l1_reverse``, ``encoder.l0``.
        module: The path of the layer in the model; empty if the layer itself was traced.
        number: The layer, counted from 0 at the input.
        direction: 0 for forward in time, 1 for backward in time.
        cell: The name of the cell.
        step: The equations of the layer.
        drawn: Whether masks were drawn; otherwise each mask was its probability.
        parts: Maps each addend of a state's equation to the name of the state.
        inputs: The inputs of the layer, [T, B, size] by name.
        before: The states before the first step, [B, size] by name.
        fresh: The states from which a new sequence in a row starts, [B, size] by name.
        restart: Where a new sequence starts in a row, bool [T, B]; None if nowhere.
        lengths: The number of steps of each row, int64 [B]; None if all rows have T steps.
        banks: The memories, [B, L, size] by name; [B, L] with one number at each position.
        extents: The number of positions of each row, int64 [B], for each memory that some row has only a part of.
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
    banks: Mapping[str, Tensor] = field(default_factory=dict, repr=False)
    extents: Mapping[str, Tensor] = field(default_factory=dict, repr=False)

    def last(self, state: str, values: Tensor, begin: int = 0, end: int | None = None) -> Tensor:
        """Return the value that a state had before each step.

        Args:
            state: The state.
            values: The traced values of the state, [T, B, H]; [T, B, L] or [T, B, L, H] at positions of a memory.
            begin: The first step of the result.
            end: The step after the last step of the result; None for the end.

        Returns:
            The values, [end - begin, B, ...].
        """
        steps = len(values)
        times = torch.arange(begin, steps if end is None else end, device=values.device)
        earlier = times + 1 if self.direction else times - 1
        inside = ((earlier >= 0) & (earlier < steps))[:, None].expand(-1, values.shape[1])
        if self.direction and self.lengths is not None:  # in reverse, each row begins at its own last step
            inside = inside & (earlier[:, None] < self.lengths.to(values.device))
        previous = torch.where(_beside(inside, values), values[earlier.clamp(0, steps - 1)], self.before[state])
        if self.restart is None:
            return previous
        # The mask ends with the longest row. Beyond it there is only padding, in which no sequence starts.
        starts = self.restart.new_zeros(steps, values.shape[1])
        starts[: len(self.restart)] = self.restart
        return torch.where(_beside(starts[times], values), self.fresh[state], previous)

    @property
    def equations(self) -> str:
        """The equations as text."""
        return show(self.step)

    @property
    def comments(self) -> dict[str, str]:
        """The comment of every line, by name; an empty text for a line without a comment."""
        return {line.target: line.comment for line in self.step.equations}


def _beside(marks: Tensor, values: Tensor) -> Tensor:
    """Give marks [T, B] the axes of values [T, B, ...]."""
    return marks.reshape(*marks.shape, *(1,) * (values.dim() - marks.dim()))


@dataclass(frozen=True, eq=False)
class Keyed(Mapping[str, Tensor]):
    """A mapping from keys such as ``l0.i`` to tensors. With a single layer, the bare name ``i`` is enough.

    Args:
        tensors: The tensors, by full key.
        prefixes: The beginning of the keys, for each layer and direction.
    """

    tensors: Mapping[str, Tensor] = field(repr=False)
    prefixes: tuple[str, ...]

    def key(self, name: str) -> str:
        """Return the full key of a name.

        Args:
            name: A key, or a bare name if there is one layer in one direction.

        Returns:
            The key.

        Raises:
            SizeError: If there is no such name; the message lists the keys.
        """
        if name in self.tensors:
            return name
        if len(self.prefixes) == 1 and f"{self.prefixes[0]}.{name}" in self.tensors:
            return f"{self.prefixes[0]}.{name}"
        kind = type(self).__name__.lower()
        raise SizeError(f"The {kind} has no `{name}`; it has {', '.join(f'`{key}`' for key in self.tensors)}.")

    def __getitem__(self, name: str) -> Tensor:
        """Look up a quantity; the error for an unknown name lists the keys."""
        return self.tensors[self.key(name)]

    def get(self, key: str, default: Any = None) -> Any:
        """Look up a quantity, or return the default."""
        return self[key] if key in self else default  # noqa: SIM401 - this is that method

    def __contains__(self, name: object) -> bool:
        """Tell whether there is a quantity with this name."""
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
    """The quantities that a run computed: a mapping from keys to tensors [T, B, H].

    What has a value at each position of a memory is [T, B, L], and [T, B, L, H] if that is a vector; it is 0 beyond a
    row's positions.

    A key consists of the layer and the quantity: ``l0.i``, ``l1_reverse.c``. If a model has several stacks of layers,
    the path of the stack comes first: ``encoder.l0.i``. If one layer in one direction was traced, the quantity is
    enough: ``i``.

    Args:
        tensors: The tensors, by full key.
        prefixes: The beginning of the keys, for each layer and direction.
        output: The output of the layer, or the return value of the model.
        state: The final state of the layer; None for a model.
        layers: One entry for each layer and direction.
    """

    output: Any = field(repr=False)
    state: Any = field(repr=False)
    layers: tuple[TracedLayer, ...] = field(repr=False)

    def layer(self, name: str) -> TracedLayer:
        """Return the layer that a name belongs to.

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
        """Return a name as the equations write it: ``f`` for ``l0.f``.

        Args:
            name: As for :meth:`key`.

        Returns:
            The name.

        Raises:
            SizeError: As for :meth:`key`.
        """
        return self.key(name).removeprefix(f"{self.layer(name).prefix}.")

    def save(self, path: str | Path) -> None:
        """Write the trace to a safetensors file.

        The file contains the output if it is a tensor. It does not contain the final state, which is in the values of
        the last step.

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
            raise DataError(sentences(f"The trace cannot be written to '{path}': {error}")) from None

    @classmethod
    def load(cls, path: str | Path) -> "Trace":
        """Read a trace from a file.

        Args:
            path: A file that :meth:`save` or :func:`gatework.tracing.save_trace` wrote.

        Returns:
            The trace, on the CPU.

        Raises:
            DataError: If there is no such file, or if it contains no trace.
        """
        try:
            tensors, metadata = read_safetensors(path)
            if metadata.get("format") != FORMAT:
                raise DataError(f"'{path}' holds no trace of gatework; expected a file that Trace.save() wrote.")
            facts = parse_json(metadata.get("trace", "").encode(errors="replace"), path, _Facts, inside="trace")
        except FileError as error:
            raise DataError(f"The trace cannot be read: {error}") from None
        wanted = [*facts.names, *(f".banks.{told.prefix}.{name}" for told in facts.layers for name in told.banks)]
        if missing := [key for key in wanted if key not in tensors]:
            raise DataError(f"The trace '{path}' is damaged: it has no values of '{missing[0]}'.")
        return _rebuilt(facts, tensors)


def tensors_of(trace: Trace) -> dict[str, Tensor]:
    """Collect all tensors of a trace. Names that begin with a dot belong to tensors that are not quantities."""
    tensors = dict(trace.tensors)
    if isinstance(trace.output, Tensor):
        tensors[OUTPUT] = trace.output
    for layer in trace.layers:
        for kind in _KINDS:
            tensors |= {f".{kind}.{layer.prefix}.{name}": one for name, one in getattr(layer, kind).items()}
        for kind in ("restart", "lengths"):
            if getattr(layer, kind) is not None:
                tensors[f".{kind}.{layer.prefix}"] = getattr(layer, kind)
    return tensors


def _apart(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copy tensors that share memory, such as a layer's output and the input of the next layer."""
    separate: dict[str, Tensor] = {}
    seen: set[int] = set()
    for key, tensor in tensors.items():
        whole = tensor.contiguous()
        place = whole.untyped_storage().data_ptr()
        separate[key] = whole.clone() if place in seen else whole
        seen.add(place)
    return separate


def metadata_of(trace: Trace) -> dict[str, str]:
    """Describe a trace without its tensors, as the metadata of a safetensors file."""
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
            **{name: getattr(layer.step, name) for name in sorted(_NAMED)},
            "parts": dict(layer.parts),
        }
        for layer in trace.layers
    ]
    return {"format": FORMAT, "trace": json.dumps({"keys": list(trace.tensors), "layers": layers})}


class _Told(BaseModel):
    """The description of a layer in a file."""

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
    delivered: list[str] = []  # a file of an older version has none of these
    sized: list[str] = []
    memories: list[str] = []
    parts: dict[str, str]

    @property
    def banks(self) -> list[str]:
        """The names of the memories."""
        return [name for entry in self.memories for name in entry.split("=") if name not in self.inputs]


class _Facts(BaseModel):
    """The contents of a file besides its tensors."""

    model_config = ConfigDict(extra="forbid", strict=True)

    names: list[str] = Field(alias="keys")
    layers: list[_Told]


def _rebuilt(facts: _Facts, tensors: dict[str, Tensor]) -> Trace:
    layers = []
    for told in facts.layers:
        held: dict[str, dict[str, Tensor]] = {}
        for kind in _KINDS:
            start = f".{kind}.{told.prefix}."
            held[kind] = {key.removeprefix(start): one for key, one in tensors.items() if key.startswith(start)}
        layers.append(
            TracedLayer(
                **told.model_dump(exclude={"equations", "states", "inputs", *_NAMED}),
                step=parse(told.equations, told.states, told.inputs, limits=DERIVED, **told.model_dump(include=_NAMED)),
                inputs=held["inputs"],
                before=held["before"],
                fresh=held["fresh"],
                banks=held["banks"],
                extents=held["extents"],
                restart=tensors.get(f".restart.{told.prefix}"),
                lengths=tensors.get(f".lengths.{told.prefix}"),
            )
        )
    kept = {key: tensors[key] for key in facts.names}
    return Trace(kept, tuple(layer.prefix for layer in layers), tensors.get(OUTPUT), None, tuple(layers))
