"""What the overview says was done about an alert: who was told, and who has it in hand."""

from __future__ import annotations

from typing import Any

import pytest

from alerts.telling.decisions import Choice
from dashboard import handling

ALERT: dict[str, Any] = {"fired_at": "then", "judged": None, "acknowledged_by": None, "assigned_to": None}


@pytest.mark.parametrize(
    ("alert", "messages", "choices", "words"),
    [
        ({}, [("mail", "delivered"), ("hook", "delivered")], [], "Told: hook, mail"),
        ({}, [("mail", "delivered"), ("mail", "pending")], [], "Told: mail"),
        ({}, [("mail", "bundled"), ("hook", "dead")], ["silenced"], "Waiting: mail; given up: hook"),
        ({}, [("a_[b]", "dead")], [], "Given up: a\\_\\[b\\]"),
        ({}, [("mail", "withdrawn")], ["no_route", "silenced"], "Nobody was told: silenced"),
        ({}, [], ["half_known"], "Nobody was told: half known"),
        ({}, [], [], "Nobody was told"),
        ({"fired_at": None}, [], [], "Nobody is told before it fires"),
    ],
)
def test_who_was_told(alert: dict[str, Any], messages: list[tuple[str, str]], choices: list[str], words: str) -> None:
    sent = [{"channel": channel, "state": state} for channel, state in messages]
    assert handling.told({**ALERT, **alert}, sent, [{"choice": one} for one in choices]) == words


@pytest.mark.parametrize(
    ("alert", "words"),
    [
        ({}, "nobody has taken it on"),
        ({"acknowledged_by": ""}, "nobody has taken it on"),
        ({"acknowledged_by": "ana", "assigned_to": "*bo*"}, "taken on by ana, assigned to \\*bo\\*"),
        ({"judged": "false"}, "judged a false alert"),
    ],
)
def test_who_has_it_in_hand(alert: dict[str, Any], words: str) -> None:
    assert handling.in_hand({**ALERT, **alert}) == words


def test_every_reason_for_which_nobody_is_told_has_words() -> None:
    assert set(handling.CHOICES) == set(Choice)
