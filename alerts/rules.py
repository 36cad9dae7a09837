"""The rules by which windows become spikes and spikes become alerts: thresholds with names, in one place.

takes  the [rules] table of the settings
gives  `Rules`
never  hides a threshold elsewhere in this room
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

Hours = Annotated[int, Field(ge=1, le=24 * 14)]


class Detector(StrEnum):
    """What a series is tested for."""

    VOLUME = "volume"  # more negative stories than its share of the news
    TONE = "tone"  # more negative stories than all that is written about it explains
    SLOW = "slow"  # somewhat more than usual, day after day
    BREAKING = "breaking"  # one story that many publisher families carry


# How the false alerts of a series are shared among its detectors: most to the two that find most.
_PARTS = {Detector.VOLUME: 0.475, Detector.TONE: 0.475, Detector.SLOW: 0.05}
# How many families usually carry a negative story is learned from the stories of so many days.
_FAMILY_DAYS = 10


class Rules(BaseModel):
    """When negative news is a surge.

    Raises:
        pydantic.ValidationError: when a value is out of range or two values contradict each other.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    windows: tuple[Hours, ...] = Field(
        (1, 3, 12, 24), description="Lengths of the sliding windows that are tested, in hours."
    )
    detectors: tuple[Detector, ...] = Field(
        (Detector.VOLUME, Detector.TONE, Detector.SLOW, Detector.BREAKING),
        description="What is looked for: volume, tone, slow (a rise over days), breaking (one story, many publishers).",
    )
    baseline_days: int = Field(56, ge=3, le=365, description="How many past days the usual rate is learned from.")
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
        0.25, gt=0, le=50, description="How many false alerts a week are acceptable over all series together."
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
    slow_days: int = Field(10, ge=3, le=14, description="How many days back a slow rise is added up.")
    breaking_publishers: int = Field(
        4, ge=2, le=50, description="Fewest publisher families that make one negative story a breaking one."
    )
    breaking_hours: int = Field(
        6, ge=1, le=48, description="How soon after it turned negative they must carry it, in hours."
    )
    warning_score: float = Field(
        2.0, ge=0, le=20, description="Severity score from which an alert is a warning (formula: docs/detection.md)."
    )
    critical_score: float = Field(4.0, ge=0, le=20, description="Severity score from which an alert is critical.")
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
        if self.critical_score < self.warning_score:
            raise ValueError("critical_score cannot be below warning_score")
        if not self.detectors or len(set(self.detectors)) != len(self.detectors):
            raise ValueError("detectors must name at least one of volume, tone, slow, breaking, each once")
        return self

    @property
    def longest_window(self) -> timedelta:
        """The longest sliding window."""
        return timedelta(hours=self.windows[-1])

    @property
    def left_out_hours(self) -> int:
        """Hours kept out of the baseline: never fewer than the longest window, which is not to be its own norm."""
        return max(self.leave_out_hours, self.windows[-1])

    @property
    def lookback(self) -> timedelta:
        """How far back fresh stories are asked for."""
        days = max(self.slow_days if Detector.SLOW in self.detectors else 0, _FAMILY_DAYS)
        return max(self.longest_window, timedelta(days=days))

    def part(self, detector: Detector) -> float:
        """The part of a series' false alerts that one test of a detector may use; all tests together have 1."""
        if detector is Detector.BREAKING:
            return 1.0
        among = sum(part for one, part in _PARTS.items() if one in self.detectors)
        tests = 1 if detector is Detector.SLOW else len(self.windows)
        return _PARTS[detector] / among / tests if detector in self.detectors else 0.0
