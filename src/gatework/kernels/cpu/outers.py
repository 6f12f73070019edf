"""Gradients of matrices: products over steps and rows, added up chunk by chunk.

Both operands are laid out again for each chunk: the left one transposed, so that each unit is contiguous in time, and
the right one in panels. Tiles can then multiply them, and the gradient has the shape of its parameter.
"""

import weakref
from collections.abc import Iterable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gatework.kernels.cpu.workspace import Workspace
from gatework.language.nodes import Name, Node, Outer

Jobs = NDArray[np.int64]
_JOBS_A_THREAD = 4  # enough that all threads finish together
_START, _STOP, _DEPTH, _TARGET = 3, 4, 7, 5  # columns of the jobs


class Outers:
    """The gradients of a kernel's matrices, for one layout of a batch.

    Args:
        work: The workspace of the adjoint's kernel.
        outers: For each needed gradient, the outer products in its sum.
        strides: For each of them, the distance between its rows, in numbers.
    """

    def __init__(
        self, work: Workspace, outers: Iterable[tuple[str, tuple[Outer, ...]]], strides: Mapping[str, int]
    ) -> None:
        kernel = work.sized.kernel
        # The workspace holds this object for its own lifetime. A reference cycle would keep the memory of both until
        # Python collects cycles, perhaps hundreds of steps of other lengths later.
        self.work: Workspace = weakref.proxy(work)
        self.bytes = work.table.bytes
        self.lanes = kernel.target.lanes(kernel.dtype)
        self.panel = self.lanes * kernel.target.tile_vectors
        # Rows a power of two apart would all share the same few places of the cache.
        self.depth = -(-work.longest // self.lanes) * self.lanes + self.lanes
        self._rooms: dict[tuple[str, int], Tensor] = {}
        self._turns: list[tuple[str, list[int]]] = []
        self._gathers: list[tuple[str, list[int]]] = []
        products: list[list[int]] = []
        self._names: list[str] = []  # the gradient that each product adds to
        for name, terms in outers:
            for term in terms:
                jobs = self._term(term, strides[name])
                self._names += [name] * len(jobs)
                products += jobs
        self._products = np.array(products, np.int64).reshape(-1, 8)
        self._offsets = self._products[:, _TARGET].copy()
        self._turn_jobs, self._turned = self._template(self._turns)
        self._gather_jobs, self._gathered = self._template(self._gathers)
        jobs = (self._products, self._offsets, self._turn_jobs, self._gather_jobs)
        self.held = sum(one.nbytes for one in (*jobs, *self._rooms.values()))  # bytes

    def into(self, gradients: Mapping[str, Tensor]) -> None:
        """Set the tensors that gradients are added to."""
        self.work.table.know("operands", self._rooms.values())
        self.work.table.know("gradients", gradients.values())
        places = {name: tensor.data_ptr() for name, tensor in gradients.items()}
        if len(self._products):
            self._products[:, _TARGET] = self._offsets + np.array([places[name] for name in self._names], np.int64)

    def add(self, start: int, stop: int) -> None:
        """Add the contribution of a chunk of flat rows."""
        if not len(self._products):
            return
        table, threads = self.work.table, self.work.threads
        table.jobs("turn", self._placed(self._turn_jobs, self._turned, start, stop), threads)
        table.jobs("panel", self._placed(self._gather_jobs, self._gathered, start, stop), threads)
        self._products[:, _DEPTH] = stop - start
        table.jobs("outer", self._products, threads)

    @staticmethod
    def _template(jobs: list[tuple[str, list[int]]]) -> tuple[Jobs, tuple[list[str], NDArray[np.int64]]]:
        names = list(dict.fromkeys(name for name, _ in jobs))
        which = np.array([names.index(name) for name, _ in jobs], np.int64)
        return np.array([job for _, job in jobs], np.int64).reshape(-1, 8), (names, which)

    def _placed(self, template: Jobs, operands: tuple[list[str], NDArray[np.int64]], start: int, stop: int) -> Jobs:
        """Fill in where the operands are for this chunk; chunks share the operands' memory."""
        names, which = operands
        places = np.array([self.work.table.places[name] for name in names], np.int64)[which]
        filled = template.copy()
        filled[:, 0] += places[:, 0]
        filled[:, 1:3] = places[:, 1:]
        filled[:, _START], filled[:, _STOP] = start, stop
        return filled

    def _term(self, term: Outer, stride: int) -> list[list[int]]:
        """Plan the jobs of one outer product, with targets as byte offsets from the gradient's start."""
        rows, columns = self.work.sized.size(_name(term.left)), self.work.sized.size(_name(term.right))
        blocks = term.blocks if term.structure == "block_diagonal" else 1
        rows, columns = rows // blocks, columns // blocks
        left, right = self._left(_name(term.left)), self._right(_name(term.right), blocks)
        jobs = []
        count = -(-columns // self.panel)
        parts = min(rows, max(1, -(-_JOBS_A_THREAD * self.work.threads // (count * blocks))))
        for block in range(blocks):
            for part in range(parts):
                first, last = block * rows + rows * part // parts, block * rows + rows * (part + 1) // parts
                for panel in range(count):
                    jobs.append(
                        [
                            left.data_ptr() + first * self.depth * self.bytes,
                            self.depth,
                            last - first,
                            right[block * count + panel].data_ptr(),
                            min(self.panel, columns - panel * self.panel),
                            (first * stride + panel * self.panel) * self.bytes,
                            stride,
                            0,
                        ]
                    )
        return jobs

    def _left(self, name: str) -> Tensor:
        """Have an operand transposed in each chunk: [size, depth]."""
        if (name, 0) not in self._rooms:
            size = self.work.sized.size(name)
            room = self._rooms[name, 0] = torch.empty(size, self.depth, dtype=self.work.dtype, device="cpu")
            for unit in range(0, size, self.panel):
                target = room.data_ptr() + unit * self.depth * self.bytes
                count = min(self.panel, size - unit)
                self._turns.append((name, [unit * self.bytes, 0, 0, 0, 0, count, target, self.depth]))
        return self._rooms[name, 0]

    def _right(self, name: str, blocks: int) -> Tensor:
        """Have an operand, or each of its blocks, laid out in panels: [panels, longest, numbers of a panel]."""
        if (name, blocks) not in self._rooms:
            size = self.work.sized.size(name) // blocks
            count = -(-size // self.panel)
            room = torch.empty(blocks * count, self.work.longest, self.panel, dtype=self.work.dtype, device="cpu")
            self._rooms[name, blocks] = room
            for block in range(blocks):
                for panel in range(count):
                    source = (block * size + panel * self.panel) * self.bytes
                    target = room[block * count + panel].data_ptr()
                    wide = min(self.panel, size - panel * self.panel)
                    self._gathers.append((name, [source, 0, 0, 0, 0, wide, target, self.panel]))
        return self._rooms[name, blocks]


def _name(node: Node) -> str:
    assert isinstance(node, Name)  # the normal form has no other operands
    return node.name
