"""Comparing cells: many small trainings, side by side on all cores, and what they allow to be said.

In the order in which a comparison passes through them: ``config``, ``matching`` (sizes), ``plan`` (the trials),
``directory``, ``loop``, ``pool`` and ``worker`` (the processes), ``trial`` (one training), ``statistics``, ``results``,
``figure``.
"""

from typing import TYPE_CHECKING

from gatework.lazy import lazily

if TYPE_CHECKING:
    from gatework.search.config import CompareConfig as CompareConfig
    from gatework.search.config import make_compare_config as make_compare_config
    from gatework.search.loop import compare as compare
    from gatework.search.progress import Reporter as Reporter
    from gatework.search.progress import make_reporter as make_reporter
    from gatework.search.results import Comparison as Comparison
    from gatework.search.results import Crossover as Crossover
    from gatework.search.results import PairTest as PairTest
    from gatework.search.results import Summary as Summary

# A process that runs trials needs none of what draws the picture of them.
_PUBLIC = {
    "CompareConfig": "gatework.search.config",
    "Comparison": "gatework.search.results",
    "Crossover": "gatework.search.results",
    "PairTest": "gatework.search.results",
    "Reporter": "gatework.search.progress",
    "Summary": "gatework.search.results",
    "compare": "gatework.search.loop",
    "make_compare_config": "gatework.search.config",
    "make_reporter": "gatework.search.progress",
}
__all__ = [*_PUBLIC]
__getattr__, __dir__ = lazily(__name__, _PUBLIC)
