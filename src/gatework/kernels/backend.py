"""What a backend is: whatever can run a step over a whole sequence, and say beforehand whether it can.

The backends that there are stand in :data:`gatework.kernels.door.backends.BACKENDS`. What they compute is what the
reference computes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from gatework.kernels.call import Call, Result
from gatework.kernels.weights import Weights
from gatework.language.nodes import Step


@dataclass(frozen=True)
class Account:
    """How a step would be run.

    Args:
        backend: A row of :data:`gatework.kernels.BACKENDS`; ``none`` where what was chosen by hand cannot run.
        reason: Why, and what to change where it is not the CPU's kernels.
        dtype: The type of the numbers.
        refused: The backends that were asked before this one, each with its reason.
        kept: Bytes that a forward pass saves for the backward pass; 0 where no gradient is asked for, None where
            autograd decides.
        threads: How many threads share the work; 0 where torch decides.
        shared: What they share, ``rows`` of the batch or ``units`` of the layer; empty for one thread.
        level: The vector unit; empty without compiled code.
        bits: The width of its registers.
        lanes: How many numbers a register holds.
        kernel: Where compiled code comes from: compiled already, on disk, or to be compiled; empty without.
        notes: What else a backend says of this run, pairs of a word and a sentence.
    """

    backend: str
    reason: str
    dtype: str
    refused: tuple[tuple[str, str], ...] = ()
    kept: int | None = None
    threads: int = 0
    shared: str = ""
    level: str = ""
    bits: int = 0
    lanes: int = 0
    kernel: str = ""
    notes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Listing:
    """The code that a backend makes of a step.

    Args:
        level: The machine it is for, such as ``avx2``.
        text: The code.
    """

    level: str
    text: str


@dataclass(frozen=True)
class Level:
    """A layer of a stack that goes step by step.

    Args:
        step: Its equations.
        weights: Its parameters.
        sizes: The size behind each key of the step's sizes.
        inputs: For each of the step's inputs where it comes from: the number of an outer input, or a lower level and
            the name of one of its states, which is then this step's.
    """

    step: Step
    weights: Weights
    sizes: Mapping[str, int]
    inputs: Mapping[str, int | tuple[int, str]]

    def size(self, name: str) -> int:
        """Give the size of a named vector."""
        return self.sizes[self.step.sizes_of[name]]

    def call(self, batch: int, like: Tensor) -> Call:
        """Give a call of one step of the level, whose values do not matter."""
        return Call(
            self.step,
            self.weights,
            tuple(like.new_empty(1, batch, self.size(name)) for name in self.step.inputs),
            tuple(like.new_empty(batch, self.size(name)) for name in self.step.states),
        )


class Chain(Protocol):
    """A stack of layers that goes step by step and keeps its own state.

    Attributes:
        output: Where each step puts the output, [B, H].
        threads: How many threads run each level; empty where torch decides.
        entry: The machine code of a step and its first argument, for a single outer input that is read where it lies:
            called with that argument and the address of a contiguous input [B, size]. None where there is none.
    """

    output: Tensor
    threads: list[int]

    @property
    def entry(self) -> "tuple[Any, int] | None":
        """See the class."""
        ...

    def state(self, number: int) -> dict[str, Tensor]:
        """Give the states of a level, [B, size]; they may be written to until the next step."""
        ...

    def step(self, inputs: Sequence[Tensor]) -> None:
        """Go a step, given the outer inputs, [B, size] each."""
        ...


class Backend(Protocol):
    """Something that can run a step over a whole sequence.

    A reason is a clause without a capital and a stop, such as ``the input is on cuda, and ...: move it``: what was
    found and, after a colon, what to change.

    Attributes:
        name: Its name in the table of backends.
    """

    name: str

    def refuses(self, call: Call) -> str | None:
        """Say why this backend cannot run a call; None where it can.

        Nothing may be asked here of the values of tensors: torch's compiler traces it.

        Raises:
            KernelError: For equations of which no code can be made.
        """
        ...

    def declines(self, call: Call) -> str | None:
        """Say why ``auto`` passes this backend by for a call that it can run; None where it takes it."""
        ...

    def because(self, call: Call) -> str:
        """Say why this backend runs a call that it does not refuse; empty where it is only what is left."""
        ...

    def run(self, call: Call) -> Result:
        """Run a call that is not refused.

        Raises:
            KernelError: Where code for it cannot be made.
        """
        ...

    def account(self, call: Call, differentiated: bool) -> Account:
        """Say how a call that is not refused would be run; its values do not matter.

        Args:
            call: The call.
            differentiated: Whether a gradient will be asked for.

        Raises:
            KernelError: Where code for it cannot be made.
        """
        ...

    def refuses_stream(self, levels: Sequence[Level], batch: int, like: Tensor) -> str | None:
        """Say why this backend cannot take a stack step by step; None where it can.

        Raises:
            KernelError: As for :meth:`refuses`.
        """
        ...

    def stream(self, levels: Sequence[Level], batch: int, like: Tensor, output: Tensor) -> Chain:
        """Prepare a stack to go step by step, its states zero.

        Args:
            levels: The layers, lowest first.
            batch: B.
            like: A tensor of the type and on the device of all.
            output: Where the output goes, [B, H].

        Raises:
            KernelError: Where code for it cannot be made.
        """
        ...

    def listing(self, step: Step, which: str, form: str, dtype: str) -> Listing:
        """Write the code of one of a step's passes, as text to read.

        Args:
            step: The checked equations.
            which: A row of :data:`gatework.kernels.planning.planned.PASSES_OF_A_CELL`.
            form: ``llvm`` or ``assembly``.
            dtype: The type of the numbers.

        Raises:
            ConfigError: Where there is no such code.
        """
        ...

    def describe(self) -> dict[str, Any]:
        """Say what this backend finds on this machine: plain values by name, for ``gatework doctor``."""
        ...

    def advise(self, report: Mapping[str, Any]) -> list[str]:
        """Say what would help, given what :meth:`describe` told, as sentences for ``gatework doctor``."""
        ...


def only_the_reference(call: Call) -> str | None:
    """Say what is at work that no backend but the reference can do; None where nothing is.

    What is asked of a tensor under ``torch.jit.trace`` is written into the trace, so a backend calls this first.
    """
    if torch.jit.is_tracing():
        return "torch.jit.trace is at work, which cannot look into kernels: use torch.compile or torch.export"
    if torch._C._are_functorch_transforms_active():
        return "a transformation of torch.func (vmap, jvp, ...) is at work, which kernels do not know"
    if torch.autograd.forward_ad._current_level >= 0:
        return "gradients are taken forward (forward_ad), for which there are no kernels: use backward()"
    if call.step.outputs:
        return "the step is an adjoint, and kernels take a forward step"
    return None
