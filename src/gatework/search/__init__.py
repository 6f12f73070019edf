"""Comparing cells: many small training runs in parallel on all cores, and the conclusions from them.

``running`` runs one trial of any job in a separate process: ``trial``, ``worker``. It does not know which trials
there are. ``comparing`` chooses the trials and draws the conclusions: ``config``, ``matching`` (sizes), ``plan`` (the
trials), ``directory``, ``loop``, ``statistics``, ``results``, ``figure``.
"""

from typing import TYPE_CHECKING

from gatework.lazy import lazily

if TYPE_CHECKING:
    from gatework.search.comparing.config import CompareConfig as CompareConfig
    from gatework.search.comparing.config import make_compare_config as make_compare_config
    from gatework.search.comparing.loop import compare as compare
    from gatework.search.comparing.progress import ComparisonReporter as ComparisonReporter
    from gatework.search.comparing.progress import make_reporter as make_reporter
    from gatework.search.comparing.results import Comparison as Comparison
    from gatework.search.comparing.results import Crossover as Crossover
    from gatework.search.comparing.results import PairTest as PairTest
    from gatework.search.comparing.results import Summary as Summary

# A process that runs trials does not need the modules that draw the picture.
_PUBLIC = {
    "CompareConfig": "gatework.search.comparing.config",
    "Comparison": "gatework.search.comparing.results",
    "Crossover": "gatework.search.comparing.results",
    "PairTest": "gatework.search.comparing.results",
    "ComparisonReporter": "gatework.search.comparing.progress",
    "Summary": "gatework.search.comparing.results",
    "compare": "gatework.search.comparing.loop",
    "make_compare_config": "gatework.search.comparing.config",
    "make_reporter": "gatework.search.comparing.progress",
}
__all__ = [*_PUBLIC]
__getattr__, __dir__ = lazily(__name__, _PUBLIC)
