"""An account of how a step would be run, without running it."""

from dataclasses import replace

from gatework.errors import KernelError
from gatework.kernels.backend import Account
from gatework.kernels.call import Call
from gatework.kernels.door import launch
from gatework.kernels.door.backends import BACKENDS


def account(call: Call, backend: str, differentiated: bool) -> Account:
    """Say how a call would be run. Code for it is made ready, as the first call would do.

    Args:
        call: The call; the values of its tensors do not matter.
        backend: A row of :data:`gatework.kernels.CHOICES`.
        differentiated: Whether a gradient will be asked for.

    Returns:
        The account.
    """
    if backend == "auto":
        return _chosen(call, differentiated)
    dtype = str(call.inputs[0].dtype).removeprefix("torch.")
    try:
        reason = BACKENDS[backend].refuses(call)
        if reason is not None:
            reason = f"backend={backend!r} was chosen, which cannot run this: {reason}"
            return Account("none", reason, dtype, kept=0)
        told = BACKENDS[backend].account(call, differentiated)
    except KernelError as error:
        return Account("none", str(error), dtype, kept=0)
    return replace(told, reason=told.reason or "it was chosen by hand")


def _chosen(call: Call, differentiated: bool) -> Account:
    """Say what ``auto`` takes, and why none of those before it."""
    try:
        chosen, refused = launch.choose(call)
        told = chosen.account(call, differentiated)
    except KernelError as error:
        told = BACKENDS["reference"].account(call, differentiated)
        return replace(told, reason=str(error))
    return replace(told, reason=told.reason or refused[0][1], refused=refused)
