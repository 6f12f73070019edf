"""Explain a run by kernels: threads, registers, the origin of the code, and the saved tensors."""

from gatework.kernels.backend import Account
from gatework.kernels.call import Call
from gatework.kernels.cpu import cache, checkpoints
from gatework.kernels.cpu.build import object_key
from gatework.kernels.cpu.hoisting import hoisted, hoisted_texts
from gatework.kernels.cpu.kernel import generate, is_compiled, kernel_for
from gatework.kernels.cpu.rows import even_rows
from gatework.kernels.cpu.workspace import Sized, Workspace, sized
from gatework.kernels.llvm.target import host
from gatework.kernels.planning.plan import Plan
from gatework.kernels.planning.planned import plans
from gatework.kernels.planning.spec import Spec, read_spec, write_spec


def account(call: Call, differentiated: bool, reason: str) -> Account:
    """Explain how kernels would run a call. This prepares the kernels, as the first call would do.

    Args:
        call: The call; the values of its tensors do not matter.
        differentiated: Whether a gradient will be needed.
        reason: Why kernels run it.

    Raises:
        KernelError: If no kernel can be made for the equations.
    """
    once = ", ".join(hoisted_texts(call))
    call = hoisted(call)
    keep = call.memory if differentiated else "nothing"
    spec = read_spec(write_spec(call.step, call.drawn, False, keep, call.lines, ()))
    plan, *_ = plans(spec)
    dtype = call.inputs[0].dtype
    name = str(dtype).removeprefix("torch.")
    target, origin = host(), _origin(plan, name)
    steps, rows = call.inputs[0].shape[:2]
    # A size that no tensor from outside has may have any value.
    sizes = dict.fromkeys(call.step.size_keys, call.state[0].shape[-1]) | call.sizes
    sizes |= {f"positions_{place}": call.bank(place).shape[1] for place in call.step.places}
    known = sized(kernel_for(plan, name), sizes)
    work = Workspace(known, even_rows(1, rows, False), dtype, rows, False, ())
    by_units = bool(work.table.numbers[known.kernel.slots["split"]])
    return Account(
        "cpu",
        reason,
        name,
        kept=_saved(spec, known, steps, rows) * dtype.itemsize,
        threads=work.threads,
        shared="" if work.threads == 1 else "units" if by_units else "rows",
        level=target.level,
        bits=target.bits,
        lanes=target.lanes(name),
        kernel=origin,
        notes=(("once", f"{once}, for all steps, by torch's operators"),) if once else (),
    )


def _saved(spec: Spec, known: Sized, steps: int, rows: int) -> int:
    """Count the numbers that a forward pass saves for the backward pass."""
    if spec.keep == "nothing":
        return 0
    if spec.checkpointed:
        return checkpoints.count(steps, rows) * rows * sum(known.size(state) for state in spec.states)
    stored = (2 + steps) * rows * sum(known.width(state) for state in spec.states)
    return stored + steps * rows * sum(known.width(name) for name in spec.saved)


def _origin(plan: Plan, dtype: str) -> str:
    """Say where a kernel's code comes from."""
    if is_compiled(plan, dtype):
        return "compiled in this process"
    if cache.read(object_key(generate(plan, host(), dtype).text, host())) is not None:
        return "on disk, compiled by an earlier process"
    return "not compiled until now"
