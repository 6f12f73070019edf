"""The trials of a comparison, the training run of each, and the choice of the best learning rate.

Every cell is trained with every learning rate at every gap (tuning), and then from new seeds with the rate that was
best for it at that gap (final runs). The seed of a trial determines its data: at one gap the n-th run of every cell
trains on the same sequences in the same order and is measured on the same ones, so that results can be compared in
pairs. Only the initial weights differ, because their shapes do.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from math import inf
from typing import Any

from gatework.cells import Cell
from gatework.errors import ConfigError, GateworkError
from gatework.runs.seeds import mixed_seed
from gatework.search.comparing.config import SHARED, CompareConfig
from gatework.search.comparing.matching import Size, match_sizes
from gatework.search.running.trial import Outcome, Trial, criterion, worth
from gatework.training.config import TrainConfig, make_config
from gatework.training.jobs.build import build_cell
from gatework.training.jobs.protocol import Job, Shape
from gatework.training.jobs.registry import open_job


class ComparisonPlan:
    """All trials of a comparison.

    Args:
        config: The configuration of the comparison.

    Raises:
        ConfigError: If cells or settings do not fit the task.
        DataError: If recorded data cannot be used.
    """

    def __init__(self, config: CompareConfig) -> None:
        self.config = config
        base = self._run_of(config.reference_cell, config.hidden_size)
        # This checks recorded data at every gap before anything is written.
        jobs = {gap: open_job(base.model_copy(update={"gap": gap})) for gap in config.gaps}
        job = jobs[config.gaps[0]]
        self.success = criterion(job, config.task)
        best = {gap: self.success.best(job.trivial("test")) for gap, job in jobs.items()}
        self.baseline = {gap: None if found is None else found[1] for gap, found in best.items()}
        self.predictor = next((found[0] for found in best.values() if found is not None), "")
        self.fingerprints = {gap: job.fingerprint for gap, job in jobs.items()}
        self.described = job.describe()
        self.budget = base.steps
        cells = {label: self._built(label) for label in dict.fromkeys((*config.entries, config.reference_cell))}
        own = {label: self._shape_of(label, job) for label in config.entries if config.varied(label)}
        self.sizes: dict[str, Size] = match_sizes(config, cells, job.shape, base.hidden_size, own)
        # This checks that the settings fit together.
        self._runs = {label: self._run_of(label, self.sizes[label].hidden_size) for label in config.entries}

    def facts(self) -> dict[str, Any]:
        """Return facts about the task, as plain data."""
        return {
            **self.described,
            "success": asdict(self.success) | {"in_words": str(self.success)},
            "predictor": self.predictor,
            "chance": [{"gap": gap, self.success.metric: value} for gap, value in self.baseline.items()],
        }

    def _built(self, label: str) -> Cell:
        try:
            return build_cell(self._run_of(label, self.config.hidden_size))
        except GateworkError as error:
            raise ConfigError(f"Cell '{label}' cannot take part: {error}") from error

    def _shape_of(self, label: str, job: Job) -> Shape | None:
        """Return the sizes of the models of an entry with a setting of its own, which must not change the data."""
        other = open_job(self._run_of(label, self.config.hidden_size))
        if other.fingerprint != job.fingerprint:
            raise ConfigError(
                f"vary is '{self.config.vary}', and models would not be trained on the same data with each of its "
                "values. Choose a setting of the model or the training."
            )
        return other.shape

    def _run_of(self, label: str, hidden_size: int | None) -> TrainConfig:
        """Configure the training run of a cell at the first gap; the task determines settings that are not given."""
        config = self.config
        settings = {name: getattr(config, name) for name in SHARED if getattr(config, name) not in (None, "")}
        if not config.find(label).remember:  # it has no forget bias to set
            settings.pop("forget_bias", None)
            if settings.get("init") == "chrono":
                settings["init"] = "torch"
        if hidden_size is not None:
            settings["hidden_size"] = hidden_size
        settings |= {"task": config.task, "gap": config.gaps[0], "cell": config.text_of(label)}
        settings |= config.varied(label)
        return make_config(settings)

    def train_config(self, trial: Trial) -> TrainConfig:
        """Return the training run of a trial: that of its cell, with the gap, learning rate and seed of the trial.

        Args:
            trial: The trial.

        Returns:
            The complete configuration.
        """
        own = {"gap": trial.gap, "learning_rate": trial.learning_rate, "seed": seed_of(self.config.seed, trial)}
        return self._runs[trial.cell].model_copy(update=own)

    @property
    def tunes(self) -> bool:
        """Whether there are several learning rates to choose from."""
        return len(self.config.learning_rates) > 1

    @property
    def total(self) -> int:
        """The number of all trials."""
        config = self.config
        tuning = len(config.learning_rates) * config.tuning_seeds if self.tunes else 0
        return len(config.entries) * len(config.gaps) * (tuning + config.seeds)

    def places(self) -> Iterator[tuple[str, int]]:
        """Iterate over every cell at every gap."""
        for cell in self.config.entries:
            for gap in self.config.gaps:
                yield cell, gap

    def tuning(self, cell: str, gap: int) -> list[Trial]:
        """List the trials from which the learning rate of a cell at a gap is chosen."""
        rates = self.config.learning_rates if self.tunes else ()
        return [Trial(cell, gap, "tune", rate, n) for rate in rates for n in range(self.config.tuning_seeds)]

    def finals(self, cell: str, gap: int, learning_rate: float) -> list[Trial]:
        """List the final runs of a cell at a gap."""
        return [Trial(cell, gap, "final", learning_rate, number) for number in range(self.config.seeds)]

    def chosen(self, cell: str, gap: int, done: Mapping[Trial, Outcome]) -> float | None:
        """Choose the learning rate of a cell at a gap.

        The best one has the fewest runs that diverged, then the best criterion metric on the validation sequences,
        averaged over the tuning runs, then the fewest steps, then the lowest loss. Metrics are capped at the criterion:
        runs end there, so the amount by which a run exceeds it means nothing.

        Args:
            cell: The label of the cell.
            gap: The gap.
            done: The finished trials.

        Returns:
            The learning rate; None while tuning trials are missing.
        """
        if not self.tunes:
            return self.config.learning_rates[0]
        trials = self.tuning(cell, gap)
        if any(trial not in done for trial in trials):
            return None

        success = self.success
        enough = worth(success.at_most if success.at_least is None else success.at_least, success)

        def rank(rate: float) -> tuple[float, ...]:
            runs = [done[trial] for trial in trials if trial.learning_rate == rate]
            metric = sum(min(enough, worth(run.valid[success.metric], success)) for run in runs) / len(runs)
            losses = [run.valid["loss"] for run in runs]
            loss = sum(inf if value is None else value for value in losses)
            return (sum(run.blew_up for run in runs), -metric, sum(run.steps for run in runs), loss)

        return min(self.config.learning_rates, key=rank)

    def waiting(self, done: Mapping[Trial, Outcome]) -> list[Trial]:
        """List the trials that can be run now, the longest first.

        Args:
            done: The finished trials.

        Returns:
            The remaining trials whose learning rate is known.
        """
        left: list[Trial] = []
        for cell, gap in self.places():
            rate = self.chosen(cell, gap, done)
            ready = self.tuning(cell, gap) if rate is None else self.finals(cell, gap, rate)
            left += [trial for trial in ready if trial not in done]
        order = list(self.config.entries)
        # Within a gap, tuning comes first, because other trials wait for it.
        return sorted(left, key=lambda t: (-t.gap, t.purpose != "tune", t.number, order.index(t.cell)))


def seed_of(seed: int, trial: Trial) -> int:
    """Return the seed of a trial: equal for every cell and learning rate, so that all train on the same sequences.

    Args:
        seed: The seed of the comparison.
        trial: The trial.

    Returns:
        A number from 0 to 2**63 - 1.

    Example:
        >>> first = seed_of(0, Trial("rnn", 10, "final", 0.01, 0))
        >>> first == seed_of(0, Trial("lstm", 10, "final", 0.003, 0))
        True
    """
    return mixed_seed(seed, trial.purpose, trial.gap, trial.number)
