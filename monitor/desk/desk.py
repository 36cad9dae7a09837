"""What a person at the desk may do, from any process: the face for commands and dashboard.

takes  the path of a store
gives  `Desk`: acknowledge, note, assign, judge, silence, send again, and the tally of judgements
never  holds the store longer than one request, and never writes beside a running daemon: the daemon does it then
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from alerts.judgement import Tally
from monitor.desk.actions import ACTIONS
from monitor.storage.desk_store import Saying
from monitor.storage.reading import Reader
from monitor.storage.store import Store


class Desk:
    """Requests about alerts, silences and messages. Safe for many threads when its reader is.

    Every method that changes something raises `InputUnusable` (or, through a daemon, `ServiceError`) with words for
    people when it is refused, and `StoreError` when the store cannot be used.

    Attributes:
        reader: answers queries; also says whether a daemon runs.
    """

    def __init__(self, store: Path | str, reader: Reader) -> None:
        self._store = store
        self.reader = reader

    @classmethod
    def open(cls, store: Path | str) -> Self:
        """A desk at this store.

        Raises:
            StoreUnavailable: there is no store yet.
            StoreError: the store cannot be read.
            ServiceError: the daemon holds the store, but does not answer.
        """
        return cls(store, Reader.open(store))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.reader.close()

    def acknowledge(self, alert: str, who: str, words: str = "") -> dict[str, Any]:
        """Take an alert on: no more reminders of it. Escalation and the end are told as ever."""
        return self._remark(alert, Saying.ACKNOWLEDGED, who, words)

    def reopen(self, alert: str, who: str, words: str = "") -> dict[str, Any]:
        """Take an acknowledgement back."""
        return self._remark(alert, Saying.REOPENED, who, words)

    def note(self, alert: str, who: str, words: str) -> dict[str, Any]:
        """Write something beside an alert."""
        return self._remark(alert, Saying.NOTE, who, words)

    def assign(self, alert: str, who: str, to: str) -> dict[str, Any]:
        """Name the person who looks after an alert."""
        return self._remark(alert, Saying.ASSIGNED, who, to)

    def judge(self, alert: str, who: str, *, true: bool, words: str = "") -> dict[str, Any]:
        """Say whether an alert was worth the notice; the last judgement counts."""
        return self._remark(alert, Saying.TRUE if true else Saying.FALSE, who, words)

    def silence(self, pattern: str, until: datetime, who: str, why: str = "") -> dict[str, Any]:
        """Send no notices of the series that a pattern covers, until an instant (aware)."""
        return self._act("silence", pattern=pattern, until=until.isoformat(), who=who, why=why)

    def unsilence(self, silence: str) -> dict[str, Any]:
        """End a silence now."""
        return self._act("unsilence", silence=silence)

    def redeliver(self, delivery: str = "", channel: str = "") -> dict[str, Any]:
        """Send a dead letter, or all dead letters of a channel, once more."""
        return self._act("redeliver", delivery=delivery, channel=channel)

    def enable(self, channel: str) -> dict[str, Any]:
        """Switch a channel on again whose receiver had said that it wants nothing more."""
        return self._act("enable", channel=channel)

    def hasten(self, channel: str) -> int:
        """Have what waits there for a retry tried at once, since it took a test message; how many that are."""
        return int(self._act("hasten", channel=channel)["hastened"])

    def tally(self, since: datetime, now: datetime, stated: float) -> Tally:
        """Judged alerts among those that fired since then, against the stated false alerts a week."""
        row = self.reader.query("tally", since=since, until=now).row(0, named=True)
        # Of before the store there may be news, from an archive or a feed's backlog, but nothing of it ever alerts.
        created = dict(self.reader.query("meta").iter_rows())["created_at"]
        begun = max(since, row["begun"] or now, datetime.fromisoformat(created))
        weeks = max(0.0, (now - begun) / timedelta(weeks=1))
        return Tally(row["judged_true"], row["judged_false"], row["unjudged"], weeks, stated)

    def _remark(self, alert: str, what: Saying, who: str, words: str) -> dict[str, Any]:
        return self._act("remark", alert=alert, what=what.value, who=who, words=words)

    def _act(self, name: str, **body: object) -> dict[str, Any]:
        self.reader.query("meta")  # says whether a daemon runs now
        if self.reader.live:
            answer = self.reader.act(name, **body)
            return answer if isinstance(answer, dict) else {}
        now = datetime.now(UTC)
        with Store.open(self._store, now) as store:
            return ACTIONS[name](store, body, now)
