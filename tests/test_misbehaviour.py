"""Receivers that misbehave, over real sockets and a moved clock: nothing is lost, nobody else disturbed."""

from __future__ import annotations

import asyncio
import runpy
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from alerts.sending.delivery import Schedule
from monitor.storage.store import Store

SCENE = runpy.run_path(str(Path(__file__).with_name("desk_scene.py")))
HOUR, MINUTE, START = (SCENE[name] for name in ("HOUR", "MINUTE", "START"))
House, hook, spike = (SCENE[name] for name in ("House", "hook", "spike"))
SECOND = timedelta(seconds=1)


def of(house: Any, channel: str) -> dict[str, Any]:
    """The only message to a channel."""
    (row,) = [row for row in house.query("deliveries", state="", limit=99) if row["channel"] == channel]
    return dict(row)


@pytest.mark.parametrize("status", [500, 404, 503])
def test_a_receiver_that_fails_and_comes_back_after_a_day_gets_the_message_under_its_id(
    store: Store, status: int
) -> None:
    with hook() as desk, hook() as ops:
        house = House(store, {"desk": desk, "ops": ops})
        desk.status = status
        house.look(START, spike())
        now = START
        for wait in (timedelta(0), *Schedule().steps[:7]):
            now += wait + SECOND
            house.send(now)
        assert of(house, "desk")["state"] == "pending"
        assert of(house, "desk")["attempts"] == 8
        assert now - START > timedelta(hours=8)
        desk.status = 204
        house.send(START + timedelta(days=1))
        assert of(house, "desk")["state"] == "delivered"
        assert len({id_ for id_, _ in desk.taken}) == 1
        assert (len(ops.taken), of(house, "ops")["attempts"]) == (1, 1)


def test_a_receiver_that_never_comes_back_leaves_a_dead_letter_that_can_be_sent_again(store: Store) -> None:
    with hook() as desk:
        house = House(store, {"desk": desk})
        desk.status = 500
        house.look(START, spike())
        now = START
        for wait in (timedelta(0), *Schedule().steps):
            now += wait + SECOND
            house.send(now)
        dead = of(house, "desk")
        assert (dead["state"], dead["attempts"], dead["outcome"]) == ("dead", 11, "refused")
        assert timedelta(days=2.8) < now - START < timedelta(days=3.5)
        desk.status = 204
        house.send(now + timedelta(days=9))
        assert len(desk.taken) == 11, "a dead letter rests"
        house.act("redeliver", now + timedelta(days=9), delivery=dead["id"])
        house.send(now + timedelta(days=9))
        assert of(house, "desk")["state"] == "delivered"
        assert {id_ for id_, _ in desk.taken} == {dead["id"]}


def test_a_receiver_that_hangs_holds_up_nobody_else(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(House, "patience", {"desk": 0.5})
    with hook() as desk, hook() as ops:
        house = House(store, {"desk": desk, "ops": ops})
        desk.hangs = True
        house.look(START, spike())
        house.send(START)
        assert (of(house, "desk")["outcome"], of(house, "ops")["outcome"]) == ("timed_out", "delivered")
        desk.hangs = False
        monkeypatch.setattr(House, "patience", {})
        house = House(store, {"desk": desk, "ops": ops})
        house.send(START + MINUTE)
        assert of(house, "desk")["state"] == "delivered"


def test_a_receiver_that_asks_for_patience_is_left_alone_as_long_as_it_says(store: Store) -> None:
    with hook() as desk:
        house = House(store, {"desk": desk})
        desk.status, desk.headers = 429, {"retry-after": "900"}
        house.look(START, spike())
        house.send(START)
        desk.status = 204
        house.send(START + 15 * MINUTE - SECOND)
        assert len(desk.taken) == 1
        house.send(START + 15 * MINUTE + SECOND)
        assert (len(desk.taken), of(house, "desk")["state"]) == (2, "delivered")


# Mail servers


class Mailbox:
    """Takes mail, unless told what to say or do instead at the n-th message."""

    def __init__(self) -> None:
        self.says: list[str] = []
        self.greylist: set[str] = set()
        self.drops = 0
        self.taken: list[bytes] = []

    async def handle_RCPT(  # noqa: N802 # aiosmtpd names its hooks so
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if address in self.greylist:
            self.greylist.discard(address)
            return "451 4.7.1 Greylisted, come back later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 # as above
        if self.drops:
            self.drops -= 1
            server.transport.abort()
        if self.says:
            return self.says.pop(0)
        self.taken.append(envelope.content)
        return "250 OK"


class LoopbackController(Controller):
    """A controller that lets the system choose the port."""

    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call] # aiosmtpd leaves this one untyped


@contextmanager
def mail_server(mailbox: Mailbox) -> Iterator[int]:
    controller = LoopbackController(mailbox, hostname="127.0.0.1", port=0)
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


def mail(port: int) -> dict[str, object]:
    return {
        "type": "mail",
        "name": "mail",
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "sender": "squall@example.com",
        "recipients": ["desk@example.com"],
        "timeout_seconds": 5,
    }


def ids(mailbox: Mailbox) -> set[bytes]:
    return {line for one in mailbox.taken for line in one.splitlines() if line.lower().startswith(b"message-id")}


@pytest.mark.parametrize(
    ("trouble", "outcome", "words"),
    [
        ("refuses", "refused", "554: 5.7.1 Rejected"),
        ("greylists", "throttled", "Greylisted"),
        ("busy", "throttled", "451"),
        ("drops", "unreachable", "closed the connection"),
    ],
)
def test_a_mail_server_in_trouble_gets_the_mail_later_and_the_webhook_at_once(
    store: Store, trouble: str, outcome: str, words: str
) -> None:
    mailbox = Mailbox()
    match trouble:
        case "refuses":
            mailbox.says = ["554 5.7.1 Rejected"]
        case "greylists":
            mailbox.greylist = {"desk@example.com"}
        case "busy":
            mailbox.says = ["451 4.3.0 Try again later"]
        case _:
            mailbox.drops = 1
    with hook() as desk, mail_server(mailbox) as port:
        house = House(store, {"desk": desk}, [mail(port)])
        house.look(START, spike())
        house.send(START)
        first = of(house, "mail")
        assert (first["state"], first["outcome"], len(desk.taken)) == ("pending", outcome, 1)
        assert words in first["last_reason"]
        taken_in_vain = len(mailbox.taken)
        house.send(START + MINUTE)
    assert of(house, "mail")["state"] == "delivered"
    # A server that drops the line after the message may have kept it: then a repeat bears the same id.
    assert len(mailbox.taken) == taken_in_vain + 1
    assert len(ids(mailbox)) == 1
    assert len(desk.taken) == 1


def test_a_mail_server_that_is_away_for_a_day_gets_the_mail_then(store: Store) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with hook() as desk:
        house = House(store, {"desk": desk}, [mail(port)])
        house.look(START, spike())
        house.send(START)
        assert of(house, "mail")["outcome"] == "unreachable"
        assert len(desk.taken) == 1
        mailbox = Mailbox()
        controller = Controller(mailbox, hostname="127.0.0.1", port=port)
        controller.start()
        try:
            house.send(START + timedelta(days=1))
        finally:
            controller.stop()
    assert (of(house, "mail")["state"], len(mailbox.taken)) == ("delivered", 1)
