"""What is due, after the machine's clock was set back.

takes  the store, and now
gives  feeds and deliveries due as long after now as they were after the wrong time; silences, troubles, the
       watching of series and the quiet time of alerts that began after now begin now
never  touches what happened: a headline, a surge or an attempt keeps the time that was noted

A clock that ran a day ahead leaves checks and retries a day ahead. What happened last, according to the store, cannot
lie after now: by so much the clock was wrong. Digests are put right where their hours are known, in
`monitor.service.telling`.
"""

from __future__ import annotations

from datetime import datetime

from alerts.telling.silences import LONGEST
from monitor.storage.store import Store

# Not by `least`, which takes "never" for later than any time.
_FEEDS = """
    UPDATE feeds SET
        next_check_at = next_check_at - (last_check_at - $now),
        retry_at = retry_at - (last_check_at - $now),
        last_success_at = if(last_success_at > $now, $now, last_success_at),
        last_check_at = $now
    WHERE last_check_at > $now
"""
# What is held back until an hour of the day stays held back until that hour: it comes by whole days.
_DELIVERIES = """
    UPDATE deliveries SET next_attempt_at = next_attempt_at - if(
        bundle LIKE '%/quiet', to_hours(24 * date_sub('day', $now::TIMESTAMPTZ, noted)), noted - $now
    )
    FROM (
        SELECT d.id AS one, greatest(d.created_at, coalesce(max(a."at"), d.created_at)) AS noted
        FROM deliveries d LEFT JOIN attempts a ON a.delivery = d.id
        WHERE d.state = 'pending' GROUP BY d.id, d.created_at
    )
    WHERE id = one AND noted > $now AND next_attempt_at > $now
"""
# Reminders are reckoned from what arrived last.
_ARRIVED = "UPDATE deliveries SET finished_at = $now WHERE finished_at > $now"
# A person named the end, so it stays, as far as a silence may last.
_SILENCES = """
    UPDATE silences SET created_at = $now, until = least(until, $latest), ended_at = if(ended_at > $now, $now, ended_at)
    WHERE created_at > $now
"""
_TROUBLES = "UPDATE conditions SET since = $now, told_at = if(told_at > $now, $now, told_at) WHERE since > $now"
# A series that began ahead would learn nothing until then.
_SERIES = """
    UPDATE series SET since = if(since > $now, $now, since), left_at = if(left_at > $now, $now, left_at)
    WHERE since > $now OR left_at > $now
"""
# The quiet time of an open alert would begin only then.
_ALERTS = """
    UPDATE alerts SET sighted_at = $now, lost_at = if(lost_at > $now, $now, lost_at)
    WHERE state <> 'resolved' AND coalesce(sighted_at, last_spike_at) > $now
"""


def set_back(store: Store, now: datetime) -> None:
    """Bring forward what a clock that was ahead put off; does nothing when none was.

    Raises:
        StoreUnavailable: when it cannot be written.
    """
    with store.database.writing() as connection:
        for statement in (_FEEDS, _DELIVERIES, _ARRIVED, _TROUBLES, _SERIES, _ALERTS):
            connection.execute(statement, {"now": now})
        connection.execute(_SILENCES, {"now": now, "latest": now + LONGEST})
