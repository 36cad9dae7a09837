"""Alerts by chat and push services, through Apprise.

takes  a delivery
gives  an `Attempt`: whether the service took a short text
never  shows the service's address: it is the password

More than a hundred services: https://github.com/caronc/apprise/wiki. Where an address names a host of its own
(json://host, gotify://host), the host passes the same check as a webhook's before each attempt, and redirects are not
followed. Apprise makes its own connections: unlike a webhook's they are not pinned to the address that was checked.
"""

from __future__ import annotations

import logging
import re
import time
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from alerts.errors import ChannelUnusable
from alerts.sending.addresses import refusal
from alerts.sending.allowed import PrivateHost
from alerts.sending.attempt import Answer, Attempt, AttemptOutcome
from alerts.sending.delivery import Delivery
from alerts.sending.look_ups import Errands, LookUps
from alerts.sending.secrets import Secret
from alerts.settings import ChannelBase, digest
from alerts.texts.messages import read_message
from alerts.texts.prose import late, note, plain_text, subject

if TYPE_CHECKING:
    # Loaded where a chat channel is opened: with what it brings along it takes several MiB of a daemon that has none.
    import apprise

_MOST_STORIES = 3
# A service with a limit gets a long text in parts, and Apprise rests between two of them; what is not through in time
# counts as failed, and would come again from its beginning, again and again.
_MOST_PARTS = 10
_SHARE_OF_TIME = 0.75
_SHARE_OF_PART = 0.875  # a part ends between two words
_CUT = "\n… (more than this service takes)"
_STATUS = re.compile(r"error\s*[=:]\s*([1-5]\d\d)\b")
# An attempt that nobody waits for any more may go on for as long as the service sends a byte now and then.
_MOST_CALLS = 2
_HIDDEN_STOP = "\u200b"


class ChatSettings(ChannelBase):
    """A chat or push service, as an Apprise address."""

    type: Literal["chat"]
    url: Secret = Field(description='Where the Apprise address lies, such as "env:SQUALL_SLACK".')
    timeout_seconds: Annotated[float, Field(gt=0, le=120)] = Field(20, description="Most time for one attempt, in all.")
    allow_private_addresses: tuple[PrivateHost, ...] = Field(
        (), description="Hosts or addresses of your own network that may be reached: others there are refused."
    )


