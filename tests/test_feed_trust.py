"""Which certificates feeds are trusted by, also when the system's authorities are renewed while the daemon runs."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from pathlib import Path

import aiohttp
import pytest

from monitor.feeds.web import Web


def test_renewed_authorities_are_trusted_within_an_hour_and_at_a_reload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command to make a certificate")
    cert, key, system, other = (tmp_path / f"{name}.pem" for name in ("cert", "key", "system", "other"))
    for made in (other, cert):
        command = (
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost "
            f"-addext subjectAltName=DNS:localhost -keyout {key} -out {made}"
        )
        subprocess.run(command.split(), check=True, capture_output=True)
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    served.load_cert_chain(cert, key)
    monkeypatch.setenv("SSL_CERT_FILE", str(system))
    passed, refusals = [0.0], list[str]()

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        writer.close()

    async def trusts(web: Web, url: str) -> bool:
        try:
            async with web.get(url, {}, 5, 5) as answer:
                return await answer.read() == b"ok"
        except aiohttp.ClientConnectorCertificateError:
            return False
        except OSError as error:
            refusals.append(str(error))
            return False

    async def asked() -> list[bool]:
        server = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=served)
        url = f"https://localhost:{server.sockets[0].getsockname()[1]}/"
        # A reload makes a poller of its own, with connections of its own.
        running, reloaded = (Web(["localhost"], "test", 1, lambda: passed[0]) for _ in range(2))
        told = []
        try:
            async with server:
                told.append(await trusts(running, url))
                shutil.copy(other, system)
                told.append(await trusts(running, url))
                shutil.copy(cert, system)
                told.append(await trusts(running, url))
                told.append(await trusts(reloaded, url))
                passed[0] = 3_601.0
                told.append(await trusts(running, url))
                system.write_text("half of a certificate")
                passed[0] = 7_300.0
                told.append(await trusts(running, url))
                return told
        finally:
            await running.aclose()
            await reloaded.aclose()

    assert asyncio.run(asked()) == [False, False, False, True, True, True]
    assert ["look at SSL_CERT_FILE and SSL_CERT_DIR" in one for one in refusals] == [True]
