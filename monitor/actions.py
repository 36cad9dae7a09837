"""What a person may ask the running daemon to do, through its read service.

takes  a JSON body
gives  a JSON answer
never  opens the store: the daemon's own hands do the work
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from alerts.delivery import DeliveryState, redeliver
from monitor.alert_store import AlertStore
from monitor.errors import InputUnusable
from monitor.pipeline import Pipeline


def actions_of(
    pipeline: Pipeline, clock: Callable[[], datetime]
) -> Mapping[str, Callable[[dict[str, object]], object]]:
    """The actions of a daemon, by name."""
    return {"redeliver": lambda body: send_again(pipeline.alerts, str(body.get("delivery", "")), clock())}


def send_again(alerts: AlertStore, delivery: str, now: datetime) -> dict[str, object]:
    """Put a dead letter back into the outbox, under its old id.

    Raises:
        InputUnusable: when there is no such delivery, or it is not dead.
    """
    found = alerts.delivery(delivery)
    if found is None:
        raise InputUnusable(f"there is no delivery {delivery!r}; `squall alerts deliveries` lists them")
    if found.state is not DeliveryState.DEAD:
        raise InputUnusable(f"delivery {delivery} is {found.state}: only dead letters are sent again")
    alerts.update_delivery(redeliver(found, now))
    return {"delivery": delivery, "state": DeliveryState.PENDING.value, "channel": found.channel}
