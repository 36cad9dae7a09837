"""How feeds are polled, as far as the user decides it.

takes  the [polling] table of the settings
gives  `PollSettings`
never  imports what asks or reads feeds: every command reads settings, and few of them poll
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from alerts.sending.allowed import PrivatePlace
from monitor import __version__
from monitor.feeds.politeness import RetryScope


class PollSettings(BaseModel):
    """Section [polling] of the settings.

    Attributes:
        timeout_seconds: for one check in all, from connecting to the last byte.
        connect_seconds: for one connection.
        read_seconds: the longest silence within an answer.
        max_bytes: of a body, on the wire and unpacked.
        max_entries: of one feed that are taken in at one check, newest kept.
        max_redirects: followed within one check.
        parse_seconds: for one broken document that only the lenient parser can read; its process is ended then.
        concurrency: requests under way at once.
        per_host: requests under way at once on one registrable domain.
        host_spacing_seconds: between the beginnings of two requests to one registrable domain.
        retry_after_scope: who waits when a server sends Retry-After: the feed, or with "host" every feed of the same
            registrable domain.
        allow_private_addresses: host names, addresses or networks that may be connected to although they are
            private, loopback, link-local or cloud metadata.
        user_agent: what servers are told; a contact in it opens doors.
        backoff_max_minutes: the longest wait between two checks of a dead feed.
        slowest_factor: how many times every_minutes may pass between two checks of a feed that publishes seldom; 1
            checks every feed as often as it says.
        longest_floor_minutes: how long a feed's ttl, or its server's max-age and Expires, can put a check off.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 30.0
    connect_seconds: Annotated[float, Field(gt=0, le=600)] = 10.0
    read_seconds: Annotated[float, Field(gt=0, le=600)] = 15.0
    max_bytes: Annotated[int, Field(ge=1_024, le=2**30)] = 10 * 2**20
    max_entries: Annotated[int, Field(ge=1, le=100_000)] = 500
    max_redirects: Annotated[int, Field(ge=0, le=20)] = 5
    parse_seconds: Annotated[float, Field(gt=0, le=600)] = 10.0
    concurrency: Annotated[int, Field(ge=1, le=1_000)] = 20
    per_host: Annotated[int, Field(ge=1, le=1_000)] = 2
    host_spacing_seconds: Annotated[float, Field(ge=0, le=60)] = 0.5
    retry_after_scope: RetryScope = RetryScope.FEED
    allow_private_addresses: tuple[PrivatePlace, ...] = ()
    user_agent: Annotated[str, Field(min_length=1, max_length=300)] = f"Squall/{__version__} (feed reader)"
    backoff_max_minutes: Annotated[int, Field(ge=1, le=10_080)] = 360
    slowest_factor: Annotated[float, Field(ge=1, le=100)] = 3.0
    longest_floor_minutes: Annotated[int, Field(ge=0, le=1_440)] = 60

    @field_validator("user_agent")
    @classmethod
    def _fits_a_header(cls, text: str) -> str:
        if not (text.isascii() and text.isprintable()):
            raise ValueError("user_agent must be printable ASCII: it is sent in a header")
        return text
