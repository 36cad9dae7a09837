"""What is due, after the machine's clock was set back.

takes  the store, and now
gives  feeds and deliveries due as long after now as they were after the wrong time
never  touches what happened: a headline, an alert or an attempt keeps the time that was noted

A clock that ran a day ahead leaves checks and retries a day ahead. What happened last, according to the store, cannot
lie after now: by so much the clock was wrong.
"""

from __future__ import annotations

from datetime import datetime

from monitor.storage.store import Store

_FEEDS = """
    UPDATE feeds SET
        next_check_at = next_check_at - (last_check_at - $now),
        retry_at = retry_at - (last_check_at - $now),
        last_success_at = least(last_success_at, $now),
        last_check_at = $now
    WHERE last_check_at > $now
"""
# What is held back until an hour of the day stays held back until that hour.
_DELIVERIES = """
    UPDATE deliveries SET next_attempt_at = next_attempt_at - (noted - $now)
    FROM (
        SELECT d.id AS one, greatest(d.created_at, coalesce(max(a."at"), d.created_at)) AS noted
        FROM deliveries d LEFT JOIN attempts a ON a.delivery = d.id
        WHERE d.state = 'pending' AND d.bundle = '' GROUP BY d.id, d.created_at
    )
    WHERE id = one AND noted > $now AND next_attempt_at > $now
"""


def set_back(store: Store, now: datetime) -> None:
    """Bring forward what a clock that was ahead put off; does nothing when none was.

    Raises:
        StoreUnavailable: when it cannot be written.
    """
    with store.database.writing() as connection:
        connection.execute(_FEEDS, {"now": now})
        connection.execute(_DELIVERIES, {"now": now})
