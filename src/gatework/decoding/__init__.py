"""Decoding: the most probable symbols that a model writes, or that stand behind its scores."""

from gatework.decoding.beam import Hypothesis, beam_search

__all__ = ["Hypothesis", "beam_search"]
