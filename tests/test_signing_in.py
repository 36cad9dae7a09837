"""Signing in, against a provider of OpenID Connect on loopback: who may act, who may only look, who sees nothing.

The provider is real as far as the dashboard sees one: discovery, a redirect with a code that is good once, PKCE, an ID
token signed with RSA, its keys. It asks for no password: it vouches for whomever the test names.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import runpy
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

import dashboard.app
from monitor.desk.actions import actions_of
from monitor.service.page_actions import for_pages
from monitor.settings import Settings
from monitor.storage.readservice import ReadService
from monitor.storage.store import Store

if TYPE_CHECKING:
    from playwright import sync_api as playwright
else:
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed (pip install -e .[dev])"
    )
pytest.importorskip("authlib", reason="authlib is not installed (pip install streamlit[auth])")
jwt = pytest.importorskip("joserfc.jwt")
jwk = pytest.importorskip("joserfc.jwk")

ROOT = Path(__file__).parents[1]
SCENE = runpy.run_path(str(Path(__file__).with_name("dashboard_scene.py")))
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE = 120_000  # milliseconds: a busy machine draws slowly
CLIENT, CLIENT_SECRET = "squall", "between the two of them"
KNOWN, UNKNOWN = "ana@example.com", "eve@elsewhere.example"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(400),
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine (Debian: apt install chromium)"),
]


class Provider(ThreadingHTTPServer):
    """Vouches for `email`; `verified` is what it says of that address."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Provider)
        self.email, self.verified = KNOWN, True
        self.key = jwk.RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
        self.codes: dict[str, dict[str, str]] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def tokens(self, asked: dict[str, str]) -> dict[str, object] | None:
        """Of a code that was given and not used, by who can show the other half of its challenge; else None."""
        given = self.codes.pop(asked.get("code", ""), None)
        if given is None or asked.get("redirect_uri") != given["redirect_uri"]:
            return None
        hashed = hashlib.sha256(asked.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(hashed).rstrip(b"=").decode() != given["code_challenge"]:
            return None
        now = int(time.time())
        claims = {
            "iss": self.url,
            "sub": given["email"],
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": given["nonce"],
            "email": given["email"],
            "email_verified": self.verified,
        }
        signed = jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.key)
        return {"access_token": secrets.token_hex(8), "token_type": "Bearer", "expires_in": 300, "id_token": signed}


