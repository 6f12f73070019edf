"""Training: the loop, the run directory, and the use of finished runs.

A run uses the modules in this order: ``config`` (settings), ``jobs`` (data and model), ``run`` (directory), ``trainer``
(one step), ``loop`` (all steps) and ``curve``; then ``restore``, ``evaluation``, ``generation`` and ``loaded``.
"""

from typing import TYPE_CHECKING

from gatework.lazy import lazily

if TYPE_CHECKING:
    from gatework.training.config import TrainConfig as TrainConfig
    from gatework.training.config import make_config as make_config
    from gatework.training.config import read_toml as read_toml
    from gatework.training.evaluation import Evaluation as Evaluation
    from gatework.training.evaluation import Search as Search
    from gatework.training.evaluation import evaluate as evaluate
    from gatework.training.generation import Generation as Generation
    from gatework.training.generation import generate as generate
    from gatework.training.loaded import LoadedRun as LoadedRun
    from gatework.training.loaded import load as load
    from gatework.training.loop import TrainResult as TrainResult
    from gatework.training.loop import train as train
    from gatework.training.predicted import Prediction as Prediction
    from gatework.training.progress import RunReporter as RunReporter
    from gatework.training.progress import make_reporter as make_reporter
    from gatework.training.transcription import Hearing as Hearing
    from gatework.training.transcription import Transcription as Transcription

# The use of a finished run does not wait for the modules that draw the curve of a run in training.
_PUBLIC = {
    "Evaluation": "gatework.training.evaluation",
    "Generation": "gatework.training.generation",
    "Hearing": "gatework.training.transcription",
    "LoadedRun": "gatework.training.loaded",
    "Prediction": "gatework.training.predicted",
    "Search": "gatework.training.evaluation",
    "RunReporter": "gatework.training.progress",
    "TrainConfig": "gatework.training.config",
    "TrainResult": "gatework.training.loop",
    "Transcription": "gatework.training.transcription",
    "evaluate": "gatework.training.evaluation",
    "generate": "gatework.training.generation",
    "load": "gatework.training.loaded",
    "make_config": "gatework.training.config",
    "make_reporter": "gatework.training.progress",
    "read_toml": "gatework.training.config",
    "train": "gatework.training.loop",
}
__all__ = [*_PUBLIC]
__getattr__, __dir__ = lazily(__name__, _PUBLIC)
