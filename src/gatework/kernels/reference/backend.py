"""The reference as a backend: it refuses nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from gatework.errors import ConfigError
from gatework.kernels.backend import Account, Level, Listing
from gatework.kernels.call import Call, Result
from gatework.kernels.reference import run as reference
from gatework.kernels.reference.chain import ReferenceChain
from gatework.language.nodes import Step


class Reference:
    """Torch's own operations, step after step; see :class:`gatework.kernels.backend.Backend`."""

    name = "reference"

    def refuses(self, call: Call) -> None:
        """Refuse nothing."""
        return

    def declines(self, call: Call) -> None:
        """Decline nothing."""
        return

    def because(self, call: Call) -> str:
        """Give no reason: the user chose the reference, or no other backend takes the call."""
        return ""

    def run(self, call: Call) -> Result:
        """Run a call; autograd decides what is saved for the backward pass."""
        return reference.run(call)

    def account(self, call: Call, differentiated: bool) -> Account:
        """Say how a call would run."""
        dtype = str(call.inputs[0].dtype).removeprefix("torch.")
        return Account(self.name, "", dtype, kept=None if differentiated else 0)

    def refuses_stream(self, levels: Sequence[Level], batch: int, like: Tensor) -> None:
        """Refuse nothing."""
        return

    def stream(self, levels: Sequence[Level], batch: int, like: Tensor, output: Tensor) -> ReferenceChain:
        """Prepare a stack to run step by step."""
        return ReferenceChain(levels, batch, like, output)

    def listing(self, step: Step, which: str, form: str, dtype: str) -> Listing:
        """Raise an error, because the reference makes no code.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError("The reference runs torch's operations and makes no code. Choose the backend cpu.")

    def describe(self) -> dict[str, Any]:
        """Return nothing: the reference needs nothing from this machine."""
        return {}

    def advise(self, report: Mapping[str, Any]) -> list[str]:
        """Give no advice."""
        return []
