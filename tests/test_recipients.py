"""Recipients of one mail channel, each on its own: who has a message neither gets it again nor waits for the rest."""

from __future__ import annotations

import runpy
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts.sending.attempt import Answer, Attempt, AttemptOutcome
from alerts.sending.delivery import DeliveryState, Schedule, after, parts, redeliver
from monitor.desk.audit import audit
from monitor.errors import StoreUnavailable
from monitor.service.status import status
from monitor.service.unrecorded import RecordsFirst, Unrecorded
from monitor.storage.alert_store import AlertStore
from monitor.storage.desk_store import DeskStore
from monitor.storage.queries import QUERIES
from monitor.storage.reading import Reader
from monitor.storage.store import Store

SCENE = runpy.run_path(str(Path(__file__).with_name("desk_scene.py")))
MAIL = runpy.run_path(str(Path(__file__).with_name("test_mail.py")))
HOUR, MINUTE, START = (SCENE[name] for name in ("HOUR", "MINUTE", "START"))
House, hook, spike = (SCENE[name] for name in ("House", "hook", "spike"))
DAY = timedelta(days=1)
ANN, BO, CY = "ann@example.com", "bo@example.com", "cy@example.com"
DEAD = "550 5.1.1 No such user here"
BUSY = "450 4.2.1 Mailbox full"


def desk_mail(port: int, *recipients: str) -> dict[str, object]:
    return {
        "type": "mail",
        "name": "mail",
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "sender": "squall@example.com",
        "recipients": recipients or (ANN, BO, CY),
        "timeout_seconds": 5,
    }


@contextmanager
def house_of(store: Store, *recipients: str, **more: object) -> Iterator[tuple[Any, Any, int]]:
    mailbox = MAIL["Mailbox"]()
    with MAIL["smtp_server"](mailbox) as port:
        yield House(store, {}, [desk_mail(port, *recipients)], **more), mailbox, port


