"""Heads: what the numbers of a model mean, how they are judged, and how answers are drawn from them.

A head is a row of one table. The model, the loop and the metrics ask the row, and know no head by its name.
"""

from gatework.heads.amounts import Gauss, Mixture, Number, Quantiles
from gatework.heads.chord import Chord
from gatework.heads.head import Head
from gatework.heads.pen import Pen
from gatework.heads.registry import HEADS
from gatework.heads.symbols import Bits, Choice, Words
from gatework.heads.transcript import Transcript

__all__ = [
    "HEADS",
    "Bits",
    "Choice",
    "Chord",
    "Gauss",
    "Head",
    "Mixture",
    "Number",
    "Pen",
    "Quantiles",
    "Transcript",
    "Words",
]
