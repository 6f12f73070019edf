"""The state that a model carries from one window to the next."""

from torch import Tensor

State = Tensor | tuple[Tensor, ...] | None
"""The state of the layers: one tensor ``[L, B, H]``, or a tuple of them; None at the start of a sequence."""
