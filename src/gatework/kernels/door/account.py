"""Explain how a step would run, without running it."""

from dataclasses import replace

from gatework.errors import KernelError
from gatework.kernels.backend import Account
from gatework.kernels.call import Call
from gatework.kernels.door import launch
from gatework.kernels.door.backends import BACKENDS


def account(call: Call, backend: str, differentiated: bool) -> Account:
    """Explain how a call would run. This prepares its code, as the first call would do.

    Args:
        call: The call; the values of its tensors do not matter.
        backend: A row of :data:`gatework.kernels.CHOICES`.
        differentiated: Whether a gradient will be needed.

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
    """Explain what ``auto`` takes, and why it takes none of the backends before."""
    try:
        chosen, refused = launch.choose(call)
        told = chosen.account(call, differentiated)
    except KernelError as error:
        told = BACKENDS["reference"].account(call, differentiated)
        return replace(told, reason=str(error))
    return replace(told, reason=told.reason or refused[0][1], refused=refused)
