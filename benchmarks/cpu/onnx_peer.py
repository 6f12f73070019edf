"""ONNX Runtime's LSTM, one step at a time, its state carried by the caller."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import gatework

try:
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper
except ImportError as error:  # then the table is not measured, and says so
    MISSING = str(error)
else:
    MISSING = ""

_OPSET, _IR = 17, 8  # old enough for any runtime


def session(layer: gatework.Recurrent, threads: int) -> Any:
    """Make a session that runs one step of an LSTM for a batch of one.

    Args:
        layer: ``gatework.Recurrent("lstm")`` of one layer, whose weights are taken.
        threads: The threads of the session.

    Returns:
        The session, of ONNX Runtime.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Its threads stop waiting for work when a step is done, or they would take a core from the other side.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    providers = ["CPUExecutionProvider"]
    return onnxruntime.InferenceSession(_model(layer).SerializeToString(), options, providers)


class OnnxStream:
    """Steps of a session as most callers take them: arrays in, arrays out.

    Args:
        layer: As for :func:`session`.
        threads: As there.
    """

    def __init__(self, layer: gatework.Recurrent, threads: int) -> None:
        self._session = session(layer, threads)
        self._h, self._c = (_zeros(layer.layers[0].hidden_size) for _ in "hc")

    def step(self, given: Any) -> Any:
        """Run one step.

        Args:
            given: The input, float32 [1, 1, I].

        Returns:
            The output [1, 1, H].
        """
        feeds = {"x": given, "h": self._h, "c": self._c}
        self._h, self._c = self._session.run(("h_n", "c_n"), feeds)
        return self._h


class BoundOnnxStream:
    """Steps of a session at their fastest: memory is bound beforehand, and two sets of states take turns.

    Args:
        layer: As for :func:`session`.
        threads: As there.
    """

    def __init__(self, layer: gatework.Recurrent, threads: int) -> None:
        self._session, units = session(layer, threads), layer.layers[0].hidden_size
        value = onnxruntime.OrtValue.ortvalue_from_numpy
        self._given = value(_zeros(layer.layers[0].size("x")))
        self._states = [{name: value(_zeros(units)) for name in "hc"} for _ in range(2)]
        self._bindings = [self._binding(*states) for states in (self._states, self._states[::-1])]
        self._turn = 0

    def _binding(self, before: Any, after: Any) -> Any:
        binding = self._session.io_binding()
        binding.bind_ortvalue_input("x", self._given)
        for name in "hc":
            binding.bind_ortvalue_input(name, before[name])
            binding.bind_ortvalue_output(f"{name}_n", after[name])
        return binding

    def step(self, given: Any) -> Any:
        """Run one step; as :meth:`OnnxStream.step`, but the result lies in memory that the step after next uses."""
        self._given.update_inplace(given)
        self._session.run_with_iobinding(self._bindings[self._turn])
        self._turn = 1 - self._turn
        return self._states[self._turn]["h"].numpy()


FORMS: Mapping[str, Callable[..., Any]] = {"arrays": OnnxStream, "bound": BoundOnnxStream}
"""How a caller may take steps, by name."""


def _zeros(size: int) -> Any:
    return np.zeros((1, 1, size), np.float32)


def _model(layer: gatework.Recurrent) -> Any:
    weights = layer.named_weights(0)
    inputs, units = weights["W_i"].shape[1], weights["W_i"].shape[0]

    def gates(kind: str) -> Any:
        return np.concatenate([weights[f"{kind}_{gate}"].detach().numpy() for gate in "iofg"])[None]  # ONNX's order

    constants = {
        "W": gates("W"),
        "R": gates("R"),
        "B": np.concatenate([gates("b"), np.zeros((1, 4 * units), np.float32)], axis=1),
    }
    state = [1, 1, units]
    node = helper.make_node(
        "LSTM", ["x", "W", "R", "B", "", "h", "c"], ["", "h_n", "c_n"], hidden_size=units, direction="forward"
    )
    graph = helper.make_graph(
        [node],
        "lstm",
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in (("x", [1, 1, inputs]), ("h", state), ("c", state))
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, state) for name in ("h_n", "c_n")],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)
    onnx.checker.check_model(model)
    return model
