"""Webhooks, signed as Standard Webhooks asks (https://www.standardwebhooks.com).

takes  a delivery
gives  an `Attempt`: what the receiver answered to one POST
never  follows a redirect, connects to an address that was not checked, or waits beyond its time limit

The host is resolved once and the connection goes to the checked address, so a name that changes between check and
use (DNS rebinding) gains nothing. The transport is used without a client around it: the client would log the whole
address, with whatever token is in it, and would heed proxies from the environment, which evade the check.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import ssl
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Annotated, Literal

import httpx2
from pydantic import Field, field_validator
from standardwebhooks.webhooks import Webhook as Signer

from alerts.errors import ChannelUnusable
from alerts.sending.addresses import refusal
from alerts.sending.allowed import PrivateHost
from alerts.sending.attempt import Answer, Attempt, AttemptOutcome
from alerts.sending.delivery import Delivery
from alerts.sending.look_ups import LookUps
from alerts.sending.secrets import Secret
from alerts.sending.special_addresses import Refusal
from alerts.settings import ChannelBase, digest

_FEWEST_SECRET_BYTES = 16
_LONGEST_WISH = timedelta(days=7)
# Of names (RFC 1035, 2.3.4).
_LONGEST_HOST, _LONGEST_PART, _LAST_PORT = 253, 63, 65535
# "Later", as Standard Webhooks reads them: a gateway that gives up waits for a receiver under load.
_THROTTLES = (
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
)


class WebhookSettings(ChannelBase):
    """A signed POST to an address of your own."""

    type: Literal["webhook"]
    url: str = Field(repr=False, description="Where to POST, http or https; tokens in it are never shown.")
    secret: Secret = Field(description='Key of the signature: "whsec_" and base64, or any text of 16 bytes or more.')
    old_secret: Secret | None = Field(None, description="The key before the last rotation: signs too, until removed.")
    timeout_seconds: Annotated[float, Field(gt=0, le=120)] = Field(10, description="Most time for one attempt, in all.")
    allow_private_addresses: tuple[PrivateHost, ...] = Field(
        (), description="Hosts or addresses of your own network that may be reached: others there are refused."
    )

    @field_validator("url")
    @classmethod
    def _http(cls, url: str) -> str:
        try:
            parsed = httpx2.URL(url)
        except httpx2.InvalidURL:
            raise ValueError("url is not an address; write https://host/path") from None
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise ValueError("url must begin with http:// or https:// and name a host")
        if not url.isprintable() or any(character.isspace() for character in url):
            raise ValueError(
                "url holds a space or a hidden character, which no address has; write it as %20 or the like"
            )
        if len(parsed.raw_host) > _LONGEST_HOST or any(
            len(part) > _LONGEST_PART for part in parsed.raw_host.split(b".")
        ):
            raise ValueError("url names a host that is longer than any name can be")
        if parsed.port is not None and not 1 <= parsed.port <= _LAST_PORT:
            raise ValueError(f"url names a port that is none: they go from 1 to {_LAST_PORT}")
        return url


class WebhookChannel:
    """Sends deliveries as signed POSTs.

    Raises:
        ChannelUnusable: when a secret cannot be read or is too short.
    """

    def __init__(self, settings: WebhookSettings) -> None:
        self._settings = settings
        self._url = httpx2.URL(settings.url)
        self._shown = shown(self._url)
        self._look_ups = LookUps()
        self._signers()

    @property
    def name(self) -> str:
        """Its name in the settings."""
        return self._settings.name

    @property
    def endpoint(self) -> str:
        """A digest of its address."""
        return digest(self._settings.url)

    def send(self, delivery: Delivery, now: datetime) -> Attempt:
        """POST once. Blocks, and must not be called where an event loop runs."""
        begun = time.monotonic()
        try:
            headers = signed_headers(delivery, now, self._signers())
        except ChannelUnusable as error:
            return Attempt.answered(Answer(AttemptOutcome.MISCONFIGURED, str(error)), now, begun)
        answer = asyncio.run(self._within_time(delivery.payload.encode(), headers, now))
        return Attempt.answered(answer, now, begun)

    def _signers(self) -> list[Signer]:
        secrets = [self._settings.secret, self._settings.old_secret]
        return [_signer(secret) for secret in secrets if secret is not None]

    async def _within_time(self, body: bytes, headers: dict[str, str], now: datetime) -> Answer:
        limit = self._settings.timeout_seconds
        try:
            async with asyncio.timeout(limit):
                return await self._post(body, headers, now)
        except (TimeoutError, httpx2.TimeoutException):
            return Answer(
                AttemptOutcome.TIMED_OUT,
                f"{self._shown} did not answer within {limit:g} s: see whether it is up, or raise timeout_seconds",
            )
        except ssl.SSLCertVerificationError as error:
            return self._untrusted(error.verify_message)
        except httpx2.TransportError as error:
            if isinstance(cause := _cause(error, ssl.SSLCertVerificationError), ssl.SSLCertVerificationError):
                return self._untrusted(cause.verify_message)
            words = f"{self._shown} could not be reached ({type(error).__name__}): see whether the receiver is up"
            return Answer(AttemptOutcome.UNREACHABLE, words)

    def _untrusted(self, why: str) -> Answer:
        words = f"the certificate of {self._shown} is not trusted ({why}): renew it, or add its issuer to the system"
        return Answer(AttemptOutcome.MISCONFIGURED, words)

    async def _post(self, body: bytes, headers: dict[str, str], now: datetime) -> Answer:
        try:
            addresses = await self._resolve()
        except TimeoutError:
            raise
        except (OSError, UnicodeError):
            words = f"the host of {self._shown} has no address: check its name, and the name service of this machine"
            return Answer(AttemptOutcome.UNREACHABLE, words)
        refused = refusal(self._url.host, addresses, self._settings.allow_private_addresses)
        if refused is not None:
            return Answer(AttemptOutcome.MISCONFIGURED, self._not_allowed(*refused))
        for address in addresses[:-1]:
            try:
                return await self._post_to(address, body, headers, now)
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                continue  # nothing was sent: a host with a dead IPv6 route is reached by its IPv4 address
        return await self._post_to(addresses[-1], body, headers, now)

    async def _resolve(self) -> list[str]:
        host = self._url.raw_host.decode("ascii").strip("[]")
        port = self._url.port or (443 if self._url.scheme == "https" else 80)
        return await asyncio.wrap_future(self._look_ups.addresses(host, port))

    def _not_allowed(self, address: str, why: Refusal) -> str:
        return (
            f"{self._shown} leads to {address}, {why}: webhooks are not sent there unless "
            f'allow_private_addresses names "{self._url.host}"'
        )

    async def _post_to(self, address: str, body: bytes, headers: dict[str, str], now: datetime) -> Answer:
        limit = self._settings.timeout_seconds
        request = httpx2.Request(
            "POST",
            self._url.copy_with(host=address, username=None, password=None),
            headers={"host": self._url.netloc.decode("ascii"), **_login(self._url), **headers},
            content=body,
            extensions={
                # Half of the whole for connecting, so that a second address still gets its chance.
                "timeout": {"connect": limit / 2, "read": limit, "write": limit, "pool": limit},
                "sni_hostname": self._url.raw_host.decode("ascii"),
            },
        )
        # The system's certificates are read anew, which takes 20 ms: they are renewed while this process lives.
        tls = ssl.create_default_context()
        async with httpx2.AsyncHTTPTransport(verify=tls, trust_env=False) as transport:
            response = await transport.handle_async_request(request)
            # The body is left unread: nothing in it is needed, and it may be endless.
            await response.aclose()
        return answer_of(response.status_code, response.headers.get("retry-after"), now, self._shown)


def shown(url: httpx2.URL) -> str:
    """An address without what may be secret: scheme, host, port and path, no user, query or fragment."""
    return str(url.copy_with(username=None, password=None, query=None, fragment=None))


def signed_headers(delivery: Delivery, now: datetime, signers: Sequence[Signer]) -> dict[str, str]:
    """The headers of Standard Webhooks: one signature per key, parted by spaces; the id is the delivery's."""
    utc = now.astimezone(UTC)
    return {
        "content-type": "application/json",
        "user-agent": "Squall",
        "webhook-id": delivery.id,
        "webhook-timestamp": str(int(utc.timestamp())),
        "webhook-signature": " ".join(signer.sign(delivery.id, utc, delivery.payload) for signer in signers),
    }


