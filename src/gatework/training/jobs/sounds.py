"""The settings that say how recordings of speech are read, and how they are disturbed in training."""

from collections.abc import Mapping
from typing import ClassVar, get_args

from pydantic import BaseModel, ConfigDict, Field

from gatework.errors import ConfigError
from gatework.tasks.features.prepared import Normalize, SpeechOptions
from gatework.tasks.features.spoken import Kind


class SoundSettings(BaseModel):
    """The settings of recordings of speech."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True, allow_inf_nan=False)

    headings: ClassVar[Mapping[str, str]] = {"transcripts": "Data", "input_noise": "Regularisation"}

    transcripts: str = Field(
        "", pattern=r"^[^\x00]*$", description="The list of transcripts of recordings; by default transcripts.csv."
    )
    features: Kind = Field("mfcc", description="What is computed of speech: mfcc (13 cepstra) or log-mel (40 bands).")
    deltas: int = Field(2, ge=0, le=2, description="Rates of change beside the features of speech: 0, 1 or 2.")
    stack: int = Field(3, ge=1, le=32, description="Frames of speech, 10 ms each, that are one step.")
    normalize: Normalize = Field(
        "recording", description="What speech is standardised by: each recording, or the training recordings."
    )
    input_noise: float = Field(
        0.0, ge=0, le=100, description="Deviation of the noise added to the features of speech in training."
    )
    mask_steps: int = Field(
        0, ge=0, le=2**20, description="The most steps of each of two masks over speech in training (Park et al. 2019)."
    )
    mask_features: int = Field(
        0, ge=0, le=40, description="The most features of a mask over speech in training (Park et al. 2019)."
    )

    def speech_options(self) -> SpeechOptions:
        """Return how recordings are read."""
        told = {name: getattr(self, name) for name in SoundSettings.model_fields}
        return SpeechOptions(noise=told.pop("input_noise"), **told)

    def refuse_sound(self, task: str) -> None:
        """Refuse these settings for a task that reads no speech.

        Args:
            task: The name of the task.

        Raises:
            ConfigError: If one is given; the message names it.
        """
        for name, field in SoundSettings.model_fields.items():
            value = getattr(self, name)
            if value != field.default:
                raise ConfigError(
                    f"{name} is '{value}', and task '{task}' reads no speech. Leave it out, or choose a task "
                    "that does, such as --task speech."
                )


assert get_args(Kind)[0] == SoundSettings.model_fields["features"].default
