"""What detection asks of whoever remembers for it.

takes  moments, series and stories to look up; changes and deliveries to keep
gives  frames in the columns of `alerts.detection.windows`, evidence and open alerts
never  says how they are stored
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import polars as pl

from alerts.evidence import Evidence
from alerts.lifecycle import Alert, Change

if TYPE_CHECKING:
    from alerts.sending.delivery import Delivery
    from alerts.telling.notices import Decision


class Memory(Protocol):
    """The memory of detection; `monitor` implements it."""

    def history(self, since: datetime, until: datetime) -> pl.DataFrame:
        """Hourly rollups of every series with `since` <= hour <= `until`, in the columns of `HISTORY`."""
        ...

    def sightings(self, since: datetime, until: datetime) -> pl.DataFrame:
        """Fresh negative stories with `since` <= negative_at <= `until`, in the columns of `SIGHTINGS`."""
        ...

    def watched(self) -> pl.DataFrame:
        """Every watched series and since when, in the columns of `WATCHED`."""
        ...

    def evidence(self, series: str, stories: Sequence[int]) -> tuple[Evidence, ...]:
        """What is shown of these stories of a series, in the order asked for; a story that is gone is left out."""
        ...

    def open_alerts(self) -> tuple[Alert, ...]:
        """Alerts that are pending, firing or recovering; at most one a series."""
        ...

    def commit(
        self,
        changes: Sequence[Change],
        deliveries: Sequence[Delivery],
        decisions: Sequence[Decision] = (),
        withdrawn: Sequence[Delivery] = (),
    ) -> None:
        """Keep the changed alerts, the changes, new deliveries, decisions and what is withdrawn: all or nothing.

        One alert may change more than once in a call; its last change counts.
        """
        ...
