"""Torch's own fused operators as a backend, for the steps that they compute."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gatework.errors import ConfigError
from gatework.kernels.backend import Account, Chain, Level, Listing, only_the_reference
from gatework.kernels.call import Call, Result
from gatework.kernels.library.recognise import Match, recognised
from gatework.kernels.library.run import run
from gatework.language.nodes import Step

_WHOLE = "torch's operators take whole sequences, and a single step costs no less than with the reference"


class Library:
    """Torch's own operators, on whatever device they run; see :class:`gatework.kernels.backend.Backend`."""

    name = "library"

    def refuses(self, call: Call) -> str | None:
        """Say why no operator of torch can run a call; None if one can."""
        if (reason := only_the_reference(call)) is not None:
            return reason
        if torch.compiler.is_compiling():
            return "torch.compile or torch.export is at work, which takes the reference apart and fuses it itself"
        if call.step.memories:
            return "the cell reads a memory, and none of torch's operators does"
        match = recognised(call.step, call.drawn)
        if isinstance(match, str):
            return match
        return _refuses_step(call) or _refuses_tensors(call, match)

    def declines(self, call: Call) -> str | None:
        """Leave the CPU to its own kernels and to the reference."""
        if call.inputs[0].device.type == "cpu":
            return "the input is on the CPU, where torch's operators run only if backend='library' asks for them"
        return None

    def because(self, call: Call) -> str:
        """Name the operator that runs a call."""
        match = recognised(call.step, call.drawn)
        name = match.operator.name if isinstance(match, Match) else ""
        return f"the equations are those of torch's own operator {name}"

    def run(self, call: Call) -> Result:
        """Run a call that this backend does not refuse."""
        match = recognised(call.step, call.drawn)
        if isinstance(match, str):
            raise ConfigError(f"backend='library' cannot run this: {match}.")
        return run(call, match)

    def account(self, call: Call, differentiated: bool) -> Account:
        """Say how a call would run."""
        dtype = call.inputs[0].dtype
        return Account(
            self.name,
            self.because(call),
            str(dtype).removeprefix("torch."),
            kept=None if differentiated else 0,
            notes=self.notes(call.inputs[0].device.type, dtype),
        )

    @staticmethod
    def notes(device: str, dtype: torch.dtype) -> tuple[tuple[str, str], ...]:
        """Say in which precision torch multiplies, if it is not the precision of the type."""
        settings: Any = torch.backends.cudnn.rnn  # setting allow_tf32 changes this too
        if device != "cuda" or dtype != torch.float32 or settings.fp32_precision != "tf32":
            return ()
        told = "TF32: products keep 10 of a float32's 23 bits; torch.backends.cudnn.allow_tf32 = False keeps all"
        return (("numbers", told),)

    def refuses_stream(self, levels: Sequence[Level], batch: int, like: Tensor) -> str | None:
        """Refuse every stack: there is nothing to gain."""
        return _WHOLE

    def stream(self, levels: Sequence[Level], batch: int, like: Tensor, output: Tensor) -> Chain:
        """Raise an error, because this backend refuses every stack.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(f"backend='library' cannot run this: {_WHOLE}.")

    def listing(self, step: Step, which: str, form: str, dtype: str) -> Listing:
        """Raise an error, because the code of torch's operators is not made here.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError("Torch's own operators are compiled already, and there is no code to show. Choose cpu.")

    def describe(self) -> dict[str, Any]:
        """Return nothing: torch's operators come with torch."""
        return {}

    def advise(self, report: Mapping[str, Any]) -> list[str]:
        """Give no advice."""
        return []


def _refuses_step(call: Call) -> str | None:
    """Say what the call needs and no operator does, whatever the tensors are."""
    if call.restart is not None:
        return "rows start anew within a sequence, and torch's operators start once: give each a row of its own"
    output = call.step.states[0]
    inner = [name for name in call.record if name != output and name not in call.step.inputs]
    if inner:
        names = ", ".join(inner)
        return f"what is recorded ({names}) stays inside of torch's operators, which give {output} alone: record less"
    return None


def _refuses_tensors(call: Call, match: Match) -> str | None:
    """Say why an operator cannot take the tensors of a call."""
    like = call.inputs[0]
    given = (like, *call.state, *call.weights.stacks({*call.weights.names()})[1])
    for one in given:
        if type(one) not in (Tensor, nn.Parameter):
            return f"there is a {type(one).__name__}, and torch's operators take plain tensors: give such"
    if any(one.dtype != like.dtype or one.device != like.device for one in given):
        kinds = {f"{str(one.dtype).removeprefix('torch.')} on {one.device}" for one in given}
        return f"input, state and weights are of {' and '.join(sorted(kinds))}: convert layer and input"
    if not like.is_floating_point():
        return f"the type is {str(like.dtype).removeprefix('torch.')}, and torch's operators take floating types"
    if torch.amp.is_autocast_available(like.device.type) and torch.is_autocast_enabled(like.device.type):
        return "autocast is on, and lowers the type: leave torch.autocast, or convert layer and input with .to()"
    if not like.numel() or not call.state[0].numel():
        return "the input is empty: there is nothing to compute"
    return _refuses_shapes(call, match)


def _refuses_shapes(call: Call, match: Match) -> str | None:
    """Say which weight does not have the shape that the input and the state need."""
    units, columns = call.state[0].shape[-1], call.inputs[0].shape[-1]
    biases = [name for names in (*match.bias_ih, *match.bias_hh) for name in names]
    wanted: list[tuple[Sequence[str], tuple[int, ...]]] = [
        (match.weight_ih, (units, columns)),
        (match.weight_hh, (units, units)),
        (biases, (units,)),
    ]
    for names, shape in wanted:
        for name in names:
            if call.weights.shape(name) != shape:
                return f"`{name}` has the shape {call.weights.shape(name)}, and input and state ask for {shape}"
    return None
