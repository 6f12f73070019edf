"""The protocol of a backend: it runs a step over a whole sequence, and says beforehand whether it can.

The table :data:`gatework.kernels.door.backends.BACKENDS` lists the backends. All of them compute the same as the
reference.
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
        backend: A row of :data:`gatework.kernels.BACKENDS`; ``none`` if the user chose one that cannot run it.
        reason: Why this backend runs it. If it is not the backend ``cpu``, also what to change.
        dtype: The type of the numbers.
        refused: The backends that were asked before this one, each with its reason.
        kept: The size in bytes of the saved tensors; 0 if no gradient is needed, None if
            autograd decides.
        threads: How many threads share the work; 0 if torch decides.
        shared: What the threads share: ``rows`` of the batch or ``units`` of the layer; empty for one thread.
        level: The vector unit; empty without compiled code.
        bits: The width of its registers.
        lanes: How many numbers a register holds.
        kernel: The origin of the compiled code: compiled already, on disk, or to be compiled; empty without code.
        notes: What else the backend says about this run, as pairs of a word and a sentence.
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
    """The code that a backend makes for a step.

    Args:
        level: The vector unit that the code is for, such as ``avx2``.
        text: The code.
    """

    level: str
    text: str


@dataclass(frozen=True)
class Level:
    """A layer of a stack that runs step by step.

    Args:
        step: Its equations.
        weights: Its parameters.
        sizes: The value of each key of the step's sizes.
        inputs: The source of each input of the step: the number of an outer input, or a lower level and
            the name of one of its states, whose value at this step is read.
    """

    step: Step
    weights: Weights
    sizes: Mapping[str, int]
    inputs: Mapping[str, int | tuple[int, str]]

    def size(self, name: str) -> int:
        """Return the size of a named vector."""
        return self.sizes[self.step.sizes_of[name]]

    def call(self, batch: int, like: Tensor) -> Call:
        """Return a call of one step of the level, with arbitrary values."""
        return Call(
            self.step,
            self.weights,
            tuple(like.new_empty(1, batch, self.size(name)) for name in self.step.inputs),
            tuple(like.new_empty(batch, self.size(name)) for name in self.step.states),
        )


class Chain(Protocol):
    """A stack of layers that runs step by step and keeps its own state.

    Attributes:
        output: The tensor that receives the output of each step, [B, H].
        threads: How many threads run each level; empty if torch decides.
        entry: The machine code of a step and its first argument, for a single outer input that is read in place.
            Call it with that argument and the address of a contiguous input [B, size]. None if there is none.
    """

    output: Tensor
    threads: list[int]

    @property
    def entry(self) -> "tuple[Any, int] | None":
        """The machine code of a step and its first argument; see the class."""
        ...

    def state(self, number: int) -> dict[str, Tensor]:
        """Return the states of a level, [B, size]. The caller may write to them until the next step."""
        ...

    def step(self, inputs: Sequence[Tensor]) -> None:
        """Run a step on the outer inputs, [B, size] each."""
        ...


class Backend(Protocol):
    """A backend runs a step over a whole sequence.

    A reason is a clause without a capital and a full stop, such as ``the input is on cuda, and ...: move it``. It says
    what is wrong and, after a colon, what to change.

    Attributes:
        name: Its name in the table of backends.
    """

    name: str

    def refuses(self, call: Call) -> str | None:
        """Say why this backend cannot run a call; None if it can.

        This method must not look at the values of tensors, because torch's compiler traces it.

        Raises:
            KernelError: If no code can be made for the equations.
        """
        ...

    def declines(self, call: Call) -> str | None:
        """Say why ``auto`` skips this backend for a call that it can run; None if ``auto`` takes it."""
        ...

    def because(self, call: Call) -> str:
        """Say why this backend runs a call that it does not refuse; empty if no other backend is left."""
        ...

    def run(self, call: Call) -> Result:
        """Run a call that this backend does not refuse.

        Raises:
            KernelError: If its code cannot be made.
        """
        ...

    def account(self, call: Call, differentiated: bool) -> Account:
        """Say how a call would run that this backend does not refuse. The values of its tensors do not matter.

        Args:
            call: The call.
            differentiated: Whether a gradient will be needed.

        Raises:
            KernelError: If its code cannot be made.
        """
        ...

    def refuses_stream(self, levels: Sequence[Level], batch: int, like: Tensor) -> str | None:
        """Say why this backend cannot run a stack step by step; None if it can.

        Raises:
            KernelError: As for :meth:`refuses`.
        """
        ...

    def stream(self, levels: Sequence[Level], batch: int, like: Tensor, output: Tensor) -> Chain:
        """Prepare a stack to go step by step, its states zero.

        Args:
            levels: The layers, lowest first.
            batch: B.
            like: A tensor with the type and on the device of all tensors.
            output: The tensor that receives the output, [B, H].

        Raises:
            KernelError: If its code cannot be made.
        """
        ...

    def listing(self, step: Step, which: str, form: str, dtype: str) -> Listing:
        """Write the code of one of a step's passes, as text for people.

        Args:
            step: The checked equations.
            which: A row of :data:`gatework.kernels.planning.planned.PASSES_OF_A_CELL`.
            form: ``llvm`` or ``assembly``.
            dtype: The type of the numbers.

        Raises:
            ConfigError: If there is no such code.
        """
        ...

    def describe(self) -> dict[str, Any]:
        """Describe what this backend finds on this machine: plain values by name, for ``gatework doctor``."""
        ...

    def advise(self, report: Mapping[str, Any]) -> list[str]:
        """Give advice for ``gatework doctor``, as sentences, from the report of :meth:`describe`."""
        ...


def only_the_reference(call: Call) -> str | None:
    """Say which mode of torch is active that only the reference supports; None if there is none.

    ``torch.jit.trace`` records every question about a tensor in its trace, so a backend calls this function first.
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
