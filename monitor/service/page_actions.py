"""What pages ask of the daemon beyond alerts: settings, feeds, a test message, what the model is.

takes  settings, the open store, a clock
gives  actions by name, for a read service: each takes a JSON body and returns what JSON can say
never  shows a secret, and never does in one request what takes longer than a client waits
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from datetime import datetime
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl

from alerts.errors import ChannelUnusable
from alerts.sending.attempt import Attempt
from alerts.sending.channels import open_channel
from alerts.sending.delivery import Schedule, test_delivery
from models.adapters import CARD, METRICS
from models.encoder import find_encoder
from models.errors import ModelError
from models.library import Library
from monitor.chosen_model import chosen_adapter
from monitor.desk import feed_requests
from monitor.desk.odd_words import odd_words
from monitor.desk.permission import access, guarded
from monitor.errors import InputUnusable, ServiceError, StoreError
from monitor.settings import DashboardSettings, Settings
from monitor.shown_settings import shown_settings
from monitor.storage.alert_store import AlertStore
from monitor.storage.queries import QUERIES
from monitor.storage.store import Store
from monitor.watched import watched_feeds

if TYPE_CHECKING:
    from models.running.tokens import Tokens

Body = dict[str, object]
Act = Callable[[Body], object]

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_LONGEST_RANGE_DAYS = 400
# A client that waits in vain asks a second time, and nobody wants two test messages.
_TEST_SECONDS = 20.0


def exposed(dashboard: DashboardSettings) -> bool:
    """Whether the dashboard listens beyond this machine."""
    return dashboard.host not in _LOOPBACK


def for_pages(
    settings: Settings, store: Store, clock: Callable[[], datetime], others: Mapping[str, Act]
) -> dict[str, Act]:
    """Every action that a page may ask for, `others` among them, each behind the check of its visitor."""
    may_act, open_wide = settings.dashboard.may_act, exposed(settings.dashboard)
    asked = _PageActions(settings, store, clock)
    own: dict[str, Act] = {
        "access": lambda body: access(body, may_act, exposed=open_wide),
        "settings": lambda _: shown_settings(settings),
        "watched": lambda _: [feed.model_dump() for feed in watched_feeds(settings)],
        "add_feed": asked.add_feed,
        "remove_feed": lambda body: {"feed": feed_requests.remove(settings, _text(body, "feed")).id},
        "mute_feed": asked.mute_feed,
        "check_feed": asked.check_feed,
        "test_channel": asked.test_channel,
        "model": asked.model,
        "odd_words": asked.odd_words,
    }
    return guarded({**others, **own}, may_act, exposed=open_wide)


class _PageActions:
    def __init__(self, settings: Settings, store: Store, clock: Callable[[], datetime]) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock

    def query(self, name: str, **params: object) -> pl.DataFrame:
        with self._store.database.reading() as cursor:
            rows: pl.DataFrame = cursor.sql(QUERIES[name].sql, params=params).pl()
            return rows

    def add_feed(self, body: Body) -> object:
        """`url`, and where they are to differ from what the feed says `called`, `every_minutes`; `take` of offers."""
        wish = feed_requests.Wish(
            _text(body, "url"),
            name=_text(body, "called", "") or None,
            every_minutes=_number(body, "every_minutes"),
            take=_number(body, "take"),
        )
        found = feed_requests.add(self._settings, wish, self._clock())
        offers = [{"url": url, "title": title} for url, title in found.offers]
        return {"feed": found.feed and found.feed.model_dump(), "offers": offers}

    def mute_feed(self, body: Body) -> object:
        """`feed`, and `muted`: true to stop checking it, false to hear it again."""
        muted = body.get("muted", True)
        if not isinstance(muted, bool):
            raise InputUnusable("muted must be true or false")
        return {"feed": feed_requests.mute(self._settings, _text(body, "feed"), muted=muted).id, "muted": muted}

    def check_feed(self, body: Body) -> object:
        """`feed`: to be asked with the next round of checks."""
        feed = feed_requests.check_soon(self._store, self._settings, _text(body, "feed"), self._clock())
        return {"feed": feed.id, "within_seconds": self._settings.daemon.poll_seconds}

    def test_channel(self, body: Body) -> object:
        """`channel`: a test message, sent at once and never again; where it arrives, what waits there goes too."""
        name = _text(body, "channel")
        by_name = {one.name: one for one in self._settings.channels}
        if name not in by_name:
            raise InputUnusable(f"there is no channel {name!r} in the settings")
        now = self._clock()
        try:
            channel = open_channel(by_name[name])
        except ChannelUnusable as error:
            raise InputUnusable(str(error)) from error
        # A pool would keep the process from ending while a receiver is silent.
        sending: Future[Attempt] = Future()
        send = partial(_settle, sending, lambda: channel.send(test_delivery(name, now), now))
        threading.Thread(target=send, name=f"test-{name}", daemon=True).start()
        try:
            attempt = sending.result(_TEST_SECONDS)
        except TimeoutError:
            raise ServiceError(f"{name} gave no answer within {_TEST_SECONDS:.0f} s; it may still arrive") from None
        # What a server says when it takes a message for all is no trouble.
        reason = attempt.reason if attempt.refused or not attempt.outcome.ok else ""
        told = {"outcome": attempt.outcome.value, "reason": reason, "millis": attempt.millis}
        hastened = 0
        if attempt.outcome.ok:
            with suppress(StoreError):  # it arrived, and that is what was asked
                hastened = AlertStore(self._store).hasten(name, attempt.ended, Schedule())
        return {"channel": name, **told, "hastened": hastened}

    def model(self, _: Body) -> object:
        """The adapter that scores, with its card and what was measured of it, and the others at hand."""
        try:
            adapter = chosen_adapter(self._settings.model)
            others = Library(self._settings.model.library).adapters()
        except ModelError as error:
            raise ServiceError(str(error)) from error
        metrics, card = adapter.folder / METRICS, adapter.folder / CARD
        try:
            told: Any = json.loads(metrics.read_text(encoding="utf-8")) if metrics.is_file() else {}
            words = card.read_text(encoding="utf-8") if card.is_file() else ""
        except (OSError, ValueError) as error:
            raise ServiceError(f"what was measured of {adapter.model} cannot be read: {error}") from error
        return {
            "model": adapter.model,
            "encoder": adapter.settings.encoder_name,
            "abstain_below": adapter.settings.abstain_below,
            "card": words,
            "metrics": told,
            "at_hand": [{"model": one.model, "fault": one.fault} for one in others],
        }

    def odd_words(self, body: Body) -> object:
        """By day of `zone` in [`since`, `until`) the share of words that the encoder does not know."""
        since, until = _time(body, "since"), _time(body, "until")
        if not 0 < (until - since).days <= _LONGEST_RANGE_DAYS:
            raise InputUnusable(f"the range must hold 1 to {_LONGEST_RANGE_DAYS} days")
        try:
            adapter = chosen_adapter(self._settings.model)
            tokens = tokens_of(adapter.settings.encoder, adapter.settings.longest)
        except ModelError as error:
            raise ServiceError(str(error)) from error
        shares = odd_words(self, tokens, since, until, _zone(body))
        return [{"day": day.isoformat(), "odd": share} for day, share in shares.items()]


@lru_cache(maxsize=2)
def tokens_of(encoder: str, longest: int) -> Tokens:
    """The tokeniser of an encoder, loaded once."""
    # Seldom asked for, and the model has its own, in another process.
    from models.running.tokens import Tokens

    return Tokens(find_encoder(encoder).folder, longest)


def _zone(body: Body) -> str:
    name = _text(body, "zone", "UTC")
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InputUnusable(f"there is no time zone {name!r}") from error


def _settle(promise: Future[Attempt], work: Callable[[], Attempt]) -> None:
    """Keep a promise with what comes of the work, or with what it raises."""
    try:
        promise.set_result(work())
    except Exception as error:
        promise.set_exception(error)


def _text(body: Body, name: str, default: str | None = None) -> str:
    value = body.get(name, default)
    if not isinstance(value, str) or len(value) > 2_000 or (not value.strip() and default is None):
        raise InputUnusable(f"{name} is missing or too long")
    return value.strip()


def _number(body: Body, name: str) -> int | None:
    value = body.get(name)
    if value is not None and type(value) is not int:
        raise InputUnusable(f"{name} must be a whole number")
    return value


def _time(body: Body, name: str) -> datetime:
    try:
        time = datetime.fromisoformat(_text(body, name))
    except ValueError:
        raise InputUnusable(f"{name} must be a time in ISO 8601") from None
    if time.tzinfo is None:
        raise InputUnusable(f"{name} must name its zone")
    return time
