"""The command line, one file per verb."""

from gatework.cli.app import main

__all__ = ["main"]
