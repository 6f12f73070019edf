"""Comparing: which trials there are, and what their results allow to be said."""
