"""What the explorer opens its runs with; it needs torch, which takes longer to import than the page to appear."""

from collections.abc import Sequence

from gatework.explorer.answers import Answers, open_answers
from gatework.explorer.settings import Settings


def open_runs(paths: Sequence[str], demo: bool, settings: Settings) -> Answers:
    """Open runs, and make what answers questions about them; see :func:`gatework.explorer.answers.open_answers`."""
    return open_answers(paths, demo, settings)
