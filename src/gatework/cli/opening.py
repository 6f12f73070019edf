"""Open the runs of the explorer. This needs torch, whose import takes longer than showing the page."""

from collections.abc import Sequence

from gatework.explorer.answers import Answers, open_answers
from gatework.explorer.settings import Settings


def open_runs(paths: Sequence[str], demo: bool, settings: Settings) -> Answers:
    """Open runs for the explorer; see :func:`gatework.explorer.answers.open_answers`."""
    return open_answers(paths, demo, settings)
