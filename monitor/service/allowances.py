"""How long each stage of the daemon may take.

takes  a stage, the seconds between its turns, and the settings of the model
gives  `Allowance`
never  measures: `monitor.service.supervision` does
"""

from __future__ import annotations

from monitor.service.supervision import Allowance
from monitor.settings import ModelSettings

# Deliveries and the rest: every attempt has a limit of its own, of at most five minutes.
_USUAL_SECONDS = 300.0


def allowance(stage: str, every: float, model: ModelSettings) -> Allowance:
    """What a stage may take before it is late; a vital one keeps the watchdog from being fed then.

    Polling lasts until its next turn, and takes in what ended. Scoring may have to load the model anew between two
    portions; a model within the daemon's own process cannot be ended when it hangs, so it is vital. Noting writes into
    the store: a disk that hangs shows there. Upkeep may move a month of headlines.
    """
    patience, vital = {
        "poll": (every + 180.0, True),
        "score": (2 * model.answer_seconds + 900.0, not model.own_process),
        "detect": (_USUAL_SECONDS, True),
        "note": (120.0, True),
        "oversee": (120.0, False),
        "maintain": (3_600.0, False),
    }.get(stage, (_USUAL_SECONDS, False))
    return Allowance(every, patience, vital)
