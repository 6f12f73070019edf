"""The value of a target at steps without one."""

IGNORED = -100
"""The target at a step without one; torch's losses ignore this value by default, too."""