class Asking:
    """A reader of a store that is open already."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def query(self, name: str, **params: object) -> pl.DataFrame:
        with self._store.database.reading() as cursor:
            found: pl.DataFrame = cursor.sql(QUERIES[name].sql, params=params).pl()
            return found


def heard(mailbox: Any) -> Counter[tuple[str, str]]:
    """How often each recipient got each message, by Message-ID."""
    return Counter(
        (recipient, str(message_from_bytes(one.content)["Message-ID"]))
        for one in mailbox.taken
        for recipient in one.rcpt_tos
    )


def letters(house: Any) -> set[tuple[str, str, str]]:
    rows = house.query("deliveries", state="", limit=999)
    return {(row["reason"], row["recipient"], row["state"]) for row in rows}


def subjects(mailbox: Any, recipient: str) -> list[str]:
    return [str(message_from_bytes(one.content)["Subject"]) for one in mailbox.taken if recipient in one.rcpt_tos]


def test_who_has_the_message_gets_it_once_and_who_refused_it_gets_it_later(store: Store) -> None:
    with house_of(store) as (house, mailbox, _):
        mailbox.to_recipient = {BO: BUSY, CY: DEAD}
        house.look(START, spike())
        house.send(START)
        assert letters(house) == {("fired", "", "delivered"), ("fired", BO, "pending"), ("fired", CY, "pending")}
        house.send(START + MINUTE)
        mailbox.to_recipient = {CY: DEAD}
        house.send(START + HOUR)
        assert letters(house) == {("fired", "", "delivered"), ("fired", BO, "delivered"), ("fired", CY, "pending")}
        assert set(heard(mailbox).values()) == {1}
        assert {recipient for recipient, _ in heard(mailbox)} == {ANN, BO}
        assert len({id_ for _, id_ in heard(mailbox)}) == 1, "a reply, or the next mail, belongs to one thread for all"
        assert {row["To"] for row in (message_from_bytes(one.content) for one in mailbox.taken)} == {
            f"{ANN}, {BO}, {CY}"
        }


def test_the_reminders_of_all_others_do_not_wait_for_a_dead_mailbox(store: Store) -> None:
    with house_of(store) as (house, mailbox, _):
        mailbox.to_recipient = {BO: DEAD}
        house.look(START, spike())
        house.send(START)
        house.look(START + DAY - HOUR, spike())
        house.oversee(START + DAY + MINUTE)
        assert ("fired", BO, "pending") in letters(house)
        assert len(subjects(mailbox, ANN)) == len(subjects(mailbox, CY))
        assert [subject for subject in subjects(mailbox, ANN) if "still" in subject or "Still" in subject]


def test_a_dead_mailbox_has_its_own_retries_and_its_own_dead_letter_that_can_be_sent_again(store: Store) -> None:
    with house_of(store) as (house, mailbox, _):
        mailbox.to_recipient = {BO: DEAD}
        house.look(START, spike())
        now = START
        for wait in (timedelta(0), *Schedule().steps):
            now += wait + timedelta(seconds=1)
            house.send(now)
        (dead,) = AlertStore(store).dead_letters("mail")
        assert (dead.recipient, dead.attempts, dead.outcome) == (BO, 11, "refused")
        assert set(heard(mailbox).values()) == {1}
        mailbox.to_recipient.clear()
        house.act("redeliver", now, channel="mail")
        house.send(now)
        assert set(heard(mailbox)) == {(one, f"<{dead.part_of}@example.com>") for one in (ANN, BO, CY)}
        assert set(heard(mailbox).values()) == {1}


def test_what_is_refused_by_all_is_one_delivery_that_waits(store: Store) -> None:
    with house_of(store) as (house, mailbox, _):
        mailbox.to_recipient = dict.fromkeys((ANN, BO, CY), BUSY)
        house.look(START, spike())
        house.send(START)
        assert letters(house) == {("fired", "", "pending")}
        mailbox.to_recipient = {BO: DEAD}
        house.send(START + MINUTE)
        assert letters(house) == {("fired", "", "delivered"), ("fired", BO, "pending")}


def test_what_nobody_has_yet_goes_before_what_is_left_for_one(store: Store) -> None:
    with house_of(store) as (house, mailbox, _):
        mailbox.to_recipient = {BO: BUSY}
        house.look(START, spike())
        house.send(START)
        house.look(START + HOUR, spike(), spike(series="company:JPM"))
        due = AlertStore(store).due("mail", START + HOUR, 9)
        assert [one.recipient for one in due] == ["", BO]


# The record and health


def test_a_dead_mailbox_is_told_of_once_also_to_the_others_of_its_channel(store: Store) -> None:
    with house_of(store) as (house, mailbox, _):
        mailbox.to_recipient = {BO: DEAD}
        house.look(START, spike())
        house.send(START)
        for minutes in range(0, 120, 10):
            house.oversee(START + minutes * MINUTE)
        told = [subject for subject in subjects(mailbox, ANN) if "Squall" in subject]
        assert told == [f"[Squall] {BO} of channel mail: mail does not arrive"]
        conditions = house.desk.conditions()
        assert (conditions[f"mailbox:mail/{BO}"].health.value, "550" in conditions[f"mailbox:mail/{BO}"].reason) == (
            "failing",
            True,
        )
        assert "channel:mail" not in conditions, "the channel itself is well"
        mailbox.to_recipient.clear()
        house.look(START + 3 * HOUR, spike(), spike(series="company:JPM"))
        house.oversee(START + 3 * HOUR + MINUTE)
        house.oversee(START + 3 * HOUR + 2 * MINUTE)
        told = [subject for subject in subjects(mailbox, BO) if "Squall" in subject]
        assert told[-1] == f"[Squall] {BO} of channel mail: mail arrives again"
        assert house.desk.conditions()[f"mailbox:mail/{BO}"].health.value == "well"
        house.oversee(START + 4 * HOUR)
        assert Counter(subjects(mailbox, ANN)).most_common(1)[0][1] == 1


def test_a_server_that_refuses_ninety_recipients_at_once_is_told_of_once(store: Store) -> None:
    many = [f"desk{number}@elsewhere.example" for number in range(90)]
    with house_of(store, ANN, *many) as (house, mailbox, _):
        mailbox.to_recipient = dict.fromkeys(many, "550 5.7.1 Relaying denied")
        house.look(START, spike())
        house.send(START)
        for minutes in range(0, 60, 10):
            house.teller.oversee(START + minutes * MINUTE, "", {})
        told = [one for one in AlertStore(store).due("mail", START + HOUR, 999) if one.reason == "failing"]
        assert len(told) == 1
        assert "90 recipients of channel mail" in told[0].payload
        assert "and 80 more" in told[0].payload


def test_greylisting_that_lasts_some_minutes_is_nobody_s_news(store: Store) -> None:
    with house_of(store) as (house, mailbox, _):
        mailbox.to_recipient = {BO: "451 4.7.1 Greylisted"}
        house.look(START, spike())
        house.send(START)
        house.oversee(START + MINUTE)
        mailbox.to_recipient.clear()
        for minutes in range(2, 60, 5):
            house.oversee(START + minutes * MINUTE)
        assert [subject for subject in subjects(mailbox, ANN) if "Squall" in subject] == []
        assert house.desk.conditions()[f"mailbox:mail/{BO}"].health.value == "well"


def test_the_status_names_who_hears_nothing_and_the_record_says_who_got_what(tmp_path: Path) -> None:
    path = tmp_path / "squall.duckdb"
    with Store.open(path, START) as store, house_of(store) as (house, mailbox, _):
        mailbox.to_recipient = {BO: DEAD}
        house.look(START, spike())
        house.send(START)
        house.oversee(START + MINUTE)
        alert, settings = house.alert, house.settings
    with Reader.open(path) as reader:
        (channel,) = status(reader, settings, START + MINUTE).channels
        steps = [step.words for step in audit(reader, alert).steps]
    assert (channel.last_outcome, channel.delivered, channel.pending) == ("delivered", 1, 1)
    assert [("to recipient bo@example.com" in reason) for reason in channel.failing_recipients] == [True]
    assert any(words.startswith("fired to bo@example.com of mail: refused: ") for words in steps)
    assert any(words.startswith("fired to mail: delivered: taken, but not for all: ") for words in steps)


@pytest.mark.parametrize("grouped", [False, True])
def test_one_question_says_who_has_which_message_since_when_after_how_many_tries_and_what_the_server_said(
    store: Store, grouped: bool
) -> None:
    routes = {"routes": [{"name": "all", "group_minutes": 10}]} if grouped else {}
    with house_of(store, **routes) as (house, mailbox, _):
        mailbox.to_recipient = {BO: BUSY, CY: DEAD}
        house.look(START, spike(), *([spike(series="company:JPM")] if grouped else []))
        now = START + 11 * MINUTE
        house.send(now)
        mailbox.to_recipient = {CY: DEAD}
        house.send(now + MINUTE)
        banks = AlertStore(store).alerts(START - DAY, 9)
        alert = next(one.id for one in banks if one.series == "theme:bank-stress")
        found = audit(Asking(store), alert)
        receipts = {one.recipient: one for one in found.receipts}
        assert {who: (one.state, one.tries) for who, one in receipts.items()} == {
            ANN: ("delivered", 1),
            BO: ("delivered", 2),
            CY: ("pending", 2),
        }
        assert receipts[ANN].words.startswith("taken, but not for all: ")
        assert receipts[BO].words.startswith("127.0.0.1:")
        assert " said 250: " in receipts[BO].words
        assert "550 to recipient cy@example.com: 5.1.1 No such user here" in receipts[CY].words
        assert receipts[BO].at is not None
        assert now + MINUTE <= receipts[BO].at < now + 2 * MINUTE
        attempts = [step.words for step in found.steps if step.what == "attempt"]
        assert len([words for words in attempts if f"to {CY} of mail: refused" in words]) == 2


# Restarts, reloads, and stores that cannot be written


def test_a_restart_forgets_nobody_who_has_the_message(store: Store) -> None:
    with house_of(store) as (house, mailbox, port):
        mailbox.to_recipient = {BO: BUSY}
        house.look(START, spike())
        house.send(START)
        mailbox.to_recipient.clear()
        House(store, {}, [desk_mail(port)]).send(START + MINUTE)
        assert heard(mailbox).keys() == {(one, id_) for one in (ANN, BO, CY) for _, id_ in heard(mailbox)}
        assert set(heard(mailbox).values()) == {1}


def test_what_waits_for_a_recipient_who_left_the_settings_is_given_up_and_the_trouble_ends(store: Store) -> None:
    with house_of(store) as (house, mailbox, port):
        mailbox.to_recipient = {BO: DEAD}
        house.look(START, spike())
        house.send(START)
        for minutes in range(0, 60, 10):
            house.oversee(START + minutes * MINUTE)
        house = House(store, {}, [desk_mail(port, ANN, CY)])
        house.oversee(START + HOUR)
        assert ("fired", BO, "dead") in letters(house)
        assert "recipient_removed" in house.choices()
        assert house.desk.conditions()[f"mailbox:mail/{BO}"].health.value == "well"
        told = [subject for subject in subjects(mailbox, ANN) if "Squall" in subject]
        assert told[-1] == f"[Squall] Mailbox mail: {BO} was taken out of the settings"
        mailbox.to_recipient.clear()
        house.send(START + DAY)
        assert subjects(mailbox, BO) == []
        house = House(store, {}, [desk_mail(port)])
        house.act("redeliver", START + DAY, channel="mail")
        house.send(START + DAY)
        assert len(subjects(mailbox, BO)) == 2, "the alert, and the news of the mailbox itself"


def test_a_dead_letter_to_a_recipient_who_left_is_not_sent_there(store: Store) -> None:
    with house_of(store) as (house, mailbox, port):
        mailbox.to_recipient = {BO: DEAD}
        house.look(START, spike())
        house.send(START)
        house = House(store, {}, [desk_mail(port, ANN, CY)])
        mailbox.to_recipient.clear()
        house.act("redeliver", START + HOUR, channel="mail")
        house.send(START + HOUR)
        assert subjects(mailbox, BO) == []
        (row,) = [row for row in house.query("deliveries", state="", limit=9) if row["recipient"]]
        assert "does not name bo@example.com" in row["last_reason"]


class Full(AlertStore):
    """A store without room for what became of an attempt, until `full` is taken back."""

    full = True

    def record(self, *told: Any) -> None:
        if self.full:
            raise StoreUnavailable("the disk is full")
        super().record(*told)


def test_what_could_not_be_recorded_is_recorded_whole_once_it_can(store: Store) -> None:
    with house_of(store) as (house, mailbox, _):
        mailbox.to_recipient = {BO: DEAD}
        house.look(START, spike())
        outbox, kept = Full(store), Unrecorded()
        first = RecordsFirst(outbox, kept)
        with pytest.raises(StoreUnavailable):
            MAIL["delivering"].deliver(first, house.channels["mail"], START, Schedule())
        assert letters(house) == {("fired", "", "pending")}
        outbox.full = False
        assert first.due("mail", START, 9) == ()
        assert letters(house) == {("fired", "", "delivered"), ("fired", BO, "pending")}
        assert set(heard(mailbox).values()) == {1}


# The values


def test_each_part_has_a_schedule_of_its_own_from_its_first_refusal_on(store: Store) -> None:
    delivery = replace(MAIL["delivering"].test_delivery("mail", START), attempts=7)
    refused = tuple((one, Answer(AttemptOutcome.REFUSED, "550")) for one in (BO, CY))
    attempt = Attempt(START, AttemptOutcome.DELIVERED, "not for all", 5, None, refused)
    left = parts(delivery, attempt, Schedule(), 0)
    assert after(delivery, attempt, Schedule(), 0).state is DeliveryState.DELIVERED
    assert [(one.recipient, one.part_of, one.attempts, tried.reason) for one, tried in left] == [
        (BO, delivery.id, 1, "550"),
        (CY, delivery.id, 1, "550"),
    ]
    assert len({delivery.id, *(one.id for one, _ in left)}) == 3
    assert parts(delivery, attempt, Schedule(), 0) == left, "a repeat after a crash writes the same"
    assert {one.message for one, _ in left} == {delivery.id}
    dead = replace(left[0][0], state=DeliveryState.DEAD, next_attempt_at=None, finished_at=START)
    assert redeliver(dead, START).recipient == BO


def test_nobody_is_left_out_of_what_nobody_took() -> None:
    refused = ((BO, Answer(AttemptOutcome.REFUSED, "550")),)
    with pytest.raises(ValueError, match="left out"):
        Attempt(START, AttemptOutcome.REFUSED, "550", 5, None, refused)
    with pytest.raises(ValueError, match="part of"):
        replace(MAIL["delivering"].test_delivery("mail", START), recipient=BO)


def test_a_trouble_lasts_until_something_is_sent_again_however_long_nothing_is(store: Store) -> None:
    with house_of(store) as (house, mailbox, _):
        mailbox.to_recipient = {BO: DEAD}
        house.look(START, spike())
        house.send(START)
        house.oversee(START + HOUR)
        house.oversee(START + 60 * DAY)
        assert house.desk.conditions()[f"mailbox:mail/{BO}"].health.value == "failing"
        assert house.desk.mailbox_records(START + 200 * DAY) == ()


# Of one message, by recipient: what the server said each time it was offered to him alone; nothing where he took it.
messages = st.lists(
    st.dictionaries(st.sampled_from((ANN, BO, CY)), st.lists(st.sampled_from(("no", "yes")), min_size=1, max_size=3)),
    max_size=6,
)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=messages)
def test_how_a_recipient_is_doing_is_what_every_attempt_says_taken_together(
    store: Store, sent: list[dict[str, list[str]]]
) -> None:
    tried: list[tuple[str, str, str, timedelta]] = []  # delivery, recipient or "", outcome, after
    boxes = sorted({one for refused in sent for one in refused})
    with store.database.writing() as connection:
        connection.execute("DELETE FROM deliveries")
        connection.execute("DELETE FROM attempts")
    for number, refused in enumerate(sent):
        whole = f"msg_{number}"
        tried.append((whole, "", "delivered", MINUTE * len(tried)))
        tried += [
            (f"{whole}_{who}", who, "delivered" if said == "yes" else "refused", MINUTE * (len(tried) + nth))
            for who, answers in refused.items()
            for nth, said in enumerate(["no", *answers])
        ]
    made = {(id_, who) for id_, who, _, _ in tried}
    with store.database.writing() as connection:
        for id_, who in made:
            row = [id_, "mail", START, who, id_.rpartition("_")[0] if who else ""]
            connection.execute(
                "INSERT INTO deliveries (id, reason, channel, state, created_at, payload, recipient, part_of) "
                "VALUES ($1, 'fired', $2, 'dead', $3, '{}', $4, $5)",
                row,
            )
        for nth, (id_, _, outcome, later) in enumerate(tried):
            values = [id_, START + later, outcome, f"said {nth}" if outcome == "refused" else ""]
            connection.execute(
                'INSERT INTO attempts (delivery, "at", outcome, reason, millis) VALUES ($1, $2, $3, $4, 1)', values
            )
    records = DeskStore(store).mailbox_records(START + DAY)
    expected = []
    for box in boxes:
        # Each attempt that concerns him: to him alone, or to all where nothing was left for him.
        his = [
            (nth, outcome == "delivered", later)
            for nth, (id_, who, outcome, later) in enumerate(tried)
            if who == box or (not who and (f"{id_}_{box}", box) not in made)
        ]
        last = max((nth for nth, arrived, _ in his if arrived), default=-1)
        since = min((START + later for nth, _, later in his if nth > last), default=None)
        reason = max(((nth, f"said {nth}") for nth, arrived, _ in his if not arrived), default=(0, ""))[1]
        expected.append(("mail", box, since, reason))
    assert [(one.channel, one.recipient, one.failing_since, one.reason) for one in records] == expected
