"""Comparing cells: many small trainings, side by side on all cores, and what they allow to be said.

In the order in which a comparison passes through them: ``config``, ``matching`` (sizes), ``plan`` (the trials),
``directory``, ``loop``, ``pool`` and ``worker`` (the processes), ``trial`` (one training), ``statistics``, ``results``,
``figure``.
"""

from typing import TYPE_CHECKING

from gatework.lazy import lazily

if TYPE_CHECKING:
    from gatework.search.comparing.config import CompareConfig as CompareConfig
    from gatework.search.comparing.config import make_compare_config as make_compare_config
    from gatework.search.comparing.loop import compare as compare
    from gatework.search.comparing.progress import Reporter as Reporter
    from gatework.search.comparing.progress import make_reporter as make_reporter
    from gatework.search.comparing.results import Comparison as Comparison
    from gatework.search.comparing.results import Crossover as Crossover
    from gatework.search.comparing.results import PairTest as PairTest
    from gatework.search.comparing.results import Summary as Summary

# A process that runs trials needs none of what draws the picture of them.
_PUBLIC = {
    "CompareConfig": "gatework.search.comparing.config",
    "Comparison": "gatework.search.comparing.results",
    "Crossover": "gatework.search.comparing.results",
    "PairTest": "gatework.search.comparing.results",
    "Reporter": "gatework.search.comparing.progress",
    "Summary": "gatework.search.comparing.results",
    "compare": "gatework.search.comparing.loop",
    "make_compare_config": "gatework.search.comparing.config",
    "make_reporter": "gatework.search.comparing.progress",
}
__all__ = [*_PUBLIC]
__getattr__, __dir__ = lazily(__name__, _PUBLIC)
