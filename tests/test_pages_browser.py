"""Pages in a real browser: hostile titles stay text, nothing leaves the machine, selections survive a refresh."""

from __future__ import annotations

import os
import runpy
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import dashboard.app
from monitor.storage.readservice import ReadService
from monitor.storage.store import Batch, Store

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install -e .[dev])")

ROOT = Path(__file__).parents[1]
SCENE = runpy.run_path(str(Path(__file__).with_name("dashboard_scene.py")))
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine (Debian: apt install chromium)"),
]


@dataclass
class Site:
    """A running dashboard beside a store that answers as a daemon's does."""

    url: str
    store: Store


@dataclass
class Watched:
    """A page, and what it did that nobody asked for."""

    page: playwright.Page
    asked: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    path, now = tmp_path_factory.mktemp("browser") / "squall.duckdb", datetime.now(UTC)
    SCENE["fill"](path, now)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    app = str(Path(dashboard.app.__file__))
    command = [sys.executable, "-m", "streamlit", "run", app, f"--server.port={port}", "--", "--store", str(path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    with Store.open(path, now) as store, ReadService(store):
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
        assert process.stdout is not None
        try:
            said = []
            for line in process.stdout:
                said.append(line)
                if "URL" in line:
                    break
            else:
                pytest.fail("the dashboard did not start: " + "".join(said))
            yield Site(f"http://127.0.0.1:{port}", store)
        finally:
            process.terminate()
            process.wait(10)
            process.stdout.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[playwright.Browser]:
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def watched(browser: playwright.Browser, site: Site) -> Iterator[Watched]:
    page = browser.new_page(viewport={"width": 1280, "height": 900}, locale="en-GB", timezone_id="Asia/Tokyo")
    seen = Watched(page)
    page.on("request", lambda request: seen.asked.append(request.url))
    page.on("dialog", lambda dialog: (seen.dialogs.append(dialog.message), dialog.dismiss()))
    yield seen
    page.close()


def ready(page: playwright.Page, words: str) -> None:
    """Block until the page says `words` and has nothing left to draw."""
    page.get_by_text(words).first.wait_for(timeout=30_000)
    page.locator('[data-testid="stStatusWidget"]').wait_for(state="detached", timeout=30_000)


def test_a_hostile_title_is_text_and_does_nothing(watched: Watched, site: Site) -> None:
    page = watched.page
    page.goto(f"{site.url}/alerts?alert={SCENE['ALERT']}")
    ready(page, "Evidence: 3 stories")
    shown = page.locator("[data-testid='stMarkdown'] p, [data-testid='stText']").all_inner_texts()
    # Invisible joiners keep Streamlit from making links of addresses.
    visible = [one.replace("\u2060", "").strip() for one in shown]
    assert visible.count(SCENE["HOSTILE"]) == 2, "once as a link, once without an address; both to the letter"
    assert page.title() == "Squall"
    assert watched.dialogs == []
    assert page.locator(".katex, a[href^='javascript'], img[src*='127.0.0.1:9']").count() == 0
    links = page.locator("[data-testid='stMarkdown'] p a").evaluate_all("all => all.map(one => one.href)")
    assert set(links) == {"https://news.example/1", "https://news.example/1000"}
    assert page.get_by_text("Evil <b>News</b>").count() == 1


@pytest.mark.parametrize(
    ("path", "words"), [("", "Latest headlines"), ("alerts", "Choose a row"), ("feeds", "Messages")]
)
def test_no_page_asks_anyone_but_its_own_server(path: str, words: str, watched: Watched, site: Site) -> None:
    watched.page.goto(f"{site.url}/{path}")
    ready(watched.page, words)
    hosts = {urlsplit(url).hostname for url in watched.asked if not url.startswith(("data:", "blob:"))}
    assert hosts == {"127.0.0.1"}
    assert watched.page.get_by_text("could not be drawn").count() == 0


@pytest.mark.parametrize(
    ("path", "words"), [("", "Latest headlines"), ("alerts", "Choose a row"), ("feeds", "Messages")]
)
def test_every_page_fits_a_telephone(path: str, words: str, watched: Watched, site: Site) -> None:
    watched.page.set_viewport_size({"width": 390, "height": 844})
    watched.page.goto(f"{site.url}/{path}")
    ready(watched.page, words)
    width = watched.page.evaluate("document.querySelector('[data-testid=\"stMain\"]').scrollWidth")
    assert width <= 390


def test_a_row_of_the_list_opens_its_alert_and_the_way_back_works(watched: Watched, site: Site) -> None:
    page = watched.page
    page.goto(f"{site.url}/alerts")
    ready(page, "Choose a row")
    table = page.locator('[data-testid="stDataFrame"]').first.bounding_box()
    assert table is not None
    page.mouse.click(table["x"] + 17, table["y"] + 35 + 17)
    ready(page, "Evidence: 3 stories")
    assert f"alert={SCENE['ALERT']}" in page.url
    page.get_by_role("button", name="All alerts").click()
    ready(page, "Choose a row")
    assert "alert=" not in page.url


def test_a_card_of_the_overview_leads_to_its_alert(watched: Watched, site: Site) -> None:
    page = watched.page
    page.goto(site.url)
    ready(page, "Latest headlines")
    page.get_by_role("link", name="Evidence").click()
    ready(page, "Evidence: 3 stories")
    assert f"alert={SCENE['ALERT']}" in page.url


def test_a_refresh_brings_the_news_and_keeps_the_selection(watched: Watched, site: Site) -> None:
    page = watched.page
    page.goto(site.url)
    ready(page, "Latest headlines")
    page.get_by_role("combobox", name="Series").click()
    page.get_by_role("option", name="Theme: Bank stress").click()
    page.get_by_text("Stories per hour: Bank stress").wait_for(timeout=30_000)
    page.get_by_role("radio", name="28 days").click()
    page.get_by_text("Stories per day: Bank stress").wait_for(timeout=30_000)
    before = site.store.counts().headlines
    now = datetime.now(UTC)
    one = SCENE["headline"](9000 + before, now, "Another bank in trouble", "wire")
    site.store.append(Batch(headlines=[one], scores={one.id: SCENE["scored"](0.9, "bank-stress")}), now)
    page.get_by_text(f"{before + 1} headlines").wait_for(timeout=40_000)
    page.locator('[data-testid="stStatusWidget"]').wait_for(state="detached", timeout=30_000)
    assert page.get_by_text("Stories per day: Bank stress").is_visible()
