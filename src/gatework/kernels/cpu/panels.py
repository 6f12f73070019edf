"""The weights of a stage, as tiles read them: for each block of units, its columns side by side, k by k."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatework.kernels.cpu.kernel import Kernel
from gatework.kernels.planning.plan import ProductGroup, Segment, Stage
from gatework.kernels.reference.arithmetic import upper_blocks

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Panels:
    """The layout of the packed panels of one group.

    Args:
        spans: For each block of units: the start of its panels, their depth, and for each segment the start of k
            and the number of k. int64 [blocks, 2 + 2 * segments].
        size: The number of numbers in all panels.
        jobs: The jobs of ``@pack``, with addresses in numbers from the start of the matrix and of the panels.
        matrices: For each job, the matrix that it reads, as an index into ``names``.
        names: The matrices, each with its structure and its number of blocks.
    """

    spans: Numbers
    size: int
    jobs: Numbers
    matrices: Numbers
    names: tuple[tuple[str, str, int], ...]


def lay_out_panels(
    kernel: Kernel, number: int, group: ProductGroup, sizes: Mapping[str, int], columns: Mapping[str, int]
) -> Panels:
    """Plan the layout of a group's weights.

    Args:
        kernel: The kernel.
        number: The stage.
        group: The group.
        sizes: The value of each size key.
        columns: The number of columns of each matrix in dense form.

    Returns:
        The layout.
    """
    stage = kernel.plan.stages[number]
    units, block = sizes[stage.size], kernel.blocks[number]
    lanes = kernel.target.lanes(kernel.dtype)
    width = kernel.target.tile_vectors * lanes
    blocks = -(-units // block)
    names: dict[tuple[str, str, int], int] = {}
    spans, jobs, matrices, begin = [], [], [], 0
    for index in range(blocks):
        ranges = [
            _range(part, index * block, min(units, (index + 1) * block), units, _depth(kernel, part, sizes))
            for part in group.segments
        ]
        depth = sum(stop - start for start, stop in ranges)
        spans.append([begin, depth, *(number for start, stop in ranges for number in (start, stop - start))])
        for place, matrix_names in enumerate(group.matrices):
            for vector in range(block // lanes):
                column = place * (block // lanes) + vector
                panel, lane = divmod(column, kernel.target.tile_vectors)
                unit = index * block + vector * lanes
                count = max(0, min(lanes, units - unit))
                target = begin + panel * depth * width + lane * lanes
                for part, (start, stop), name in zip(group.segments, ranges, matrix_names, strict=True):
                    stored = (name, part.structure, part.blocks)
                    matrix = names.setdefault(stored, len(names))
                    stride = columns[name]
                    steps = (1, stride) if part.transposed else (stride, 1)
                    source = unit * steps[0] + start * steps[1] if count else 0
                    jobs.append([source, *steps, count, stop - start, target, width])
                    matrices.append(matrix)
                    target += (stop - start) * width
        begin += depth * width * (len(group.sums) * (block // lanes) // kernel.target.tile_vectors)
    return Panels(
        np.array(spans, np.int64), begin, np.array(jobs, np.int64), np.array(matrices, np.int64), tuple(names)
    )


def _depth(kernel: Kernel, part: Segment, sizes: Mapping[str, int]) -> int:
    return sizes[kernel.plan.sizes_of[part.operand.name]]


def _range(part: Segment, first: int, last: int, units: int, depth: int) -> tuple[int, int]:
    """Return the range of k that a block of units reads."""
    if part.structure == "dense":
        return 0, depth
    low, high = first * part.blocks // units, (last - 1) * part.blocks // units
    inside = depth // part.blocks
    if part.structure == "block_diagonal":
        return low * inside, (high + 1) * inside
    return (0, (high + 1) * inside) if part.transposed else (low * inside, depth)


def dense(matrix: Tensor, structure: str, blocks: int) -> Tensor:
    """Expand a structured matrix to a dense one, filled with zeros; the result is contiguous."""
    if structure == "block_diagonal":
        matrix = torch.block_diag(*matrix.chunk(blocks))
    elif structure == "block_upper":
        matrix = upper_blocks(matrix, blocks)
    return readable(matrix)


def readable(tensor: Tensor, rows: bool = False) -> Tensor:
    """Return a tensor that can be read by its address alone: contiguous, with its signs in memory.

    Args:
        tensor: Any real tensor on the CPU. It may be expanded, transposed, a slice, or have torch's negative bit,
            as the imaginary part of a conjugate does.
        rows: Whether contiguous rows [size] are enough, because the reader knows the distance between rows.

    Returns:
        The tensor itself if it has this form, else a copy.
    """
    tensor = tensor.resolve_neg()
    if rows and (tensor.shape[1] < 2 or tensor.stride(1) == 1):
        return tensor
    return tensor.contiguous()


def stage_columns(kernel: Kernel, stage: Stage, sizes: Mapping[str, int]) -> dict[str, int]:
    """Return the number of columns of each matrix of a stage, in dense form."""
    columns = {}
    for group in stage.groups:
        for matrices in group.matrices:
            for part, name in zip(group.segments, matrices, strict=True):
                key = stage.size if part.transposed else kernel.plan.sizes_of[part.operand.name]
                columns[name] = sizes[key]
    return columns
