"""The rules by which windows become spikes and spikes become alerts: thresholds with names, in one place.

takes  the [rules] table of the settings
gives  `Rules`
never  hides a threshold elsewhere in this room
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

Hours = Annotated[int, Field(ge=1, le=24 * 14)]


class Rules(BaseModel):
    """When negative news is a surge.

    Raises:
        pydantic.ValidationError: when a value is out of range or two values contradict each other.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    windows: tuple[Hours, ...] = Field(
        (3, 12, 24), description="Lengths of the sliding windows that are tested, in hours."
    )
    baseline_days: int = Field(28, ge=3, le=365, description="How many past days the usual rate is learned from.")
    learning_days: float = Field(
        7, gt=0, le=90, description="A series stays 'learning', and silent, until it has this many days of history."
    )
    leave_out_hours: int = Field(
        24,
        ge=0,
        le=168,
        description="The last hours that are kept out of the baseline, so that a surge does not become its own norm.",
    )
    false_alerts_per_week: float = Field(
        0.5, gt=0, le=50, description="How many false alerts a week are acceptable over all series together."
    )
    false_discovery_rate: float = Field(
        0.05, gt=0, le=0.5, description="Largest share of false ones among the series that surge at the same time."
    )
    minimum_negative: int = Field(
        4, ge=1, le=1000, description="Fewest distinct negative stories in a window that can alert."
    )
    minimum_publishers: int = Field(
        2, ge=1, le=50, description="Fewest publisher families that must carry the negative stories."
    )
    minimum_ratio: float = Field(
        2.0, ge=1, le=100, description="Fewest times the expected count: a tiny but certain rise is no news."
    )
    warning_rarity: float = Field(
        100, ge=1, description="How many times rarer than the rules ask a surge must be to be a warning."
    )
    warning_size: float = Field(
        1.5, ge=1, description="How many times minimum_negative and minimum_ratio a warning must reach."
    )
    critical_rarity: float = Field(
        10_000, ge=1, description="How many times rarer than the rules ask a surge must be to be critical."
    )
    critical_size: float = Field(
        3,
        ge=1,
        description="How many times minimum_negative and minimum_ratio a critical surge must reach. "
        "It needs one publisher family more, too.",
    )
    lingering_probability: float = Field(
        0.01,
        ge=0,
        le=0.5,
        description="An open alert goes on while its series is at least this improbable and at minimum_ratio; "
        "0 lets it ease as soon as it is no surge of its own.",
    )
    pending_minutes: int = Field(
        0, ge=0, le=1440, description="How long a surge must last before it fires; 0 fires at once."
    )
    recovering_minutes: int = Field(
        720, ge=0, le=10080, description="How long a series must be quiet before its alert resolves."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Rules:
        if not self.windows or tuple(sorted(set(self.windows))) != self.windows:
            raise ValueError("windows must be distinct and ascending, for example [3, 12, 24]")
        if self.learning_days > self.baseline_days:
            raise ValueError("learning_days cannot exceed baseline_days: nothing older than the baseline is looked at")
        if self.learning_days * 24 + self.left_out_hours > self.baseline_days * 24:
            raise ValueError(
                f"baseline_days must hold learning_days and the {self.left_out_hours} hours that are left out "
                "(leave_out_hours, or the longest window)"
            )
        if self.critical_rarity < self.warning_rarity or self.critical_size < self.warning_size:
            raise ValueError("a critical surge must be at least as rare and as large as a warning")
        return self

    @property
    def longest_window(self) -> timedelta:
        """The longest sliding window."""
        return timedelta(hours=self.windows[-1])

    @property
    def left_out_hours(self) -> int:
        """Hours kept out of the baseline: never fewer than the longest window, which is not to be its own norm."""
        return max(self.leave_out_hours, self.windows[-1])
