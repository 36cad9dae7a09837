"""Addresses: nothing private is connected to unless settings name it, whatever a name resolves to."""

from __future__ import annotations

import asyncio
import ipaddress

import httpcore2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.feeds.addresses import AddressRefused, Allowance, CheckedBackend, NoSuchHost, Refusal, refusal, resolve


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
        ("0.0.0.0", Refusal.RESERVED),  # noqa: S104  # judged, not bound to
        ("::", Refusal.RESERVED),
        ("224.0.0.1", Refusal.MULTICAST),
        ("::ffff:127.0.0.1", Refusal.LOOPBACK),
        ("::ffff:169.254.169.254", Refusal.METADATA),
        ("::ffff:93.184.216.34", None),
        ("2002:7f00:1::", Refusal.LOOPBACK),
        ("64:ff9b::a00:1", Refusal.PRIVATE),
    ],
)
def test_addresses_are_judged(address: str, reason: Refusal | None) -> None:
    assert refusal(ipaddress.ip_address(address)) is reason


@given(st.ip_addresses(v=4))
def test_an_address_is_judged_alike_in_either_family(address: ipaddress.IPv4Address) -> None:
    assert refusal(ipaddress.ip_address(f"::ffff:{address}")) is refusal(address)


@given(st.ip_addresses())
def test_what_is_permitted_is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if refusal(address) is None:
        assert not any((address.is_loopback, address.is_link_local, address.is_multicast))


def test_settings_allow_by_name_address_or_network() -> None:
    private = [ipaddress.ip_address("10.1.2.3")]
    for allowed in ("feeds.intranet", "FEEDS.intranet.", "10.1.2.3", "10.1.0.0/16"):
        assert Allowance([allowed]).permitted("feeds.intranet", private) == private
    with pytest.raises(AddressRefused, match=r"feeds\.intranet leads to 10\.1\.2\.3 \(a private address\)"):
        Allowance(["other.intranet", "10.2.0.0/16"]).permitted("feeds.intranet", private)


def test_of_mixed_addresses_only_the_public_remain() -> None:
    public, private = ipaddress.ip_address("93.184.216.34"), ipaddress.ip_address("127.0.0.1")
    assert Allowance([]).permitted("rebind.example", [private, public]) == [public]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "::1", "0.0.0.0"])  # noqa: S104  # refused, not bound to
def test_every_spelling_of_this_machine_is_refused_before_connecting(host: str) -> None:
    async def attempt() -> None:
        accepted = asyncio.Event()
        server = await asyncio.start_server(lambda *_: accepted.set(), "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises((AddressRefused, NoSuchHost)):
                await CheckedBackend(Allowance([])).connect_tcp(host, port, timeout=5)
            assert not accepted.is_set()

    asyncio.run(attempt())


def test_an_allowed_address_is_connected_to() -> None:
    async def attempt() -> bytes:
        async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"hello")
            writer.close()

        server = await asyncio.start_server(greet, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            stream = await CheckedBackend(Allowance(["127.0.0.1"])).connect_tcp("localhost", port, timeout=5)
            try:
                return await stream.read(100, timeout=5)
            finally:
                await stream.aclose()

    assert asyncio.run(attempt()) == b"hello"


def test_local_sockets_are_refused() -> None:
    with pytest.raises(AddressRefused):
        asyncio.run(CheckedBackend(Allowance(["127.0.0.1"])).connect_unix_socket("/run/docker.sock"))


def test_an_unknown_host_is_named() -> None:
    with pytest.raises(NoSuchHost, match=r"nowhere\.invalid"):
        asyncio.run(resolve("nowhere.invalid", 80))
    assert issubclass(NoSuchHost, httpcore2.ConnectError)
