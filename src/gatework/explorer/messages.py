"""The requests of the page and the answers of the server: the form of all JSON, which is checked on arrival.

The types of the page are generated from these models (``python -m gatework.explorer.typescript``). An answer leaves out
a field that has a default and was not set. A request with an unknown field is refused, so that a page and a server that
disagree notice it.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gatework.errors import ExplorerError, sentences
from gatework.reading.nested import expectation

LATEST = "latest"
MOST_INTERVENTIONS = 32
LONGEST_PATTERN = 200
MOST_BUCKETS = 4096

Message = TypeVar("Message", bound=BaseModel)

# Names of equations are short; ids are given out by the server.
_Id = Annotated[str, Field(min_length=1, max_length=64)]
_Name = Annotated[str, Field(min_length=1, max_length=400)]
_Layer = Annotated[int, Field(ge=0, lt=1024)]
_Direction = Annotated[int, Field(ge=0, le=1)]
_Place = Annotated[int, Field(ge=0, le=10**9)]


class _Asked(BaseModel):
    """A request. Numbers in a query arrive as text, so text that consists of digits counts as a number."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True)


class Where(_Asked):
    """A layer in one direction."""

    layer: _Layer = 0
    direction: _Direction = 0


class Quantity(Where):
    """One quantity of a layer."""

    name: _Name


class Intervention(Where):
    """A quantity held at a value, for some or all units, from one position to before another."""

    name: _Name
    value: float = Field(ge=-1e6, le=1e6)
    units: Annotated[list[_Place], Field(min_length=1, max_length=65536)] | None = None
    start: _Place = 0
    stop: _Place | None = None


class TraceRequest(_Asked):
    """A text to be read by a model, or a sample that the server holds."""

    run: _Id
    checkpoint: _Id = LATEST
    text: str | None = None
    sample: _Id | None = None
    interventions: Annotated[list[Intervention], Field(max_length=MOST_INTERVENTIONS)] = []

    @model_validator(mode="after")
    def _one_text(self) -> "TraceRequest":
        if (self.text is None) == (self.sample is None):
            raise ValueError("Expected either a text or a sample.")
        return self


class Window(Quantity):
    """A quantity from one position to before another."""

    start: _Place = Field(0, alias="from")
    stop: _Place | None = Field(None, alias="to")


class Overview(Quantity):
    """A quantity's least and greatest values over a number of equal stretches."""

    buckets: int = Field(1000, ge=1, le=MOST_BUCKETS)


class UnitWindow(Where):
    """All quantities of one unit."""

    unit: _Place
    start: _Place = Field(0, alias="from")
    stop: _Place | None = Field(None, alias="to")


class Term(Quantity):
    """The equation of a quantity with the numbers of one unit at one step."""

    unit: _Place
    step: _Place


class TopWindow(_Asked):
    """The likeliest next symbols, from one position to before another."""

    start: _Place = Field(0, alias="from")
    stop: _Place | None = Field(None, alias="to")


class At(_Asked):
    """A position whose prediction is asked about."""

    at: _Place


class Scene(_Asked):
    """A picture of a run's cell: a chain of three copies, or the loop beside the chain that it stands for."""

    run: _Id
    kind: Literal["chain", "unrolled"]
    language: Literal["en", "zh-Hans", "zh-Hant"] = "en"


class FindRequest(Where):
    """Positions to follow: ranges, a pattern or a preset, one of the three; and the quantities to look at."""

    names: Annotated[list[_Name], Field(min_length=1, max_length=16)]
    ranges: Annotated[list[tuple[_Place, _Place]], Field(min_length=1, max_length=10_000)] | None = None
    pattern: Annotated[str, Field(min_length=1, max_length=LONGEST_PATTERN)] | None = None
    preset: _Id | None = None

    @model_validator(mode="after")
    def _one_way(self) -> "FindRequest":
        if [self.ranges, self.pattern, self.preset].count(None) != 2:
            raise ValueError("Expected one of ranges, pattern and preset.")
        return self


