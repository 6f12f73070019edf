"""Gated recurrent networks: a cell is written once, as its paper's equations, and everything else is derived.

The names below are public. Each is imported on first use, so ``import gatework`` is fast and the cells can be read on a
machine without torch.

Examples:
    >>> import gatework
    >>> gatework.CELLS["lstm"].count(input_size=64, hidden_size=128)
    98816
"""

from typing import TYPE_CHECKING

from gatework.lazy import after, lazily

__version__ = "0.1.0"

if TYPE_CHECKING:
    from gatework import errors as errors
    from gatework.cells import CELLS as CELLS
    from gatework.cells import Cell as Cell
    from gatework.cells import attend as attend
    from gatework.cells import blocks as blocks
    from gatework.cells import cell as cell
    from gatework.cells import coupled as coupled
    from gatework.cells import layer_norm as layer_norm
    from gatework.cells import peephole as peephole
    from gatework.cells import project as project
    from gatework.cells import recurrent_dropout as recurrent_dropout
    from gatework.cells import replace as replace
    from gatework.cells import zoneout as zoneout
    from gatework.decoding import NGram as NGram
    from gatework.decoding import beam_search as beam_search
    from gatework.decoding import ctc_best_path as ctc_best_path
    from gatework.decoding import ctc_prefix_search as ctc_prefix_search
    from gatework.diagram import Picture as Picture
    from gatework.diagram import draw as draw
    from gatework.heads import HEADS as HEADS
    from gatework.nn import GRU as GRU
    from gatework.nn import LSTM as LSTM
    from gatework.nn import RNN as RNN
    from gatework.nn import Attention as Attention
    from gatework.nn import GRUCell as GRUCell
    from gatework.nn import LSTMCell as LSTMCell
    from gatework.nn import Recurrent as Recurrent
    from gatework.nn import RNNCell as RNNCell
    from gatework.nn import explain as explain
    from gatework.search import CompareConfig as CompareConfig
    from gatework.search import compare as compare
    from gatework.tasks.registry import TASKS as TASKS
    from gatework.tasks.task import Batch as Batch
    from gatework.tasks.task import Gap as Gap
    from gatework.tasks.task import Pairs as Pairs
    from gatework.tasks.task import Recorded as Recorded
    from gatework.tasks.task import Recording as Recording
    from gatework.tasks.task import Success as Success
    from gatework.tasks.task import Synthetic as Synthetic
    from gatework.tasks.task import Task as Task
    from gatework.tracing import Trace as Trace
    from gatework.tracing import clamp as clamp
    from gatework.tracing import gradient_flow as gradient_flow
    from gatework.tracing import probe as probe
    from gatework.tracing import trace as trace
    from gatework.training import LoadedRun as LoadedRun
    from gatework.training import TrainConfig as TrainConfig
    from gatework.training import evaluate as evaluate
    from gatework.training import generate as generate
    from gatework.training import load as load
    from gatework.training import train as train

# Public name -> the module that defines it. A public module maps to itself.
_PUBLIC = {
    "Attention": "gatework.nn",
    "Batch": "gatework.tasks.task",
    "CELLS": "gatework.cells",
    "Cell": "gatework.cells",
    "CompareConfig": "gatework.search",
    "GRU": "gatework.nn",
    "GRUCell": "gatework.nn",
    "Gap": "gatework.tasks.task",
    "HEADS": "gatework.heads",
    "LSTM": "gatework.nn",
    "LSTMCell": "gatework.nn",
    "LoadedRun": "gatework.training",
    "NGram": "gatework.decoding",
    "Picture": "gatework.diagram",
    "RNN": "gatework.nn",
    "RNNCell": "gatework.nn",
    "Pairs": "gatework.tasks.task",
    "Recorded": "gatework.tasks.task",
    "Recording": "gatework.tasks.task",
    "Recurrent": "gatework.nn",
    "Success": "gatework.tasks.task",
    "Synthetic": "gatework.tasks.task",
    "TASKS": "gatework.tasks.registry",
    "Task": "gatework.tasks.task",
    "Trace": "gatework.tracing",
    "TrainConfig": "gatework.training",
    "beam_search": "gatework.decoding",
    "attend": "gatework.cells",
    "blocks": "gatework.cells",
    "cell": "gatework.cells",
    "clamp": "gatework.tracing",
    "compare": "gatework.search",
    "coupled": "gatework.cells",
    "ctc_best_path": "gatework.decoding",
    "ctc_prefix_search": "gatework.decoding",
    "draw": "gatework.diagram",
    "errors": "gatework.errors",
    "evaluate": "gatework.training",
    "explain": "gatework.nn",
    "generate": "gatework.training",
    "gradient_flow": "gatework.tracing",
    "layer_norm": "gatework.cells",
    "load": "gatework.training",
    "peephole": "gatework.cells",
    "probe": "gatework.tracing",
    "project": "gatework.cells",
    "recurrent_dropout": "gatework.cells",
    "replace": "gatework.cells",
    "trace": "gatework.tracing",
    "train": "gatework.training",
    "zoneout": "gatework.cells",
}

__all__ = [*_PUBLIC, "__version__"]
__getattr__, _names = lazily(__name__, _PUBLIC)
# Once both packages are imported, the operators are registered. torch.export.load needs nothing else.
after("torch", "gatework.kernels.schema")


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
