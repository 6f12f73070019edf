"""Trace long sequences in chunks: one after the other, or directly into a file."""

import json
import struct
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Unpack

import torch
from torch import Tensor, nn

from gatework.errors import DataError, SizeError, sentences
from gatework.nn import Recurrent
from gatework.nn.options import MemoryOptions
from gatework.system import replace
from gatework.tracing.doors import recurrent_layers
from gatework.tracing.recording import trace
from gatework.tracing.traces import OUTPUT, Trace, metadata_of, tensors_of

_TYPES = {
    torch.float64: "F64", torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16", torch.bool: "BOOL",
    torch.int64: "I64",
}  # fmt: skip


def trace_chunks(
    layer_or_model: nn.Module,
    input: Tensor,
    names: Iterable[str] | str | None = None,
    parts: bool = False,
    state: Any = None,
    reset: Tensor | None = None,
    *,
    chunk: int = 10_000,
    **options: Unpack[MemoryOptions],
) -> Iterator[Trace]:
    """Trace a long sequence in chunks. Each chunk starts from the final state of the chunk before.

    With the kernels, the chunks are bit by bit the same as a trace of the whole sequence. The reference multiplies
    matrices for all steps of a chunk at once, and torch may round these products differently for another number of
    steps. The steps of a clamp are counted within each chunk.

    Args:
        layer_or_model: A layer; or a model that is called as ``model(input, state)`` and returns its output and the
            next state, as a language model does.
        input: The sequence, in the form that the layer takes; for a model with time first.
        names: As for :func:`gatework.trace`.
        parts: As for :func:`gatework.trace`.
        state: The state before the first step; None for the layer's own.
        reset: As for :func:`gatework.trace`.
        chunk: The largest number of steps in memory at once.
        **options: As for :func:`gatework.trace`. Every chunk reads the same memories.

    Yields:
        The traces, in order.

    Raises:
        SizeError: For a bidirectional layer, an input that is not a tensor, and a model that returns no state.

    Example:
        >>> import gatework
        >>> layer = gatework.LSTM(3, 4)
        >>> [len(one["c"]) for one in trace_chunks(layer, torch.zeros(25, 2, 3), "c", chunk=10)]
        [10, 10, 5]
    """
    axis = _time_axis(layer_or_model, input, chunk)
    run = partial(trace, layer_or_model, names=names, parts=parts, **options)
    return _chunks(layer_or_model, run, input, state, reset, chunk, axis)


def save_trace(
    path: str | Path,
    layer_or_model: nn.Module,
    input: Tensor,
    names: Iterable[str] | str | None = None,
    parts: bool = False,
    state: Any = None,
    reset: Tensor | None = None,
    *,
    chunk: int = 10_000,
    **options: Unpack[MemoryOptions],
) -> None:
    """Trace a long sequence into a file, without holding the whole trace in memory.

    :meth:`gatework.Trace.load` reads the file, and ``safetensors.safe_open`` reads parts of it. The file has the output
    of a layer with time first. After an error no file is left.

    Args:
        path: The safetensors file to write.
        layer_or_model: As for :func:`trace_chunks`.
        input: As for :func:`trace_chunks`.
        names: As for :func:`gatework.trace`.
        parts: As for :func:`gatework.trace`.
        state: As for :func:`trace_chunks`.
        reset: As for :func:`gatework.trace`.
        chunk: As for :func:`trace_chunks`.
        **options: As for :func:`trace_chunks`.

    Raises:
        SizeError: As for :func:`trace_chunks`.
        DataError: If the file cannot be written.
    """
    axis = _time_axis(layer_or_model, input, chunk)
    run = partial(trace, layer_or_model, names=names, parts=parts, **options)
    chunks = _chunks(layer_or_model, run, input, state, reset, chunk, axis)
    path, begun = Path(path), Path(f"{path}.part")
    try:
        with begun.open("wb") as file:
            _write(file, chunks, input.shape[axis], axis)
        replace(begun, path)
    except OSError as error:
        raise DataError(sentences(f"The trace cannot be written to '{path}': {error}")) from None
    finally:
        begun.unlink(missing_ok=True)