class ChatChannel:
    """Sends deliveries through Apprise.

    Raises:
        ChannelUnusable: when the address cannot be read, or Apprise does not know its form.
    """

    def __init__(self, settings: ChatSettings) -> None:
        self._settings = settings
        self._look_ups = LookUps()
        self._calls = Errands(_MOST_CALLS)
        _keep_quiet()
        self._service()

    @property
    def name(self) -> str:
        """Its name in the settings."""
        return self._settings.name

    @property
    def endpoint(self) -> str:
        """A digest of its address."""
        return digest(self._settings.url.reveal())

    def send(self, delivery: Delivery, now: datetime) -> Attempt:
        """Hand the text to the service once. Blocks."""
        begun = time.monotonic()
        message = read_message(delivery.payload)
        age = late(delivery.created_at, now)
        above = note(delivery.created_at, now, unheard=delivery.unheard)
        title = inert(subject(message) + (f" (written {age} ago)" if age else ""))
        body = inert(plain_text(message, most_stories=_MOST_STORIES, note=above))
        try:
            service = self._service()
        except ChannelUnusable as error:
            return Attempt.answered(Answer(AttemptOutcome.MISCONFIGURED, str(error)), now, begun)
        try:
            refused = self._refused(service)
        except TimeoutError:
            return Attempt.answered(self._timed_out(), now, begun)
        if refused:
            return Attempt.answered(Answer(AttemptOutcome.MISCONFIGURED, refused), now, begun)
        left = max(0.0, self._settings.timeout_seconds - (time.monotonic() - begun))
        call = self._calls.begin(partial(self._notify, service, title, fitting(body, room(service[0], left))))
        try:
            answer = call.result(left)
        except TimeoutError:
            answer = self._timed_out()
        return Attempt.answered(answer, now, begun)

    def _notify(self, service: apprise.Apprise, title: str, body: str) -> Answer:
        import apprise

        with service.notify(body=body, title=title, body_format=apprise.NotifyFormat.TEXT) as result:
            return self._answer(result)

    def _service(self) -> apprise.Apprise:
        import apprise

        # No limit of Apprise's: what goes on beyond one stays in a pool of a few threads that all channels share.
        service = apprise.Apprise(asset=apprise.AppriseAsset(http_redirects=False, service_timeout=0))
        if not service.add(self._settings.url.reveal()) or len(service) != 1:
            raise ChannelUnusable(
                f"{self._settings.url} does not hold an address that Apprise knows: see its list of services"
            )
        # Left to the service, a text over its limit is refused, however often it is tried. An address may say else.
        if service[0].overflow_mode is apprise.OverflowMode.UPSTREAM:
            service[0].overflow_mode = apprise.OverflowMode.SPLIT
        return service

    def _refused(self, service: apprise.Apprise) -> str:
        """Why the host that the address names must not be reached; empty when it may, or when it names none.

        Raises:
            TimeoutError: when the name service of this machine does not answer.
        """
        host = named_host(service[0])
        if not host:
            return ""
        try:
            addresses = self._look_ups.addresses_within(host, None, self._settings.timeout_seconds)
        except TimeoutError:
            raise
        except (OSError, UnicodeError):
            return ""  # it has no address: the attempt itself will say so
        refused = refusal(host, addresses, self._settings.allow_private_addresses)
        if refused is None:
            return ""
        return (
            f"the chat service of {self._settings.name} is at {refused[1]}: messages are not sent "
            "there unless allow_private_addresses names its host"
        )

    def _timed_out(self) -> Answer:
        words = f"the chat service of {self.name} did not answer within {self._settings.timeout_seconds:g} s"
        return Answer(AttemptOutcome.TIMED_OUT, words)

    def _answer(self, result: apprise.AppriseResult) -> Answer:
        if result:
            return Answer(AttemptOutcome.DELIVERED)
        who = f"the chat service of {self._settings.name}"
        # Of what Apprise logs only the status is kept: the rest may quote the address.
        codes = [int(found[1]) for entry in result.logs() if (found := _STATUS.search(str(entry.message)))]
        if not codes:
            return Answer(AttemptOutcome.UNREACHABLE, f"{who} could not be reached: see whether it is up")
        if codes[-1] == 429:
            return Answer(AttemptOutcome.THROTTLED, f"{who} answered 429: too many messages")
        words = f"{who} answered {codes[-1]}: see whether the address in {self._settings.url} is still valid"
        return Answer(AttemptOutcome.REFUSED, words)


def named_host(plugin: Any) -> str:
    """The host that the user's own address leads to; empty for a service whose host Apprise knows itself."""
    if "host" not in plugin.template_tokens or getattr(plugin, "mode", "") == "cloud":
        return ""
    return str(getattr(plugin, "smtp_host", "") or plugin.host or "")


def room(plugin: Any, seconds: float) -> int:
    """How many characters a service takes in one attempt of so many seconds, in parts if need be; 0 when any number."""
    rest = plugin.request_rate_per_sec
    parts = min(_MOST_PARTS, 1 + int(_SHARE_OF_TIME * seconds / rest)) if rest > 0 else _MOST_PARTS
    return max(0, int(parts * plugin.body_maxlen * _SHARE_OF_PART))


def fitting(text: str, most: int) -> str:
    """The text, or where it is longer than `most` characters its first lines, and a word that there is more."""
    if not most or len(text) <= most:
        return text
    start = text[: max(0, most - len(_CUT))]
    return (start.rpartition("\n")[0] or start) + _CUT


def inert(text: str) -> str:
    """Text that no chat service reads as a mention, a command or a disguised link.

    A headline is written by a stranger: "@everyone" or "[your bank](https://elsewhere)" in it must stay letters.
    """
    return (
        text.replace("@", "@" + _HIDDEN_STOP)
        .replace("](", "]" + _HIDDEN_STOP + "(")
        .replace("<", "‹")
        .replace(">", "›")
    )


def _keep_quiet() -> None:
    """Apprise and urllib3 log whole addresses, tokens included, at low levels: those lines stay out of our logs."""
    import apprise

    logging.getLogger(apprise.logger.name).propagate = False
    for name in ("urllib3", "requests"):
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.level, logging.INFO))
