"""One situation: a cell, a layer, a batch and a call, as plain data that can be written down and made smaller."""

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

CALLS = ("train", "forward", "record", "deliver", "stream", "step", "trace")
STRIDES = ("plain", "cut", "transposed", "alternate", "expanded")
SPECIAL = ("", "zero", "inf", "nan", "huge", "denormal")
SKIPS = (None, "in", "out", "both")
CONNECTIONS = (None, "residual", "highway")


def comes_from_below(name: str, states: Collection[str]) -> bool:
    """Say whether an input is a state of the layer below, so that nobody gives it."""
    return name.endswith("_below") and name.removesuffix("_below") in states


def outer_inputs(inputs: Sequence[str], states: Collection[str]) -> list[str]:
    """Name the inputs that a user gives; where all come from below, the first stands for what is given."""
    return [name for name in inputs if not comes_from_below(name, states)] or list(inputs[:1])


@dataclass
class Case:
    """What is run.

    Args:
        equations: The cell's text.
        states: Its states; None for those that the text shows.
        inputs: Its inputs.
        outputs: Names of lines that it delivers.
        own_sizes: Names with sizes of their own, as its argument ``sizes``.
        memories: Its memories, as its argument.
        transforms: Pairs of a function from cell to cell and its arguments.
        input_size: One size for each input that a user gives.
        hidden_size: One for each layer.
        bias: As the layer's option, like those that follow.
        bidirectional: See ``bias``.
        batch_first: See ``bias``.
        learn_initial_state: See ``bias``.
        input_projection: See ``bias``.
        below_projection: See ``bias``.
        skip: See ``bias``.
        connection: See ``bias``.
        tie_layers: See ``bias``.
        sizes: See ``bias``.
        proj_size: See ``bias``.
        memory_size: The size of the vectors of each bank; of those with one number at each position it counts for
            nothing.
        positions: L of each memory.
        extents: For each memory how many positions each row has; None for all.
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
    outputs: list[str] = field(default_factory=list)
    own_sizes: list[str] = field(default_factory=list)
    memories: list[str] = field(default_factory=list)
    transforms: list[list[Any]] = field(default_factory=list)
    input_size: list[int] = field(default_factory=lambda: [3])
    hidden_size: list[int] = field(default_factory=lambda: [4])
    bias: bool = True
    bidirectional: bool = False
    batch_first: bool = False
    learn_initial_state: bool = False
    input_projection: bool = False
    below_projection: bool = False
    skip: str | None = None
    connection: str | None = None
    tie_layers: bool = False
    sizes: dict[str, int] = field(default_factory=dict)
    proj_size: int = 0
    memory_size: dict[str, int] = field(default_factory=dict)
    positions: list[int] = field(default_factory=list)
    extents: list[list[int] | None] = field(default_factory=list)
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
        return (json.dumps([getattr(self, name) for name in (*_CELL, *_LAYER)]), self.seed)

    def owner(self, number: int) -> int:
        """Say whose weights a layer has: tied layers have those of the second one, or of the first if it is alike."""
        return number if not self.tie_layers else 0 if self.below_projection else min(number, 1)

    def maps_owner(self, number: int) -> int:
        """Say whose learned maps a layer has: those of the first one read the stack's input, so it has its own."""
        return min(number, 1) if self.tie_layers else number

    @property
    def features(self) -> list[str]:
        """Say in words which of the rarer things the case has."""
        told: dict[str, Any] = {
            "memories": self.memories,
            "outputs": self.outputs,
            "own sizes": self.own_sizes,
            "ties": self.tie_layers,
        }
        told |= {"maps below": self.below_projection, f"skip {self.skip}": self.skip}
        told |= {f"{self.connection}": self.connection}
        return [name for name, has in told.items() if has]


_CELL = ("equations", "states", "inputs", "outputs", "own_sizes", "memories", "transforms")
_LAYER = ("input_size", "hidden_size", "bias", "bidirectional", "batch_first", "learn_initial_state")
_LAYER += ("input_projection", "below_projection", "skip", "connection", "tie_layers", "sizes", "proj_size")
_LAYER += ("memory_size", "dtype", "weights", "scale")
NAMES = tuple(one.name for one in fields(Case))
