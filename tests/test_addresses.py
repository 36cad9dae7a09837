"""Addresses: nothing private is connected to unless settings name it, whatever a name resolves to."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.sending.special_addresses import Refusal, verdict
from monitor.feeds.addresses import AddressRefused, Allowance, CheckedResolver, NoSuchHost, resolve
from monitor.feeds.look_ups import LookUps
from monitor.feeds.web import Web, asked_address


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("93.184.216.34", None),
        ("2606:2800:220:1:248:1893:25c8:1946", None),
        ("127.0.0.1", Refusal.LOOPBACK),
        ("::1", Refusal.LOOPBACK),
        ("10.1.2.3", Refusal.PRIVATE),
        ("172.16.0.1", Refusal.PRIVATE),
        ("192.168.1.1", Refusal.PRIVATE),
        ("fd12::1", Refusal.PRIVATE),
        ("169.254.1.1", Refusal.LINK_LOCAL),
        ("fe80::1", Refusal.LINK_LOCAL),
        ("169.254.169.254", Refusal.METADATA),
        ("168.63.129.16", Refusal.METADATA),
        ("fd00:ec2::254", Refusal.METADATA),
        ("100.64.0.1", Refusal.SHARED),
        ("::ffff:100.127.255.254", Refusal.SHARED),
        ("100.128.0.1", None),
        ("0.0.0.0", Refusal.LOOPBACK),  # noqa: S104  # judged, not bound to
        ("::", Refusal.LOOPBACK),
        ("224.0.0.1", Refusal.MULTICAST),
        ("::ffff:127.0.0.1", Refusal.LOOPBACK),
        ("::ffff:169.254.169.254", Refusal.METADATA),
        ("::ffff:93.184.216.34", None),
        ("2002:7f00:1::", Refusal.LOOPBACK),
        ("64:ff9b::a00:1", Refusal.PRIVATE),
        ("64:ff9b::5db8:d822", None),
        # A network's own translation: what it leads to, only that network knows.
        ("64:ff9b:1::7f00:1", Refusal.PRIVATE),
        ("64:ff9b:1:fffe::5db8:d822", Refusal.PRIVATE),
        ("fec0::1", Refusal.PRIVATE),
        ("feff::1", Refusal.PRIVATE),
        # Translated and compatible addresses, which a system may still take for the IPv4 address in them.
        ("::ffff:0:127.0.0.1", Refusal.LOOPBACK),
        ("::ffff:0:169.254.169.254", Refusal.METADATA),
        ("::ffff:0:93.184.216.34", Refusal.RESERVED),
        ("::127.0.0.1", Refusal.LOOPBACK),
        ("::10.0.0.1", Refusal.PRIVATE),
        ("::93.184.216.34", Refusal.RESERVED),
        # Never given out to anybody.
        ("::5efe:a00:1", Refusal.RESERVED),
        ("5f00::1", Refusal.RESERVED),
        ("4000::1", Refusal.RESERVED),
        ("3fff::1", Refusal.RESERVED),
        ("192.0.0.8", Refusal.RESERVED),
    ],
)
def test_addresses_are_judged(address: str, reason: Refusal | None) -> None:
    assert verdict(ipaddress.ip_address(address)) is reason


@given(st.ip_addresses(v=4))
def test_an_address_is_judged_alike_in_either_family(address: ipaddress.IPv4Address) -> None:
    assert verdict(ipaddress.ip_address(f"::ffff:{address}")) is verdict(address)


@given(st.ip_addresses(v=4), st.sampled_from(["::ffff:0:", "::", "2002:"]))
def test_a_refused_address_is_refused_in_whatever_carries_it(address: ipaddress.IPv4Address, carrier: str) -> None:
    if verdict(address) is not None:
        low, high = int(address) & 0xFFFF, int(address) >> 16
        tail = "::" if carrier == "2002:" else ""
        assert verdict(ipaddress.ip_address(f"{carrier}{high:x}:{low:x}{tail}")) is not None


@given(st.ip_addresses(v=6))
def test_only_what_was_given_out_or_leads_into_ipv4_is_permitted(address: ipaddress.IPv6Address) -> None:
    inside = address in ipaddress.IPv6Network("64:ff9b::/96") or address.ipv4_mapped is not None
    if verdict(address) is None:
        assert inside or address in ipaddress.IPv6Network("2000::/3")


@given(st.ip_addresses())
def test_what_is_permitted_is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if verdict(address) is None:
        assert not any((address.is_loopback, address.is_link_local, address.is_multicast))


def test_settings_allow_by_name_address_or_network() -> None:
    private = [ipaddress.ip_address("10.1.2.3")]
    for allowed in ("feeds.intranet", "FEEDS.intranet.", "10.1.2.3", "10.1.0.0/16"):
        assert Allowance([allowed]).permitted("feeds.intranet", private) == private
    with pytest.raises(AddressRefused, match=r"feeds\.intranet leads to 10\.1\.2\.3 \(a private address\)"):
        Allowance(["other.intranet", "10.2.0.0/16"]).permitted("feeds.intranet", private)
    with pytest.raises(AddressRefused, match=r"^10\.1\.2\.3 is a private address$"):
        Allowance([]).permitted("10.1.2.3", private)


def test_of_mixed_addresses_only_the_public_remain() -> None:
    public, private = ipaddress.ip_address("93.184.216.34"), ipaddress.ip_address("127.0.0.1")
    assert Allowance([]).permitted("rebind.example", [private, public]) == [public]


async def got(host: str, *allowed: str) -> tuple[bytes, bool]:
    """What a server of this machine says when it is asked as `host`, and whether anybody connected to it."""
    accepted = asyncio.Event()

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set()
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    web = Web(allowed, "test", 1)
    async with server:
        port = server.sockets[0].getsockname()[1]
        try:
            async with web.get(f"http://{host}:{port}/", {}, 5, 5) as answer:
                return await answer.read(), accepted.is_set()
        except (AddressRefused, NoSuchHost):
            return b"", accepted.is_set()
        finally:
            await web.aclose()


SPELLINGS = [
    "127.0.0.1",
    "localhost",
    "2130706433",
    "127.1",
    "0x7f.1",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "0.0.0.0",  # noqa: S104  # asked for, not bound to
    "①②⑦.0.0.1",
]


@pytest.mark.parametrize("host", SPELLINGS)
def test_every_spelling_of_this_machine_is_refused_before_connecting(host: str) -> None:
    assert asyncio.run(got(host)) == (b"", False)


@pytest.mark.parametrize(("host", "allowed"), [("localhost", "127.0.0.1"), ("localhost", "localhost")])
def test_an_allowed_address_or_name_is_connected_to(host: str, allowed: str) -> None:
    assert asyncio.run(got(host, allowed)) == (b"hello", True)


def test_a_name_that_is_allowed_opens_its_address_to_nobody_else() -> None:
    async def attempt() -> list[tuple[bytes, bool]]:
        return [await got("127.0.0.1", "localhost"), await got("localhost.localdomain", "localhost")]

    assert [reached for _, reached in asyncio.run(attempt())] == [False, False]


def test_whatever_way_a_connection_comes_about_its_address_is_judged() -> None:
    def at(address: str, *allowed: str) -> socket.socket:
        return CheckedResolver(allowed).socket_to((socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, 80)))

    with pytest.raises(AddressRefused, match="a private address"):
        at("10.0.0.1")
    for permitted in (at("10.0.0.1", "10.0.0.0/8"), at("93.184.216.34")):
        with permitted:
            assert permitted.family is socket.AF_INET


def test_an_address_is_asked_to_the_letter() -> None:
    signed = "https://news.example/f%2Fa?sign=a%2bb%7E&x=1+2"
    assert str(asked_address(signed)) == signed
    assert str(asked_address("https://bücher.example/a b")) == "https://xn--bcher-kva.example/a%20b"


def test_an_unknown_host_is_named() -> None:
    with pytest.raises(NoSuchHost, match=r"nowhere\.invalid"):
        asyncio.run(resolve("nowhere.invalid", 80, LookUps(1)))
