"""Layers: any cell over whole sequences, and drop-in replacements for torch's recurrent layers."""

from gatework.nn.drop_in import GRU, LSTM, RNN
from gatework.nn.drop_in_cells import GRUCell, LSTMCell, RNNCell
from gatework.nn.explanation import Explanation, explain
from gatework.nn.recurrent import Recurrent
from gatework.nn.stream import Stream

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Explanation",
    "GRUCell",
    "LSTMCell",
    "RNNCell",
    "Recurrent",
    "Stream",
    "explain",
]
