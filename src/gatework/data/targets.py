"""What stands in place of an answer where none is asked."""

IGNORED = -100
"""The target of a step at which nothing is asked; torch's losses leave it out as well."""
