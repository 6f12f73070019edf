"""One situation: a cell, a layer, a batch and a call, as plain data that can be written down and made smaller."""

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, field, fields
from typing import Any

CALLS = ("train", "forward", "record", "stream", "step", "trace")
STRIDES = ("plain", "cut", "transposed", "alternate", "expanded")
SPECIAL = ("", "zero", "inf", "nan", "huge", "denormal")


def comes_from_below(name: str, states: Collection[str]) -> bool:
    """Say whether an input is a state of the layer below, so that nobody gives it."""
    return name.endswith("_below") and name.removesuffix("_below") in states


@dataclass
class Case:
    """What is run.

    Args:
        equations: The cell's text.
        states: Its states; None for those that the text shows.
        inputs: Its inputs.
        transforms: Pairs of a function from cell to cell and its arguments.
        input_size: One size for each input that a user gives.
        hidden_size: One for each layer.
        bias: As the layer's option, like those that follow.
        bidirectional: See ``bias``.
        batch_first: See ``bias``.
        learn_initial_state: See ``bias``.
        input_projection: See ``bias``.
        proj_size: See ``bias``.
        dtype: The type of layer and input.
        backend: See ``bias``.
        memory: See ``bias``.
        threads: How many threads torch has.
        training: Whether masks are drawn.
        steps: T.
        rows: B; 0 without a batch.
        lengths: The length of each row; None for T.
        packed: Whether the batch is packed.
        reset: Whether sequences start anew within a row.
        given_state: Whether a first state is given.
        looks_at: What the loss looks at: ``both``, the ``output`` or the ``state``.
        call: What is called.
        weights: How the parameters lie in memory.
        given: How the inputs lie in memory.
        special: What a few numbers of the first row are.
        scale: How large the weights are.
        seed: What numbers are drawn from.
    """

    equations: str
    states: list[str] | None = None
    inputs: list[str] = field(default_factory=lambda: ["x"])
    transforms: list[list[Any]] = field(default_factory=list)
    input_size: list[int] = field(default_factory=lambda: [3])
    hidden_size: list[int] = field(default_factory=lambda: [4])
    bias: bool = True
    bidirectional: bool = False
    batch_first: bool = False
    learn_initial_state: bool = False
    input_projection: bool = False
    proj_size: int = 0
    dtype: str = "float64"
    backend: str = "auto"
    memory: str = "fast"
    threads: int = 1
    training: bool = False
    steps: int = 3
    rows: int = 2
    lengths: list[int] | None = None
    packed: bool = False
    reset: bool = False
    given_state: bool = False
    looks_at: str = "both"
    call: str = "train"
    weights: str = "plain"
    given: str = "plain"
    special: str = ""
    scale: float = 1.0
    seed: int = 0

    def plain(self) -> dict[str, Any]:
        """Give what differs from the defaults, which JSON can hold."""
        default = Case(self.equations)
        return {
            key: value for key, value in asdict(self).items() if key == "equations" or value != getattr(default, key)
        }

    def text(self) -> str:
        """Write it down on one line."""
        return json.dumps(self.plain())

    def but(self, **values: Any) -> "Case":
        """Give the same case with other values."""
        return Case(**(asdict(self) | values))

    @classmethod
    def read(cls, text: str) -> "Case":
        """Read what :meth:`text` wrote."""
        return cls(**json.loads(text))

    @property
    def layer(self) -> tuple[Any, ...]:
        """Give all that decides about the layer: two cases of which it is the same can share one."""
        names = ["equations", "states", "inputs", "transforms", "input_size", "hidden_size", "bias", "bidirectional"]
        names += ["batch_first", "learn_initial_state", "input_projection", "proj_size", "dtype", "weights", "scale"]
        return (json.dumps([getattr(self, name) for name in names]), self.seed)


NAMES = tuple(one.name for one in fields(Case))
