"""The table of heads."""

from typing import Any

from gatework.errors import ConfigError
from gatework.heads.amounts import Gauss, Mixture, Number, Quantiles
from gatework.heads.chord import Chord
from gatework.heads.pen import Pen
from gatework.heads.symbols import Bits, Choice, Words
from gatework.heads.transcript import Transcript
from gatework.registry import Registry

HEADS: Registry[Any] = Registry(
    Choice,
    Bits,
    Number,
    Words,
    Transcript,
    Chord,
    Pen,
    Gauss,
    Mixture,
    Quantiles,
    unknown="There is no head '{name}'.{hint} The heads are: {names}.",
    hint=" Did you mean '{near}'?",
    error=ConfigError,
    kind="heads",
)
"""All heads by name. Each is a subclass of :class:`gatework.heads.Head`: ``HEADS["pen"](components=20)``."""
