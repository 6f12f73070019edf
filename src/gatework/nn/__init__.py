"""Layers: any cell over whole sequences, drop-in replacements for torch's recurrent layers, and attention."""

from gatework.nn.attention import Attention
from gatework.nn.delayed import DelayedStream
from gatework.nn.drop_in import GRU, LSTM, RNN
from gatework.nn.drop_in_cells import GRUCell, LSTMCell, RNNCell
from gatework.nn.explanation import Explanation, explain
from gatework.nn.hard_attention import draw_position
from gatework.nn.joined_weights import JoinedWeights
from gatework.nn.recurrent import Recurrent
from gatework.nn.scores import Keys
from gatework.nn.states import last_states
from gatework.nn.stream import Stream

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Attention",
    "DelayedStream",
    "Explanation",
    "GRUCell",
    "JoinedWeights",
    "Keys",
    "LSTMCell",
    "RNNCell",
    "Recurrent",
    "Stream",
    "draw_position",
    "explain",
    "last_states",
]