class ElsewhereRequest(Quantity):
    """A unit whose highest and lowest values in the held-out text are wanted."""

    run: _Id
    checkpoint: _Id = LATEST
    unit: _Place
    count: int = Field(12, ge=1, le=50)


class QuantityAnswer(BaseModel):
    """A quantity as the page shows it; low and high are None if its equation sets no bound."""

    name: str
    comment: str
    role: Literal["gate", "state", "candidate", "part", "other"]
    low: float | None
    high: float | None
    size: int


class GateAnswer(BaseModel):
    """A gate that multiplies something: the factor it makes, and where that factor is 1 (``full``) and 0 (``none``)."""

    gate: str
    factor: str
    full: Literal[0, 1]
    none: Literal[0, 1]


class BeltAnswer(BaseModel):
    """A state that is a sum, as its equation writes it.

    ``kept`` are the addends that multiply the last value of the state, ``written`` are all others. ``keep`` is the gate
    that alone decides how much of the last value stays, and ``write`` is a gate that can shut out everything that is
    written; None if there is no such gate. ``half_life`` says whether the state has one. ``output`` is the output of
    the layer if it is computed from this state.
    """

    state: str
    kept: list[str]
    written: list[str]
    keep: GateAnswer | None
    write: GateAnswer | None
    half_life: bool
    output: str | None


class ShapeAnswer(BaseModel):
    """A shape of a cell's picture; ``quantity`` is what flows along it or comes out of it.

    ``runs`` are pieces of the text, each with its style. A line has a ``path`` of SVG commands, and ``head`` gives the
    tip and the direction of its arrow. Fields that a kind of shape does not have are absent.
    """

    model_config = ConfigDict(populate_by_name=True)

    id: str
    kind: Literal["box", "circle", "line", "text", "frame"]
    role: str
    quantity: str
    text: str
    path: list[tuple[Literal["M", "L"], float, float] | tuple[Literal["Q"], float, float, float, float]] = []
    head: tuple[float, float, float, float] | None = None
    start: str = Field("", alias="from")
    end: str = Field("", alias="to")
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    height: float = 0.0
    anchor: Literal["start", "middle", "end"] = "middle"
    runs: list[tuple[str, str]] = []
    size: float = 0.0
    emphasis: str = ""
    note: str = ""


class SceneAnswer(BaseModel):
    """A picture of a cell, as shapes without colours. In a chain, ids begin with ``t`` and the number of the copy."""

    width: float
    height: float
    title: str
    description: str
    language: str
    shapes: list[ShapeAnswer]


class SampleAnswer(BaseModel):
    """A text that comes with a run, or its beginning where it is longer than what may be posted; titles by language."""

    id: str
    title: str
    titles: dict[str, str]
    text: str
    steps: int


class CheckpointAnswer(BaseModel):
    """A checkpoint; the newest is called ``latest``."""

    id: str
    step: int


class RunAnswer(BaseModel):
    """All that the page needs to know about a run.

    ``belts`` lists, for each layer, the states that are sums, those that keep something first. ``scene`` is the picture
    of the cell in each language, and empty if it has none.
    """

    id: str
    title: str
    cell: str
    cell_title: str
    layers: int
    directions: int
    hidden_sizes: list[int]
    level: str
    parameters: int
    vocabulary: list[str]
    vocabulary_size: int
    checkpoints: list[CheckpointAnswer]
    quantities: list[list[QuantityAnswer]]
    belts: list[list[BeltAnswer]]
    equations: str
    latex: str
    scene: dict[str, SceneAnswer]
    samples: list[SampleAnswer]


class LimitsAnswer(BaseModel):
    """The most symbols of a text that is posted, and of a sample."""

    text: int
    steps: int


class AboutAnswer(BaseModel):
    """The runs that are open, and what may be asked."""

    version: str
    runs: list[RunAnswer]
    samples: list[SampleAnswer]
    presets: list[str]
    limits: LimitsAnswer


class Guess(BaseModel):
    """A symbol that may come next, and how likely the model thinks it is."""

    symbol: str
    probability: float


class Before(BaseModel):
    """What the model expected before the first symbol, after it had read a line end."""

    loss: float | None
    top: list[Guess]


