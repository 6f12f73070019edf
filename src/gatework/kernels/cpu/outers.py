"""Gradients of matrices: products over steps and rows, added up chunk by chunk.

Both operands are laid out anew for a chunk: the left one turned, so that each of its units runs along time, the right
one in panels. Then they are what tiles take, and the gradient is made in the shape its parameter has.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gatework.kernels.arithmetic import upper_blocks
from gatework.kernels.cpu.execute import Runner
from gatework.language.nodes import Name, Node, Outer

Jobs = NDArray[np.int64]
_JOBS_A_THREAD = 4  # enough for threads to end together
_START, _STOP, _DEPTH = 3, 4, 7  # places in the jobs


class Outers:
    """The gradients of a kernel's matrices.

    Args:
        run: The run of the adjoint's kernel.
        outers: For each gradient that is wanted, the outer products whose sum it is.
        longest: The most steps and rows of a chunk.
    """

    def __init__(self, run: Runner, outers: Iterable[tuple[str, tuple[Outer, ...]]], longest: int) -> None:
        kernel = run.sized.kernel
        self.run = run
        self.bytes = run.table.bytes
        self.lanes = kernel.target.lanes(kernel.dtype)
        self.panel = self.lanes * kernel.target.tile_vectors
        # Rows a power of two apart would all fall into the same few places of the cache.
        self.depth = -(-longest // self.lanes) * self.lanes + self.lanes
        self.longest = longest
        self.gradients: dict[str, Tensor] = {}
        self.masks: dict[str, int] = {}  # gradients of block-upper matrices, and their blocks
        self._turned: dict[str, Tensor] = {}
        self._panels: dict[tuple[str, int], Tensor] = {}
        self._turns: list[tuple[str, list[int]]] = []
        self._gathers: list[tuple[str, list[int]]] = []
        products: list[list[int]] = []
        for name, terms in outers:
            for term in terms:
                products += self._term(name, term)
        self._products = np.array(products, np.int64).reshape(-1, 8)

    def add(self, start: int, stop: int) -> None:
        """Add what a chunk of flat rows contributes."""
        if not len(self._products):
            return
        run, threads = self.run, self.run.threads
        run.table.jobs("turn", self._placed(self._turns, start, stop), threads)
        run.table.jobs("panel", self._placed(self._gathers, start, stop), threads)
        self._products[:, _DEPTH] = stop - start
        run.table.jobs("outer", self._products, threads)

    def finish(self) -> dict[str, Tensor]:
        """Give the gradients; what a structured matrix never reads has none."""
        for name, blocks in self.masks.items():
            self.gradients[name] = upper_blocks(self.gradients[name], blocks)
        return self.gradients

    def _placed(self, jobs: list[tuple[str, list[int]]], start: int, stop: int) -> Jobs:
        """Fill in where operands lie now; chunks reuse their room."""
        filled = np.array([job for _, job in jobs], np.int64)
        places = np.array([self.run.table.places[name] for name, _ in jobs], np.int64)
        filled[:, 0] += places[:, 0]
        filled[:, 1:3] = places[:, 1:]
        filled[:, _START], filled[:, _STOP] = start, stop
        return filled

    def _term(self, name: str, term: Outer) -> list[list[int]]:
        """Plan the jobs of one outer product."""
        rows, columns = self.run.sized.size(_name(term.left)), self.run.sized.size(_name(term.right))
        blocks = term.blocks if term.structure == "block_diagonal" else 1
        if term.structure == "block_upper":
            self.masks[name] = term.blocks
        rows, columns = rows // blocks, columns // blocks
        if name not in self.gradients:
            self.gradients[name] = self.run.like.new_zeros(rows * blocks, columns)
        gradient = self.gradients[name]
        left, right = self._left(_name(term.left)), self._right(_name(term.right), blocks)
        jobs = []
        count = -(-columns // self.panel)
        parts = min(rows, max(1, -(-_JOBS_A_THREAD * self.run.threads // (count * blocks))))
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
                            gradient.data_ptr() + (first * gradient.stride(0) + panel * self.panel) * self.bytes,
                            gradient.stride(0),
                            0,
                        ]
                    )
        return jobs

    def _left(self, name: str) -> Tensor:
        """Have an operand turned in each chunk: [size, depth]."""
        if name not in self._turned:
            size = self.run.sized.size(name)
            room = self._turned[name] = self.run.like.new_empty(size, self.depth)
            for unit in range(0, size, self.lanes):
                target = room.data_ptr() + unit * self.depth * self.bytes
                count = min(self.lanes, size - unit)
                self._turns.append((name, [unit * self.bytes, 0, 0, 0, 0, count, target, self.depth]))
        return self._turned[name]

    def _right(self, name: str, blocks: int) -> Tensor:
        """Have an operand, or each of its blocks, laid out in panels: [panels, longest, numbers of a panel]."""
        if (name, blocks) not in self._panels:
            size = self.run.sized.size(name) // blocks
            count = -(-size // self.panel)
            room = self._panels[name, blocks] = self.run.like.new_empty(blocks * count, self.longest, self.panel)
            for block in range(blocks):
                for panel in range(count):
                    source = (block * size + panel * self.panel) * self.bytes
                    target = room[block * count + panel].data_ptr()
                    wide = min(self.panel, size - panel * self.panel)
                    self._gathers.append((name, [source, 0, 0, 0, 0, wide, target, self.panel]))
        return self._panels[name, blocks]


def _name(node: Node) -> str:
    assert isinstance(node, Name)  # the normal form has no other
    return node.name
