"""Comparisons: the choice of trials, and the conclusions from their results."""
