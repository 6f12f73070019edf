"""A language model as a job: one long text, read as streams side by side."""

from collections.abc import Mapping
from typing import Any

import torch

from gatework.models.language import LanguageModel, Metric, State, Streams, bits_name, measure
from gatework.models.sampling import write_on
from gatework.training.build import Text, build_model
from gatework.training.config import TrainConfig
from gatework.training.jobs.protocol import Part

SAMPLE_LENGTH = {"byte": 600, "char": 600, "word": 120}


class TextJob:
    """Predict each symbol of a text from those before it.

    Args:
        config: What the run was told.
        text: The text in numbers.

    Raises:
        DataError: When the text is too short for the batch.
    """

    def __init__(self, config: TrainConfig, text: Text) -> None:
        self.config = config
        self.text = text
        self.fingerprint = text.corpus.fingerprint
        self.unit = config.level
        self.quantity = "perplexity" if config.level == "word" else bits_name(config.level)
        self.splits = tuple(text.tokens)
        self.streams = Streams(text.tokens["train"], text.vocabulary.start, config.batch_size, config.window)
        self.windows = self.streams.windows

    success = None
    shape = None

    def baseline(self) -> dict[str, float]:
        """Give nothing: nobody knows what a guess gets."""
        return {}

    def describe(self) -> dict[str, Any]:
        """Say what the text is called."""
        return {"name": self.config.task, "title": self.config.title, "source": "", "gap": "", "published": []}

    def facts(self) -> dict[str, Any]:
        """Say as plain data what was read and what became of it."""
        return self.text.facts()

    def files(self) -> Mapping[str, Any]:
        """Give the vocabulary."""
        return {"vocabulary.json": self.text.vocabulary.to_json()}

    def about(self) -> list[str]:
        """Say how much text there is."""
        held_out, units = len(self.text.tokens["valid"]), f"{self.unit}s"
        trained_on = self.streams.length * self.config.batch_size
        return [
            f"text: {trained_on:,} {units} to train on, {held_out:,} held out, {len(self.text.vocabulary):,} different"
        ]

    def build(self, device: torch.device) -> LanguageModel:
        """Draw the model."""
        return build_model(self.config, len(self.text.vocabulary), device)

    def train(self, model: LanguageModel, step: int, rows: slice, state: State) -> Part:
        """Read the next window of some of the streams."""
        place = step % self.windows
        read, targets = self.streams.window(place, rows)
        device = model.embedding.weight.device
        nats, state = model.surprise(read.to(device), targets.to(device), state if place else None)
        tokens = targets.shape[0] * self.config.batch_size
        return Part(nats, tokens, tokens, state if place + 1 < self.windows else None)

    def carries(self, step: int) -> bool:
        """Tell whether a pass over the text goes on after a step."""
        return step % self.windows != 0

    def trained(self, total: float, asked: int) -> Metric:
        """Give the metric that training itself amounts to."""
        return Metric(total, asked, self.config.level)

    def measure(self, model: LanguageModel, split: str, share: tuple[int, int]) -> Metric:
        """Measure the model on a process's share of a split, every symbol once."""
        return measure(model, self.text.tokens[split], self.text.vocabulary, share=share)

    def put_together(self, sums: list[float]) -> Metric:
        """Make one metric of the sums of several."""
        return Metric(sums[0], int(sums[1]), self.config.level)

    def sample(self, model: LanguageModel, seed: int) -> str:
        """Let the model write."""
        vocabulary, nothing = self.text.vocabulary, torch.zeros(0, dtype=torch.int32)
        length = SAMPLE_LENGTH[vocabulary.level]
        return vocabulary.decode(write_on(model, vocabulary, nothing, length, seed=seed, temperature=0.7))
