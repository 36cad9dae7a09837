"""An outcome that the store did not take: kept, recorded at the end, and else sent again as what it was."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from alerts.sending.delivery import Schedule, deliver
from monitor.errors import StoreUnavailable
from monitor.service.unrecorded import RecordsFirst, Unrecorded
from monitor.storage.alert_store import AlertStore
from monitor.storage.store import Store

RECIPIENTS = runpy.run_path(str(Path(__file__).with_name("test_recipients.py")))
SCENE = runpy.run_path(str(Path(__file__).with_name("desk_scene.py")))
BO, BUSY, MINUTE, START = (RECIPIENTS[name] for name in ("BO", "BUSY", "MINUTE", "START"))
Full = RECIPIENTS["Full"]
House, hook, spike = (SCENE[name] for name in ("House", "hook", "spike"))


def sent_unrecorded(store: Any, house: Any, channel: str) -> RecordsFirst:
    """The outbox of a process that sent what is due there, and could not keep what came of it."""
    process = RecordsFirst(store, Unrecorded())
    with pytest.raises(StoreUnavailable):
        deliver(process, house.channels[channel], START, Schedule())
    return process


def test_what_is_sent_again_after_the_end_of_the_process_has_the_same_id_and_content(store: Store) -> None:
    with hook() as desk:
        house = House(store, {"desk": desk})
        house.look(START, spike())
        sent_unrecorded(Full(store), house, "desk").settle()
        begun_anew = RecordsFirst(AlertStore(store), Unrecorded())
        deliver(begun_anew, house.channels["desk"], START + MINUTE, Schedule())
        assert len(desk.taken) == 2
        assert desk.taken[0] == desk.taken[1], "receivers drop the second by its id"
        assert begun_anew.due("desk", START + 99 * MINUTE, 9) == ()


def test_a_mail_that_is_sent_again_has_the_same_id_also_for_whom_something_was_left(store: Store) -> None:
    with RECIPIENTS["house_of"](store) as (house, mailbox, _):
        mailbox.to_recipient = {BO: BUSY}
        house.look(START, spike())
        sent_unrecorded(Full(store), house, "mail").settle()
        house.send(START + MINUTE)
        mailbox.to_recipient.clear()
        house.send(START + 2 * MINUTE)
        heard = RECIPIENTS["heard"](mailbox)
        assert {id_ for _, id_ in heard} == {next(iter(heard))[1]}
        assert heard[BO, next(iter(heard))[1]] == 1
        assert max(heard.values()) == 2


def test_a_process_that_ends_records_what_it_still_knows_and_sends_nothing_again(store: Store) -> None:
    with hook() as desk:
        house = House(store, {"desk": desk})
        house.look(START, spike())
        full = Full(store)
        process = sent_unrecorded(full, house, "desk")
        full.full = False
        process.settle()
        house.send(START + MINUTE)
        assert len(desk.taken) == 1


def test_what_cannot_be_recorded_to_the_end_is_named_in_the_log(store: Store) -> None:
    with hook() as desk:
        house = House(store, {"desk": desk})
        house.look(START, spike())
        process = sent_unrecorded(Full(store), house, "desk")
        with capture_logs() as logged:
            process.settle()
        (id_, _), *_ = desk.taken
        assert [(line["event"], line["delivery"], line["outcome"]) for line in logged] == [
            ("outcome_unrecorded", id_, "delivered")
        ]
