"""Kinds: each kind of picture, from a cell to its scene."""
