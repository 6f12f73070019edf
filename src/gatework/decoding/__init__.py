"""Decoding: the most probable symbols that a model writes, or that stand behind its scores."""

from gatework.decoding.beam import Hypothesis, beam_search
from gatework.decoding.ctc import ctc_best_path, ctc_prefix_search
from gatework.decoding.ngram import NGram

__all__ = ["Hypothesis", "NGram", "beam_search", "ctc_best_path", "ctc_prefix_search"]