def answer_of(status: int, retry_after: str | None, now: datetime, receiver: str) -> Answer:
    """What an HTTP status means for a delivery. `receiver` is the address as it may be shown."""
    said = f"{receiver} answered {status} {_phrase(status)}".rstrip()
    if 200 <= status < 300:
        return Answer(AttemptOutcome.DELIVERED)
    if status == HTTPStatus.GONE:
        return Answer(AttemptOutcome.GONE, f"{said}: it wants no more messages; change the url or remove the channel")
    if status in _THROTTLES:
        wish = _wish(retry_after, now)
        later = f" and asks to wait {wish.total_seconds():.0f} s" if wish else ""
        return Answer(AttemptOutcome.THROTTLED, f"{said}{later}", wish)
    if 300 <= status < 400:
        words = f"{said}: redirects are not followed; set url to the address that it points to"
        return Answer(AttemptOutcome.MISCONFIGURED, words)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return Answer(AttemptOutcome.REFUSED, f"{said}: check that both sides hold the same secret")
    return Answer(AttemptOutcome.REFUSED, f"{said}: see the receiver's log")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _wish(header: str | None, now: datetime) -> timedelta | None:
    """Retry-After in either form, seconds or a date (RFC 9110, 10.2.3); None when absent, past or garbage."""
    if not header:
        return None
    # Whole ones, but some say halves.
    whole, _, part = header.strip().partition(".")
    if whole.isascii() and whole.isdigit() and (not part or (part.isascii() and part.isdigit())):
        seconds = min(float(whole), _LONGEST_WISH.total_seconds())
        return timedelta(seconds=seconds) or None
    try:
        until = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    wait = (until if until.tzinfo else until.replace(tzinfo=UTC)) - now
    return min(wait, _LONGEST_WISH) if wait > timedelta(0) else None


def _signer(secret: Secret) -> Signer:
    text = secret.reveal()
    if text.startswith("whsec_"):
        try:
            key = base64.b64decode(text.removeprefix("whsec_") + "==", validate=False)
        except binascii.Error:
            raise ChannelUnusable(f'{secret} begins with "whsec_" but is not base64 after it') from None
    else:
        key = text.encode()
    if len(key) < _FEWEST_SECRET_BYTES:
        raise ChannelUnusable(
            f"{secret} is shorter than {_FEWEST_SECRET_BYTES} bytes: a signature by it can be guessed"
        )
    return Signer(key)


def _login(url: httpx2.URL) -> dict[str, str]:
    if not url.userinfo:
        return {}
    pair = f"{url.username}:{url.password}".encode()
    return {"authorization": f"Basic {base64.b64encode(pair).decode('ascii')}"}


def _cause(error: BaseException, wanted: type[BaseException]) -> BaseException | None:
    """The first error of this type that led to `error`."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, wanted):
        seen = seen.__cause__ or seen.__context__
    return seen
