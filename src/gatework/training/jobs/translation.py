"""Translation as a job: pairs of sentences, read in passes, in batches of similar lengths."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gatework.cells import Cell
from gatework.data.sentences import Sentences
from gatework.errors import ConfigError, DataError, RunError
from gatework.models.state import State
from gatework.models.translator import Translator
from gatework.runs.seeds import mixed_seed
from gatework.tasks.own import find_task, is_own, is_task
from gatework.tasks.task import NOTHING, Pairs, Success
from gatework.training.jobs.build import DTYPES, build_reading_cell, known_cell, own_projection
from gatework.training.jobs.evaluation import Evaluation, Question
from gatework.training.jobs.kind import Choose, Ending, JobKind, Kept, Restored, Translation, Wish
from gatework.training.jobs.latent import nothing_to_draw
from gatework.training.jobs.memory_check import Needs, check_memory
from gatework.training.jobs.protocol import StepLoss
from gatework.training.jobs.settings import Settings
from gatework.training.jobs.shape import count_learned
from gatework.training.jobs.table import split_names
from gatework.training.jobs.translation_data import (
    Bilingual,
    PairedText,
    TranslationSettings,
    make_text,
    read_pair,
    read_splits,
)
from gatework.training.jobs.translation_score import (
    TranslationScore,
    find_translations,
    measure_translations,
    measure_trivial,
    signature,
)

_SHUFFLE = 3
_SHOWN = 5  # translations in a sample
_FILE = "vocabulary.json"


def make_translator(config: TranslationSettings, sizes: tuple[int, int], cell: Cell, hidden_size: int) -> Translator:
    """Build the model of a configuration on torch's current device.

    Args:
        config: The settings.
        sizes: The numbers of symbols of the source and of the target.
        cell: The cell.
        hidden_size: The number of units.

    Raises:
        CellError: If the cell cannot attend.
        SizeError: If sizes do not fit.
    """
    return Translator(
        sizes,
        cell,
        config.embedding_size or hidden_size,
        hidden_size,
        config.num_layers,
        attention=config.attention,
        place=config.attention_place,
        attention_size=config.attention_size,
        shared=config.shared_pieces,
        tie=not config.untied,
        dropout=config.dropout,
        locked_dropout=config.locked_dropout,
        smoothing=config.smoothing,
        proj_size=config.proj_size or own_projection(cell, hidden_size),
        init=config.init,
        forget_bias=config.forget_bias,
        chrono_steps=max(3, find_task(config.task).check_gap(config.gap)) if config.init == "chrono" else None,
    )


def build_translator(config: TranslationSettings, sizes: tuple[int, int], device: torch.device) -> Translator:
    """Draw the model on the CPU and in float32, whatever its later device and dtype.

    Raises:
        ConfigError: If it would not fit in memory; checked before anything is allocated.
        CellError: If the cell cannot attend.
        SizeError: If sizes do not fit.
    """
    cell, shape = build_reading_cell(config), TranslationShape(config, sizes)
    gap = find_task(config.task).check_gap(config.gap)
    needs = Needs(shape.count(cell, config.hidden_size), gap * config.batch_size, 3 * config.hidden_size, sizes[1])
    check_memory(config, cell, needs, device, f"gap ({gap})")
    model = make_translator(config, sizes, cell, config.hidden_size)
    return model.to(device=device, dtype=DTYPES[config.dtype])


@dataclass(frozen=True)
class TranslationShape:
    """The sizes of a model of translations, apart from its cell and its units.

    Args:
        config: The settings.
        sizes: The numbers of symbols of the source and of the target.
    """

    config: TranslationSettings
    sizes: tuple[int, int]

    @property
    def width(self) -> int:
        """The number of features that the first layers read at each step."""
        return self.config.embedding_size or self.config.hidden_size

    def count(self, cell: Cell, hidden_size: int) -> int:
        """Count the parameters of a model."""
        with torch.device("meta"):
            return count_learned(make_translator(self.config, self.sizes, cell, hidden_size))

    def fewest(self, cell: Cell) -> int:
        """Return the smallest number of units of a cell, as a multiple of the factor that it requires."""
        least = 1 + max(self.config.proj_size, 1 if own_projection(cell, 2) else 0)
        return max(1, -(-least // cell.step.multiple_of))


class TranslationJob:
    """Translate sentences.

    Args:
        config: The settings of the run.
        text: The sentences.
    """

    unit = "sequence"
    quantity = "loss"

    def __init__(self, config: TranslationSettings, text: PairedText) -> None:
        self.config, self.text = config, text
        self.task = find_task(config.task)
        self.splits = tuple(text.splits)
        self.steps_per_epoch = len(text.splits["train"]) // config.batch_size
        self._epoch: tuple[int, list[Any]] = (-1, [])
        self.signature = signature(
            lowercase=config.lowercase
        )  # refuses before anything is written if it cannot measure

    @cached_property
    def fingerprint(self) -> str:
        """The fingerprint of the sentences and the pieces."""
        return self.text.fingerprint

    @property
    def success(self) -> Success:
        """The criterion of success."""
        return self.task.success

    @property
    def shape(self) -> TranslationShape:
        """The sizes of the model, apart from its cell and its units."""
        return TranslationShape(self.config, self.text.vocabulary.sizes)

    def baseline(self) -> dict[str, float]:
        """Return no metrics: the chance level is not known."""
        return {}

    def trivial(self, split: str) -> Mapping[str, Mapping[str, float]]:
        """Return the BLEU of trivial predictors on a split, by their names."""
        splits = self.text.splits
        return measure_trivial(splits["train"], splits[self.split(split)], lowercase=self.config.lowercase)

    def split(self, name: str) -> str:
        """Return the split of a name; ``test`` is the first one of several.

        Raises:
            DataError: If there is none.
        """
        found = next((split for split in self.splits if split == name or (name == "test" and split[:4] == name)), None)
        if found is None:
            raise DataError(f"The data have no split '{name}': they have {', '.join(self.splits)}.")
        return found

    def describe(self) -> dict[str, Any]:
        """Describe the task and its source."""
        task = self.task
        about = {"name": task.name, "title": task.title, "source": task.source, "gap": task.gap.meaning}
        return about | {"published": [asdict(known) for known in task.published]}

    def facts(self) -> dict[str, Any]:
        """Return facts about the sentences, as plain data."""
        splits = {
            name: {"sentences": len(part), "files": [dict(file) for file in part.files]}
            for name, part in self.text.splits.items()
        }
        sizes, own = self.text.vocabulary.sizes, {"own_task": True} if is_own(self.task.name) else {}
        about = {"fingerprint": self.fingerprint, "task": self.task.name, "splits": splits}
        return about | {"source_pieces": sizes[0], "target_pieces": sizes[1], "bleu": self.signature} | own

    def files(self) -> Mapping[str, Any]:
        """Return the file of the vocabularies."""
        return {_FILE: self.text.vocabulary.to_json()}

    def about(self) -> list[str]:
        """Describe the sentences, and how BLEU is measured."""
        counts = ", ".join(f"{len(part):,} {name}" for name, part in self.text.splits.items())
        source, target = self.text.vocabulary.sizes
        pieces = f"{source:,} pieces" if self.config.shared_pieces else f"{source:,} and {target:,} pieces"
        lines = [f"pairs of sentences: {counts}; {pieces} of words, learned from those to train on"]
        lines.append(f"BLEU by sacrebleu: {self.signature}")
        if self.config.pair and not self.config.test_pair and self.config.valid_pair:
            lines.append("no test_pair was given, so the held-out sentences are also those to test on")
        return lines

    def build(self, device: torch.device) -> Translator:
        """Draw the model."""
        return build_translator(self.config, self.text.vocabulary.sizes, device)

    def train(self, model: Translator, step: int, rows: slice, state: State) -> StepLoss:
        """Read some rows of the batch of a step."""
        epoch, number = divmod(step, self.steps_per_epoch)
        if self._epoch[0] != epoch:
            rng = np.random.default_rng(mixed_seed(self.config.seed, _SHUFFLE, epoch))
            self._epoch = epoch, self.text.epoch(rng, self.config.batch_size)
        batch, device = self.text.batch("train", self._epoch[1][number], model.answers.shift), model.head.weight.device
        mine = batch.columns(rows)
        before, targets = mine.before.to(device), mine.targets.to(device)
        losses = model.losses(mine.source.to(device), mine.lengths, before, targets)
        asked = int((batch.targets != -100).sum())
        return StepLoss(losses.sum(), asked, self.config.batch_size, None)

    def carries(self, step: int) -> bool:
        """Tell that no state is carried from batch to batch."""
        return False

    def trained(self, total: float, asked: int) -> TranslationScore:
        """Turn the sum of the training loss into a score."""
        return TranslationScore(total, asked)

    def measure(self, model: Translator, split: str, share: tuple[int, int]) -> TranslationScore:
        """Measure the model on the share of a process."""
        lowercase, wish = self.config.lowercase, Wish(self.config.beams)
        return measure_translations(model, self.text, self.split(split), wish, lowercase, share)

    def put_together(self, sums: list[float]) -> TranslationScore:
        """Make one score from the sums of several."""
        return TranslationScore.of(sums)

    def sample(self, model: Translator, seed: int) -> str:
        """Translate the first held-out sentences."""
        lines = self.text.splits["valid"].source[:_SHOWN]
        rows = find_translations(model, self.text.vocabulary, lines, Wish())
        told = [self.text.vocabulary.write(row[0].symbols) if row else "" for row in rows]
        return "".join(f"{line}\n  {found}\n" for line, found in zip(lines, told, strict=True))


@dataclass(frozen=True)
class TrainedTranslation:
    """A finished run, from its directory; the sentences are read only if they are needed.

    Args:
        config: The settings of the run.
        vocabulary: The vocabularies of the run.
        fingerprint: The fingerprint of the sentences and the pieces.
    """

    config: TranslationSettings
    vocabulary: Bilingual
    fingerprint: str

    def build(self, device: torch.device) -> Translator:
        """Build the model that a checkpoint fills."""
        return build_translator(self.config, self.vocabulary.sizes, device)


class TranslationKind(JobKind):
    """Translation: one kind of job for all tasks whose examples are pairs of sentences."""

    name = "pairs"
    settings = TranslationSettings

    def takes(self, task: str) -> bool:
        """Tell whether the examples of a task are pairs of sentences."""
        return is_task(task) and isinstance(find_task(task).examples, Pairs)

    def defaults(self, values: Mapping[str, Any], *, files: bool) -> Mapping[str, Any]:
        """Return the task's own defaults."""
        task = find_task(values["task"])
        lengths = ("steps", "epochs")
        said = any(values.get(name) is not None for name in lengths)
        suited = {name: value for name, value in task.defaults.items() if not (said and name in lengths)}
        cell = known_cell(values.get("cell", Settings.model_fields["cell"].default), files)
        units = {**suited, **values}["hidden_size"]
        if cell is not None and isinstance(units, int) and (size := own_projection(cell, units)):
            suited["proj_size"] = size
        return suited

    def title(self, config: TranslationSettings) -> str:
        """Return the name of the task, and of the file of sentences if one was given."""
        stem = f"-{Path(config.pair[0]).stem}" if config.pair else ""
        return f"{config.task}{stem}".encode("utf-8", errors="replace").decode("utf-8")

    def data_name(self, config: TranslationSettings) -> str:
        """Return the place of the sentences."""
        return ",".join(config.pair) or config.data or self.title(config)

    def begin(self, config: TranslationSettings) -> TranslationJob:
        """Read the sentences and learn their pieces."""
        return TranslationJob(config, make_text(read_splits(config), config))

    def restore(self, run: str, config: TranslationSettings, kept: Kept) -> TrainedTranslation:
        """Read the vocabularies of the run."""
        try:
            vocabulary = Bilingual.from_json(kept.read_json(_FILE), config.shared_pieces)
        except DataError as error:
            raise RunError(f"'{kept.path / _FILE}': {error}") from error
        return TrainedTranslation(config, vocabulary, kept.read_data()["fingerprint"])

    def check_question(self, run: str, question: Question) -> None:
        """Refuse options that are only for text."""
        if question.streams is not None or question.symbols is not None:
            name = "streams" if question.streams is not None else "symbols"
            raise ConfigError(f"{name} is given, and run '{run}' was trained on pairs of sentences. Leave it out.")
        if question.draws is not None:
            raise ConfigError(nothing_to_draw(run, question.draws))

    def evaluate(self, restored: Restored, question: Question) -> Evaluation:
        """Measure a model on a split of its sentences, or on another pair of files."""
        config: TranslationSettings = restored.config
        job, split = _opened(restored, question)
        wish, lowercase = Wish(config.beams if question.beams is None else question.beams), config.lowercase
        score = measure_translations(restored.model, job.text, split, wish, lowercase)
        metrics, trivial = score.named(), job.trivial(split)
        how = {"BLEU": f"sacrebleu, {job.signature}", "search": f"{wish.beams} beams" if wish.beams > 1 else "greedy"}
        found = Evaluation(restored.run, restored.step, split, score.asked, 0, metrics, trivial=trivial)
        gap = job.task.check_gap(config.gap if question.gap is None else question.gap)
        solved, verdict = job.success.reached(metrics, trivial), job.success.verdict(metrics, trivial)
        told = {"gap": gap, "solved": solved, "verdict": verdict, "notes": how}
        return replace(found, sequences=len(job.text.splits[split]), **told)

    def translates(self, config: Settings) -> bool:
        """Tell that these models translate."""
        return True

    def draw_translation(self, restored: Restored, sentence: str, choose: Choose, length: int) -> Iterator[str]:
        """Draw a translation, symbol by symbol."""
        known: Bilingual = restored.trained.vocabulary
        (told,) = known.told([sentence], lowercase=restored.config.lowercase)
        numbers = restored.model.draw(*known.read([told]), known.end, choose, length) if told else iter(())
        return known.written(numbers)

    def translate(self, restored: Restored, sentences: Sequence[str], wish: Wish) -> list[Translation]:
        """Translate sentences, each of which is read as those to train on were."""
        known: Bilingual = restored.trained.vocabulary
        told = known.told(sentences, lowercase=restored.config.lowercase)
        some = [number for number, sentence in enumerate(told) if sentence]
        found = find_translations(restored.model, known, [told[number] for number in some], wish)
        answers = [Translation(sentence, "") for sentence in sentences]
        for number, (best, *others) in zip(some, found, strict=True):
            rest = tuple(known.write(other.symbols) for other in others)
            text = known.write(best.symbols)
            answers[number] = Translation(sentences[number], text, best.log_probability, best.ended, rest)
        return answers

    def ending(
        self,
        config: TranslationSettings,
        run: str,
        metrics: Mapping[str, float],
        sample: str,
        splits: Sequence[str],
        trivial: Mapping[str, Mapping[str, float]] = NOTHING,
    ) -> Ending:
        """Say how BLEU is measured, and suggest to measure the model and to translate with it."""
        notes = [f"BLEU by sacrebleu: {signature(lowercase=config.lowercase)}"]
        test = next((split for split in splits if split.startswith("test")), "valid")
        first = sample.partition("\n")[0]
        commands = [f"evaluate {run} --split {test} --beams 5", f"translate {run} --text {shlex.quote(first)}"]
        return Ending("sentences", ".4g", notes, commands, continues=config.steps is not None)


def _opened(restored: Restored, question: Question) -> tuple[TranslationJob, str]:
    """Open the sentences of a question; return the job, and the split to measure."""
    config, trained = restored.config, restored.trained
    splits: dict[str, Sentences] = read_splits(config)
    job = TranslationJob(config, make_text(splits, config, trained.vocabulary))
    if job.fingerprint != trained.fingerprint:
        raise DataError(
            f"The sentences of run '{restored.run}' have changed since it was trained. Bring the old ones back."
        )
    split = job.split(question.split)
    if question.data:
        pair = split_names(question.data)
        if len(pair) != 2:
            raise ConfigError(
                f"data is '{question.data}'; expected two files with a comma between, the sentences and their "
                "translations, such as a.en,a.de."
            )
        split = question.data
        job = TranslationJob(config, replace(job.text, splits={**job.text.splits, split: read_pair(pair, config)}))
    if question.gap is not None:
        some = job.text.splits[split].at_most(question.gap)
        if not len(some):
            raise ConfigError(f"gap is {question.gap}: no sentence of '{split}' has so few words.")
        job = TranslationJob(config, replace(job.text, splits={**job.text.splits, split: some}))
    return job, split