class _Provider(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        path, asked = urlsplit(self.path).path, _first(urlsplit(self.path).query)
        if path == "/.well-known/openid-configuration":
            at = self.server.url
            self._json(
                {
                    "issuer": at,
                    "authorization_endpoint": f"{at}/authorize",
                    "token_endpoint": f"{at}/token",
                    "jwks_uri": f"{at}/keys",
                    "response_types_supported": ["code"],
                    "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": ["RS256"],
                    "code_challenge_methods_supported": ["S256"],
                }
            )
        elif path == "/keys":
            self._json({"keys": [self.server.key.as_dict(private=False)]})
        elif path == "/authorize" and asked.get("client_id") == CLIENT and asked.get("code_challenge_method") == "S256":
            code = secrets.token_hex(8)
            self.server.codes[code] = {**asked, "email": self.server.email}
            self.send_response(302)
            self.send_header(
                "Location", f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"
            )
            self.end_headers()
        else:
            self.send_error(400)

    def do_POST(self) -> None:
        asked = _first(self.rfile.read(int(self.headers["Content-Length"])).decode())
        shown = base64.b64encode(f"{CLIENT}:{CLIENT_SECRET}".encode()).decode()
        told = self.server.tokens(asked) if self.headers.get("Authorization") == f"Basic {shown}" else None
        self._json(told or {"error": "invalid_grant"}, 200 if told else 400)

    def _json(self, told: dict[str, object], status: int = 200) -> None:
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is http.server's
        """Say nothing."""


def _first(query: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(query).items()}


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    server = Provider()
    answering = threading.Thread(target=server.serve_forever)
    answering.start()
    yield server
    server.shutdown()
    answering.join()
    server.server_close()


@pytest.fixture(scope="module")
def url(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The dashboard with a login, beside a store that is served as a daemon serves it."""
    folder = tmp_path_factory.mktemp("signing-in")
    path = folder / "squall.duckdb"
    SCENE["fill"](path, datetime.now(UTC))
    settings = Settings.model_validate(
        {"store": {"path": str(path)}, "watch": {"default_feeds": False}, "dashboard": {"may_act": [KNOWN]}}
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = {
        "redirect_uri": f"http://127.0.0.1:{port}/oauth2callback",
        "cookie_secret": secrets.token_hex(16),
        "client_id": CLIENT,
        "client_secret": CLIENT_SECRET,
        "server_metadata_url": f"{provider.url}/.well-known/openid-configuration",
    }
    (folder / ".streamlit").mkdir()
    lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in told.items())
    (folder / ".streamlit" / "secrets.toml").write_text(f"[auth]\n{lines}", encoding="utf-8")

    def clock() -> datetime:
        return datetime.now(UTC)

    with Store.open(path, clock()) as store:
        acts = for_pages(settings, store, clock, actions_of(store, clock))
        with ReadService(store, acts), _served(folder, path, port) as address:
            yield address


@contextmanager
def _served(folder: Path, store: Path, port: int) -> Iterator[str]:
    line = [
        *(sys.executable, "-m", "streamlit", "run", dashboard.app.__file__, f"--server.port={port}"),
        *("--server.address=127.0.0.1", "--server.headless=true", "--browser.gatherUsageStats=false"),
        *("--server.fileWatcherType=none", "--", "--store", str(store)),
    ]
    log = folder / "dashboard.log"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    with log.open("w", encoding="utf-8") as said:
        process = subprocess.Popen(line, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=said, text=True)
        assert process.stdout is not None
        try:
            if not any("URL" in told for told in process.stdout):
                pytest.fail("the dashboard did not start: " + log.read_text(encoding="utf-8"))
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(60)
            process.stdout.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[playwright.Browser]:
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def signed_in(browser: playwright.Browser, url: str) -> playwright.Page:
    """The page of one alert, as somebody sees it whom the provider vouches for."""
    page = browser.new_context().new_page()
    page.goto(url)
    button = page.get_by_role("button", name="Sign in")
    button.wait_for(timeout=PATIENCE)
    assert page.get_by_text("Risk now").count() == 0, "who has not signed in sees nothing of the monitor"
    button.click()
    page.get_by_text("Risk now").first.wait_for(timeout=PATIENCE)
    page.goto(f"{url}/alerts?alert={SCENE['ALERT']}")
    page.get_by_text("What happened").first.wait_for(timeout=PATIENCE)
    return page


def told(page: playwright.Page) -> str:
    """What the page says, without the marks that keep an address from becoming a link."""
    return page.locator('[data-testid="stMain"]').inner_text().replace("\u2060", "")


def test_who_is_named_in_the_settings_may_act_under_the_address_that_signed_in(
    provider: Provider, url: str, chromium: playwright.Browser
) -> None:
    provider.email, provider.verified = KNOWN, True
    page = signed_in(chromium, url)
    page.get_by_role("button", name="Acknowledge").click()
    page.get_by_text("took it on").first.wait_for(timeout=PATIENCE)
    assert f"{KNOWN} took it on" in told(page)
    assert provider.codes == {}, "a code is good once"
    page.context.close()


@pytest.mark.parametrize(
    ("email", "verified", "reason"),
    [(UNKNOWN, True, f"login {UNKNOWN} may only look"), (KNOWN, False, "vouches for no mail address")],
)
def test_whom_nobody_named_or_the_login_does_not_vouch_for_may_only_look(
    provider: Provider, url: str, chromium: playwright.Browser, email: str, verified: bool, reason: str
) -> None:
    provider.email, provider.verified = email, verified
    page = signed_in(chromium, url)
    page.get_by_text("You may only look.").first.wait_for(timeout=PATIENCE)
    assert reason in told(page)
    assert page.get_by_role("button", name="Acknowledge").count() == 0
    page.context.close()