class TraceAnswer(BaseModel):
    """A text that a model has read: what can be shown at once.

    ``unknown`` lists the positions of symbols that the vocabulary lacks. ``loss`` is the loss at the symbol after each
    position, in nats. ``top`` is empty for long texts; ask for a window of it.
    """

    trace: str
    steps: int
    symbols: list[str]
    unknown: list[int]
    loss: list[float | None]
    mean_loss: float | None
    before: Before
    top: list[list[Guess]]


class TopAnswer(BaseModel):
    """The likeliest next symbols at each position of a window."""

    start: int = Field(serialization_alias="from")
    top: list[list[Guess]]


class TermAnswer(BaseModel):
    """A part of an equation with its value, and the parts it is made of."""

    text: str
    value: float | None
    parts: "list[TermAnswer]"


class UnitsAnswer(BaseModel):
    """Figures for every unit of a layer.

    ``half_life`` is in steps: of the quantity if it is a state that is carried unit by unit, else of the cell state. It
    is None for a unit that never halves, and where no state is carried unit by unit. ``saturation`` is the share of
    the steps within a tenth of the bounds of the quantity, and None if it has no bounds.
    """

    half_life: list[float | None]
    saturation: list[float | None]
    saturated_low: list[float | None]
    saturated_high: list[float | None]
    order_by_similarity: list[int]


class GradientsAnswer(BaseModel):
    """How much each earlier position matters to one prediction.

    Lists begin at position ``from``, which is 0 unless the text is long, and end at ``at``.
    """

    at: int
    start: int = Field(serialization_alias="from")
    symbol: str
    along: dict[str, list[float]]
    layers: list[dict[str, list[float]]]
    memory_length: float | None


class Follower(BaseModel):
    """A unit that follows what was marked: its AUC from 0.5 to 1, and whether it rises (1) or falls (-1) there."""

    name: str
    unit: int
    score: float
    sign: Literal[1, -1]


class Opening(Follower):
    """The unit that a page begins with, and what it follows: a preset, whose marks are ``positions``."""

    layer: int
    preset: str
    positions: list[tuple[int, int]]


class OpeningAnswer(BaseModel):
    """The most telling unit of a text; None if no preset marks anything that units could tell apart."""

    best: Opening | None


class FindAnswer(BaseModel):
    """What was marked, as ranges, and the units that follow it best."""

    positions: list[tuple[int, int]]
    marked: int
    every: int
    ranking: list[Follower]


class Stretch(BaseModel):
    """A stretch of text with a unit's value at each symbol; ``peak`` is the place of its extreme."""

    text: list[str]
    values: list[float]
    offset: int
    peak: int


class ElsewhereAnswer(BaseModel):
    """Where a unit is highest and lowest."""

    high: list[Stretch]
    low: list[Stretch]
    searched: int


def read_message(kind: type[Message], values: Mapping[str, Any] | bytes) -> Message:
    """Check a request.

    Args:
        kind: What it should be.
        values: The body as JSON, or the query's names and values.

    Returns:
        The request.

    Raises:
        ExplorerError: Saying in one sentence what is wrong with it.

    Example:
        >>> read_message(At, {"at": "seven"})
        Traceback (most recent call last):
        gatework.errors.ExplorerError: at is 'seven'; it should be a valid integer, unable to parse string as an...
    """
    try:
        if isinstance(values, bytes):
            return kind.model_validate_json(values)
        return kind.model_validate(dict(values))
    except ValidationError as error:
        raise ExplorerError(_sentence(error)) from error


def _sentence(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_context=False)[0]
    name = ".".join(str(part) for part in fault["loc"])
    message = str(fault["msg"]).removeprefix("Value error, ")
    if not name or fault["type"] == "json_invalid":
        return sentences(f"The request cannot be read: {expectation(message)}")
    if fault["type"] == "missing":
        return f"{name} is missing from the request."
    if fault["type"] == "extra_forbidden":
        return f"'{name[:60]}' is nothing that can be asked for here."
    given = repr(fault["input"])
    return sentences(f"{name} is {given if len(given) <= 60 else given[:57] + '…'}; {expectation(message)}")
