"""From a configuration to the things it speaks of: the text in numbers, the cell, the model."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gatework import cells
from gatework.cells import CELLS, Cell
from gatework.data.corpus import Corpus, read_corpus
from gatework.data.vocabulary import Vocabulary
from gatework.models.language import LanguageModel
from gatework.training.config import TrainConfig, is_equations
from gatework.training.memory import check_memory, count_parameters

DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Text:
    """A text in numbers.

    Args:
        corpus: Its symbols and where they are from.
        vocabulary: What each number means.
        tokens: The numbers of each split ``[n]``, int32.
    """

    corpus: Corpus
    vocabulary: Vocabulary
    tokens: dict[str, Tensor]

    def facts(self) -> dict[str, Any]:
        """Say as plain data what was read and what became of it."""
        unknown = self.vocabulary.unknown
        return {
            "fingerprint": self.corpus.fingerprint,
            "splits": {
                split: {"tokens": len(t), "unknown": 0 if unknown is None else int((t == unknown).sum())}
                for split, t in self.tokens.items()
            },
            "sources": [dict(source) for source in self.corpus.sources],
        }


def read_text(config: TrainConfig) -> Text:
    """Read the text of a configuration, and number its symbols.

    Raises:
        DataError: When it cannot be used.
    """
    corpus = read_corpus(
        config.data,
        level=config.level,
        encoding=config.encoding,
        pattern=config.pattern,
        valid_fraction=config.valid_fraction,
    )
    vocabulary = Vocabulary.of(corpus.splits["train"], config.level, config.vocabulary_size)
    return Text(corpus, vocabulary, {split: vocabulary.encode(text) for split, text in corpus.splits.items()})


def build_cell(config: TrainConfig) -> Cell:
    """Take the cell of a configuration and apply the transformations it asks for.

    Raises:
        CellError: When the cell does not have what a transformation changes.
        EquationError: When equations of the user's own do not fit together.
    """
    cell = cells.cell(config.cell, name="own-cell") if is_equations(config.cell) else CELLS[config.cell]
    if config.layer_norm:
        cell = cells.layer_norm(cell)
    if config.recurrent_dropout:
        cell = cells.recurrent_dropout(cell, config.recurrent_dropout)
    if config.zoneout:
        cell = cells.zoneout(cell, **config.zoneout)
    return cell


def build_model(config: TrainConfig, vocabulary_size: int, device: torch.device) -> LanguageModel:
    """Build the model of a configuration, its parameters drawn from torch's global generator.

    Args:
        config: The configuration.
        vocabulary_size: The number of symbols.
        device: Where its parameters are to be.

    Returns:
        The model. It is always drawn on the CPU in float32, so that device and dtype do not change where it begins.

    Raises:
        ConfigError: When it would not fit in memory, before any of it is allocated.
        SizeError: When sizes do not fit the cell.
    """
    cell = build_cell(config)
    parameters, places = count_parameters(config, cell, vocabulary_size), config.window * config.batch_size
    check_memory(config, cell, parameters, places, config.input_size, vocabulary_size, device)
    model = LanguageModel(
        vocabulary_size,
        cell,
        config.input_size,
        config.hidden_size,
        config.num_layers,
        proj_size=config.proj_size,
        dropout=config.dropout,
        tie_weights=config.tie_weights,
        init_range=config.init_range,
        init=config.init,
        forget_bias=config.forget_bias,
        chrono_steps=config.window if config.init == "chrono" else None,
    )
    return model.to(device=device, dtype=DTYPES[config.dtype])
