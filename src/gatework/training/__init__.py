"""Training: the loop, the run directory, and what is done with a finished run.

In the order in which a run passes through them: ``config``, ``build`` (text and model), ``run`` and ``checkpoint`` (the
directory), ``trainer`` (one step), ``loop`` (all steps), ``curve``; then ``evaluation`` and ``generation``.
"""

from gatework.training.config import TrainConfig, make_config, read_toml
from gatework.training.evaluation import Evaluation, evaluate
from gatework.training.generation import Generation, generate
from gatework.training.loop import TrainResult, train
from gatework.training.progress import Reporter, make_reporter

__all__ = [
    "Evaluation",
    "Generation",
    "Reporter",
    "TrainConfig",
    "TrainResult",
    "evaluate",
    "generate",
    "make_config",
    "make_reporter",
    "read_toml",
    "train",
]