def _time_axis(model: nn.Module, input: Any, chunk: int) -> int:
    """Refuse models and inputs that cannot be traced in chunks, and return the time axis."""
    if isinstance(chunk, bool) or not isinstance(chunk, int) or chunk < 1:
        raise SizeError(f"chunk is {chunk!r}; expected a number of steps, at least 1.")
    if not isinstance(input, Tensor) or not input.dim() or not input.numel():
        what = f"a tensor of the shape {tuple(input.shape)}" if isinstance(input, Tensor) else type(input).__name__
        raise SizeError(f"The input is {what}; a trace in chunks needs one tensor with steps in it.")
    for path, layer in recurrent_layers(model).items():
        if layer.bidirectional:
            where = f"The layer `{path}`" if path else "The layer"
            raise SizeError(
                f"{where} is bidirectional: its second direction begins at the end, so no chunk can be traced before "
                "the whole is there. Use gatework.trace()."
            )
    first = isinstance(model, Recurrent) and model.batch_first and input.dim() == 3
    return 1 if first else 0


def _chunks(
    model: nn.Module,
    run: Callable[..., Trace],
    input: Tensor,
    state: Any,
    reset: Tensor | None,
    chunk: int,
    axis: int,
) -> Iterator[Trace]:
    for begin in range(0, input.shape[axis], chunk):
        count = min(chunk, input.shape[axis] - begin)
        starts = None if reset is None else reset.narrow(axis, begin, count)
        traced = run(input.narrow(axis, begin, count), state=state, reset=starts)
        if isinstance(model, Recurrent):
            state = traced.state
        elif isinstance(traced.output, tuple) and len(traced.output) == 2:
            state = traced.output[1]
        else:
            raise SizeError(
                f"The model {type(model).__name__} returned a {type(traced.output).__name__}; to be traced in chunks "
                "it has to return its output and the state to go on from."
            )
        yield traced


def _write(file: BinaryIO, chunks: Iterator[Trace], steps: int, axis: int) -> None:
    """Write a safetensors file: the length of the header, the header, and the tensors one after the other.

    The first axis of most tensors is time, so the part of each tensor in a chunk is contiguous in the file.
    """
    places: dict[str, int] = {}
    done = 0
    for traced in chunks:
        tensors = tensors_of(traced)
        if axis and OUTPUT in tensors:
            tensors[OUTPUT] = tensors[OUTPUT].transpose(0, axis)
        first = not places
        if first:
            places = _write_head(file, traced, tensors, steps)
        for name, tensor in tensors.items():
            if _in_time(name):
                file.seek(places[name] + done * tensor[:1].numel() * tensor.element_size())
                file.write(_raw(tensor))
            elif first:  # the states before the first step, and the memories
                file.seek(places[name])
                file.write(_raw(tensor))
        done += len(next(iter(traced.layers[0].inputs.values())))


def _in_time(name: str) -> bool:
    return not name.startswith((".before.", ".fresh.", ".banks.", ".extents."))


def _write_head(file: BinaryIO, trace: Trace, tensors: dict[str, Tensor], steps: int) -> dict[str, int]:
    """Write the header; return the position of each tensor in the file."""
    head: dict[str, Any] = {"__metadata__": metadata_of(trace)}
    offset = 0
    # Wide types first, so that each tensor is aligned to its own element size.
    for name, tensor in sorted(tensors.items(), key=lambda pair: -pair[1].element_size()):
        shape = (steps, *tensor.shape[1:]) if _in_time(name) else tuple(tensor.shape)
        size = torch.Size(shape).numel() * tensor.element_size()
        head[name] = {"dtype": _TYPES[tensor.dtype], "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    file.write(struct.pack("<Q", len(text)) + text)
    begin = 8 + len(text)
    return {name: begin + told["data_offsets"][0] for name, told in head.items() if name != "__metadata__"}


def _raw(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()
