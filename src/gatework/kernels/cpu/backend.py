"""The CPU's kernels as a backend: machine code, made from the plans of any step for this machine."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from gatework.errors import ConfigError
from gatework.kernels.backend import Account, Level, Listing, only_the_reference
from gatework.kernels.call import Call, Result
from gatework.kernels.cpu import account, build, cache, fused, hoisting, streaming
from gatework.kernels.cpu.kernel import generate, kernel_for
from gatework.kernels.cpu.team import team
from gatework.kernels.llvm.target import host
from gatework.kernels.planning.plan import Plan
from gatework.kernels.planning.planned import explained_planning, plan_of, single_step
from gatework.kernels.planning.spec import read_spec, write_spec
from gatework.language.nodes import Step

_FLOATS = {torch.float32, torch.float64}


class Cpu:
    """The CPU's kernels; see :class:`gatework.kernels.backend.Backend`."""

    name = "cpu"

    def refuses(self, call: Call) -> str | None:
        """Say why no kernel can run a call; None if one can.

        Raises:
            KernelError: If no kernel can be made for the equations.
        """
        return only_the_reference(call) or _strange_tensors(call) or _strange_memories(call) or _not_recorded(call)

    def declines(self, call: Call) -> None:
        """Decline nothing."""
        return

    def because(self, call: Call) -> str:
        """Say why kernels run a call."""
        return "the type and the device are those of the kernels, and nothing is at work that they do not know"

    def run(self, call: Call) -> Result:
        """Run a call.

        Raises:
            KernelError: If no kernel can be made for the equations.
        """
        return fused.run(call)

    def account(self, call: Call, differentiated: bool) -> Account:
        """Say how a call would run. This prepares the kernel, as the first call would do.

        Raises:
            KernelError: If no kernel can be made for the equations.
        """
        return account.account(call, differentiated, self.because(call))

    def refuses_stream(self, levels: Sequence[Level], batch: int, like: Tensor) -> str | None:
        """Say why no kernels can take a stack step by step; None if they can."""
        reasons = (self.refuses(level.call(batch, like)) for level in levels)
        return next((reason for reason in reasons if reason is not None), None)

    def stream(self, levels: Sequence[Level], batch: int, like: Tensor, output: Tensor) -> streaming.Chain:
        """Prepare a stack to run step by step.

        Raises:
            KernelError: If no kernel can be made for the equations.
        """
        dtype = str(like.dtype).removeprefix("torch.")
        links = [
            streaming.Link(
                kernel_for(_single_step(write_spec(level.step, False, False, "nothing", (), ())), dtype),
                {parameter.name: level.weights[parameter.name] for parameter in level.step.parameters},
                level.sizes,
                level.inputs,
            )
            for level in levels
        ]
        return streaming.Chain(links, batch, like, output)

    def listing(self, step: Step, which: str, form: str, dtype: str) -> Listing:
        """Write the code of one of a step's passes for this machine.

        Raises:
            ConfigError: If kernels support none of this machine's vector units.
        """
        target = host()
        text = generate(plan_of(step, which), target, dtype).text
        return Listing(target.level, build.assembly_of(text, target) if form == "assembly" else text)

    def describe(self) -> dict[str, Any]:
        """Describe what kernels find here: a vector unit, threads, and a folder on disk."""
        try:
            level = host().level
        except ConfigError:  # none of the supported units
            level = None
        place = cache.look()
        return {
            "kernels": level,
            "kernel_threads": team().why(),
            "kernel_cache": None if place.folder is None else str(place.folder),
            "kernel_cache_trouble": place.trouble,
            "kernel_cache_files": place.files,
            "kernel_cache_size": place.bytes,
        }

    def advise(self, report: Mapping[str, Any]) -> list[str]:
        """Say what would make kernels run, or run better."""
        if report["kernels"] is None:
            return [
                "Kernels know none of this processor's vector units, so layers run on torch's operations, which is "
                "slower."
            ]
        if report["kernel_cache_trouble"] and cache.OWNERS_ARE_KNOWN:
            return [
                f"Kernels are compiled anew in each process, as none are kept on disk: "
                f"{report['kernel_cache_trouble']}; see {cache.VARIABLE}."
            ]
        return []


def _strange_tensors(call: Call) -> str | None:
    """Say which tensors kernels cannot read; None if there are none."""
    kinds = {one.dtype for one in (*call.inputs, *call.state)}
    devices = {one.device.type for one in call.inputs}
    if devices != {"cpu"}:
        told = ", ".join(sorted(devices))
        return f"the input is on {told}, and kernels run on the CPU: move layer and input with .to('cpu')"
    if len(kinds) > 1:
        return f"input and state are of different types, {_spelt(kinds)}: convert one of them"
    if not kinds <= _FLOATS:
        return f"the type is {_spelt(kinds)}, and kernels compute in {_spelt(_FLOATS)}: convert layer and input"
    if not call.inputs[0].numel():
        return "the input is empty: there is nothing to compute"
    if torch.is_autocast_enabled("cpu"):
        return "autocast is on, and lowers the type: leave torch.autocast"
    return None


def _strange_memories(call: Call) -> str | None:
    """Say why the memories of a call need the reference."""
    if not call.step.memories:
        return None
    if torch.compiler.is_compiling():
        return "torch.compile or torch.export is at work, and the cell reads a memory: the reference is compiled"
    like = call.state[0]
    if any(type(one) not in (Tensor, nn.Parameter) or one.device != like.device for one in call.banks):
        return "a memory is no plain tensor on the CPU: move it with .to('cpu')"
    if any(one.dtype != like.dtype for one in call.banks):
        return "memory and state are of different types: convert one of them"
    if any(not one.numel() for one in call.banks):
        return "a memory is empty: there is nothing to go over"
    return hoisting.refusal(call.step, call.lines)


def _not_recorded(call: Call) -> str | None:
    """Say which recorded name has no value at each step in a kernel; None if there is none."""
    if call.record and not fused.can_record(hoisting.lowered_step(call), call.draws is not None, call.record):
        wanted = ", ".join(call.record)
        return f"what is recorded ({wanted}) has a part that is constant in a kernel: record less"
    return None


def _spelt(kinds: Iterable[torch.dtype]) -> str:
    return " and ".join(sorted(str(kind).removeprefix("torch.") for kind in kinds))


@lru_cache(maxsize=512)
def _single_step(text: str) -> Plan:
    """Return the plan of a single step. It is the same object for the same step, because kernels are keyed by plans."""
    spec = read_spec(text)
    with explained_planning(spec):
        return single_step(spec.recipe.inference)
