"""What settings may allow although it is private: hosts, addresses and networks, as people write them."""

from __future__ import annotations

import ipaddress

import pytest
from pydantic import ValidationError

from alerts.sending.allowed import objection
from alerts.sending.webhook import WebhookSettings
from monitor.feeds.addresses import Allowance
from monitor.feeds.poll_settings import PollSettings


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("http://news.intranet/", "must be a host alone"),
        ("news.intranet:8080", "must be a host alone"),
        ("*.intranet", "knows no wildcards"),
        ("10.20.0.5/16", r"write 10\.20\.0\.0/16 for all of it, or the address alone"),
        ("10.20.0.0/99", "is no network"),
        ("news.intranet/feed", "is no network"),
        *((text, "must be the name of a host, an address or a network") for text in (
            "", " ", " 10.20.0.5", "news intranet", "10.20.0", "999.1.1.1", "10.0.0.1-10.0.0.9", "a..b", "-a.intranet",
            "a-.intranet", "a" * 64, "fe80::1%eth0", "[::1]", "10.20.0.5,10.20.0.6", "."
        )),
    ],
)  # fmt: skip
def test_what_names_neither_host_nor_network_is_refused_in_words(entry: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        PollSettings(allow_private_addresses=("news.intranet", entry))


@pytest.mark.parametrize(
    "entry",
    [
        "localhost",
        "news_1.intranet",
        "NEWS.intranet.",
        "m\u00fcnchen.example",
        "10.20.0.5",
        "::1",
        "fd00::/8",
        "0.0.0.0/0",
    ],
)
def test_what_can_be_meant_is_kept_as_it_was_written(entry: str) -> None:
    assert PollSettings(allow_private_addresses=(entry,)).allow_private_addresses == (entry,)
    assert objection(entry, networks=False) == ("" if "/" not in entry else objection("10.0.0.0/8", networks=False))


@pytest.mark.parametrize("entry", ["10.20.0.0/16", "https://desk.intranet", "desk intranet"])
def test_a_channel_names_hosts_and_never_repeats_what_it_was_given(entry: str) -> None:
    channel = {"type": "webhook", "name": "desk", "url": "https://desk.intranet/a", "secret": "env:KEY"}
    with pytest.raises(ValidationError, match="must be") as refused:
        WebhookSettings.model_validate(channel | {"allow_private_addresses": [entry]})
    assert entry not in str(refused.value.errors()[0]["msg"])
    assert WebhookSettings.model_validate(channel | {"allow_private_addresses": ["[::1]"]})


@pytest.mark.parametrize("entry", ["m\u00fcnchen.intranet", "M\u00dcNCHEN.intranet.", "xn--mnchen-3ya.intranet"])
def test_a_name_of_any_language_is_found_under_the_code_that_is_asked_for(entry: str) -> None:
    private = [ipaddress.ip_address("10.1.2.3")]
    assert Allowance([entry]).permitted("xn--mnchen-3ya.intranet", private) == private
