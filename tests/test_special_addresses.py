"""Addresses with a special purpose: refused to feeds and to receivers alike, whatever Python makes of them."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.sending.addresses import refusal
from monitor.feeds.addresses import Allowance

# IANA's registries of special-purpose addresses, without what they call globally reachable, and multicast.
SPECIAL = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.0.0/29",
    "192.0.0.8/32",
    "192.0.0.9/32",
    "192.0.0.10/32",
    "192.0.0.170/31",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "255.255.255.255/32",
    "::/128",
    "::1/128",
    "::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001::/23",
    "2001::/32",
    "2001:1::1/128",
    "2001:1::2/128",
    "2001:1::3/128",
    "2001:2::/48",
    "2001:3::/32",
    "2001:4:112::/48",
    "2001:10::/28",
    "2001:20::/28",
    "2001:30::/28",
    "2001:db8::/32",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
]
REACHABLE = ["192.31.196.0/24", "192.52.193.0/24", "192.175.48.0/24", "2620:4f:8000::/48"]


def some_of(networks: list[str]) -> st.SearchStrategy[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    return st.sampled_from(networks).flatmap(lambda one: st.ip_addresses(network=one))


@pytest.mark.parametrize("network", SPECIAL)
def test_what_has_a_special_purpose_is_refused_at_both_ends(network: str) -> None:
    whole = ipaddress.ip_network(network)
    for address in (whole[0], whole[whole.num_addresses // 2], whole[-1]):
        assert not Allowance(()).public(address), address
        assert refusal("desk.example", [str(address)], ()) is not None, address


@given(st.ip_addresses() | some_of([*SPECIAL, *REACHABLE, "::ffff:0:0/96", "64:ff9b::/96", "2002::/16"]))
def test_feeds_and_receivers_are_judged_alike(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    assert Allowance(()).public(address) == (refusal("desk.example", [str(address)], ()) is None)


@given(some_of(REACHABLE))
def test_what_is_special_and_reachable_by_all_is_permitted(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    assert Allowance(()).public(address)
