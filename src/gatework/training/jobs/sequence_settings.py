"""The settings of a sequence task."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from gatework.errors import ConfigError
from gatework.tasks.own import find_task
from gatework.tasks.task import Recorded
from gatework.training.jobs.latent import LatentSettings
from gatework.training.jobs.settings import Settings
from gatework.training.jobs.sounds import SoundSettings
from gatework.training.jobs.table import TableSettings, refuse_forecast_settings, refuse_table_settings
from gatework.training.jobs.truncation import uncut, windows_of


class SequenceSettings(LatentSettings, SoundSettings, TableSettings, Settings):
    """The settings of a sequence task, besides those that all jobs share."""

    headings: ClassVar[Mapping[str, str]] = {"shortest_gap": "Task"}

    shortest_gap: int | None = Field(
        None,
        ge=0,
        le=2**24,
        description="Train on gaps from this one to gap, one drawn for each step; by default only gap.",
    )

    def check(self) -> None:
        """Refuse settings that do not fit the task.

        Raises:
            ConfigError: If settings do not fit; the message names them and what was expected.
        """
        task = find_task(self.task)
        gap = task.check_gap(self.gap)
        task.check_data(self.data)
        if self.shortest_gap is not None:
            task.check_shortest_gap(self.shortest_gap, gap)
        if self.tbptt is not None and windows_of(task) == 1:
            raise ConfigError(uncut(self.tbptt, self.task))
        recorded = task.examples if isinstance(task.examples, Recorded) else None
        if recorded is None or not recorded.spoken:
            self.refuse_sound(self.task)
        if recorded is None or not recorded.own:
            refuse_table_settings(self, self.task)
        elif not recorded.ahead:
            refuse_forecast_settings(self, self.task)
