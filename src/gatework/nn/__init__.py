"""Layers: any cell over whole sequences, and drop-in replacements for torch's recurrent layers."""

from gatework.nn.drop_in import GRU, LSTM, RNN
from gatework.nn.recurrent import Recurrent

__all__ = ["GRU", "LSTM", "RNN", "Recurrent"]
