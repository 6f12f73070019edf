"""What to say of torch's own recurrent layers, and of their weights, where gatework's are expected."""

from collections.abc import Mapping
from typing import Any

from torch import nn

# How many gates torch stacks in one tensor, and the layers of torch and of gatework that do.
_BY_GATES = {1: "RNN", 3: "GRU", 4: "LSTM"}
_LAYERS = {
    nn.LSTM: "LSTM",
    nn.GRU: "GRU",
    nn.RNN: "RNN",
    nn.LSTMCell: "LSTMCell",
    nn.GRUCell: "GRUCell",
    nn.RNNCell: "RNNCell",
}


def counterpart(module: Any) -> str:
    """Name the layer of gatework that takes the place of a layer of torch; empty if there is none."""
    return _LAYERS.get(type(module), "")


class OwnState(nn.Module):
    """A module that says which layer takes a state, if the state comes from a recurrent layer of torch."""

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load a state, as every module does.

        Args:
            state_dict: The state.
            strict: Whether the names must be those of this module.
            assign: Whether the state's tensors become the module's own.

        Returns:
            The names that are missing, and those that are unexpected.

        Raises:
            RuntimeError: If the state does not fit.
        """
        try:
            return super().load_state_dict(state_dict, strict=strict, assign=assign)
        except RuntimeError as error:
            name = _source(state_dict)
            if not name or "bias_ih_l0" in self._parameters:
                raise
            raise RuntimeError(
                f"{error}\n\tThis is the state of a torch.nn.{name}, which has two biases for each gate. Load it into "
                f"a gatework.{name}, which takes the same arguments and runs on the same kernels."
            ) from error


def _source(state: Mapping[str, Any]) -> str:
    """Name the layer of torch that a state comes from; empty if it comes from none."""
    if "bias_ih_l0" not in state or "weight_hh_l0" not in state:
        return ""
    if "weight_hr_l0" in state:  # only the LSTM has a projection
        return "LSTM"
    rows, *columns = state["weight_hh_l0"].shape
    return _BY_GATES.get(rows // columns[0], "") if columns else ""
