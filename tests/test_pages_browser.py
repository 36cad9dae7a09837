"""Pages in a real browser: hostile titles stay text, nothing leaves the machine, selections survive a refresh."""

from __future__ import annotations

import os
import runpy
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

import dashboard.app
from alerts.evidence import Evidence
from alerts.lifecycle import Change, ChangeReason, State
from models.score import Abstention, Score
from monitor.desk.actions import actions_of
from monitor.series import Scored
from monitor.service.page_actions import for_pages
from monitor.settings import Settings
from monitor.storage.alert_store import AlertStore
from monitor.storage.readservice import ReadService
from monitor.storage.store import Batch, Store

if TYPE_CHECKING:
    from playwright import sync_api as playwright
else:
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed (pip install -e .[dev])"
    )

ROOT = Path(__file__).parents[1]
SCENE = runpy.run_path(str(Path(__file__).with_name("dashboard_scene.py")))
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HOUR = timedelta(hours=1)
PATIENCE = 60_000  # milliseconds: a busy machine draws slowly

# Each of them does something where a page takes it for more than text.
CORPUS = (
    SCENE["HOSTILE"],
    "<svg/onload=\"document.title='owned'\"> <iframe src=http://127.0.0.1:9/f> </div><style>*{display:none}</style>",
    "[a](javascript:document.title='owned') <javascript:alert(1)> [b]: http://127.0.0.1:9/b ![c](http://127.0.0.1:9/c.gif)",
    "$$\\href{javascript:alert(1)}{x}$$ \\(\\int_0^1\\) $x^2$ between $5 and $6",
    ":rocket: :material/warning: :red-background[hot] :rainbow[x] :small[y] :streamlit: -> <- --",
    "Right \u202eotfel\u202c to left \u2066isolate\u2069 zero\u200bwidth\u200d joiner\ufeff \u0000nul \u0007bell",
    '=HYPERLINK("http://127.0.0.1:9/h","x") ',
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "# heading > quote - list | table | ``` fence ~~~ --- *** ___ 1. one",
    "Word" * 1250,
    "W" * 2500 + " " + "\U0001f4a5" * 600 + "Z\u0351\u036b\u0343" * 400,
    "{{7*7}} ${7*7} %s %(x)s {0} {x!r} \\u0041 &lt;b&gt; &#x3c;script&#x3e;",
)
GRAVE = "alert_00000000000000cc"
PAGES = [
    ("", "Risk now"),
    ("series?series=theme:bank-stress", "Bank stress"),
    ("alerts", "Judged"),
    (f"alerts?alert={GRAVE}", "Evidence: 25 stories"),
    ("stories", "Monitor running"),
    ("feeds?feed=sick-post", "One feed"),
    ("deliveries", "Latest messages"),
    ("deliveries?delivery=msg_chat", "Fired on chat"),
    ("model", "Which model scored what"),
    ("settings", "Settings in force"),
]

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
    feeds = [
        {"id": name, "url": f"https://{name}.example/rss", "name": name, "publisher": name}
        for name in ("calm-wire", "sick-post")
    ]
    told = {"store": {"path": str(path)}, "watch": {"default_feeds": False}, "feeds": feeds}
    settings = Settings.model_validate(told)
    with Store.open(path, now) as store:
        _hostile(store, now)
        acts = for_pages(settings, store, clock, actions_of(store, clock))
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
        assert process.stdout is not None
        try:
            with ReadService(store, acts):
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
            process.wait(60)
            process.stdout.close()


def clock() -> datetime:
    return datetime.now(UTC)


def _hostile(store: Store, now: datetime) -> None:
    """Headlines of the corpus, counted and abstained from; an alert on them; a feed and a person that are no better."""
    made = [
        SCENE["headline"](5000 + n, now - n * HOUR / 6, title, f"Evil {title[:40]}", "javascript:alert(1)" * (n % 2))
        for n, title in enumerate(CORPUS)
    ]
    unsure = Scored(Score(0.4, 0.3, 0.3, (("Macro", 0.9),), "model-<b>1</b>", Abstention.UNSURE))
    scores = {one.id: unsure if n % 2 else SCENE["scored"](0.9, "bank-stress") for n, one in enumerate(made)}
    check = SCENE["_check"]("sick-post", now, SCENE["Outcome"].NOT_FOUND, CORPUS[2][:400])
    store.append(Batch([check], made, scores), now)
    alerts = AlertStore(store)
    base = next(one for one in alerts.open_alerts() if one.id == SCENE["ALERT"])
    evidence = tuple(
        Evidence(one.id, one.title, (one.publisher, "wire"), link, one.effective, 0.97)
        for one in made
        for link in ("", f"https://news.example/{one.id}?q=(a)>\"'`")
    )
    grave = replace(base, id=GRAVE, series="topic:Macro", evidence=(*evidence, base.evidence[0]))
    alerts.commit([Change(grave, State.PENDING, ChangeReason.FIRED, now)], [])
    act = actions_of(store, clock)["remark"]
    act({"alert": GRAVE, "what": "note", "who": CORPUS[0][:200], "words": CORPUS[1]})
    act({"alert": GRAVE, "what": "assigned", "who": "eve", "words": CORPUS[2][:100]})


@pytest.fixture(scope="module")
def browser() -> Iterator[playwright.Browser]:
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def watched(browser: playwright.Browser, site: Site) -> Iterator[Watched]:
    page = browser.new_page(viewport={"width": 1280, "height": 900}, locale="en-GB", timezone_id="Asia/Tokyo")
    page.set_default_timeout(PATIENCE)
    seen = Watched(page)

    def dismissed(dialog: playwright.Dialog) -> None:
        seen.dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("request", lambda request: seen.asked.append(request.url))
    page.on("dialog", dismissed)
    yield seen
    page.close()


def ready(page: playwright.Page, words: str) -> None:
    """Block until the page says `words` and has nothing left to draw."""
    page.get_by_text(words).first.wait_for(timeout=PATIENCE)
    page.locator('[data-testid="stStatusWidget"], [data-testid="stSpinner"]').first.wait_for(
        state="detached", timeout=PATIENCE
    )


def width_of(page: playwright.Page) -> int:
    width = page.evaluate("document.querySelector('[data-testid=\"stMain\"]').scrollWidth")
    assert isinstance(width, int)
    return width


def test_a_hostile_title_is_text_to_the_letter(watched: Watched, site: Site) -> None:
    page = watched.page
    page.goto(f"{site.url}/alerts?alert={SCENE['ALERT']}")
    ready(page, "Evidence: 3 stories")
    shown = page.locator("[data-testid='stMarkdown'] p, [data-testid='stText']").all_inner_texts()
    # Invisible joiners keep Streamlit from making links of addresses.
    visible = [one.replace("\u2060", "").strip() for one in shown]
    assert visible.count(SCENE["HOSTILE"]) == 2, "once as a link, once without an address; both to the letter"
    links = page.locator("[data-testid='stMarkdown'] p a").evaluate_all("all => all.map(one => one.href)")
    assert set(links) == {"https://news.example/1", "https://news.example/1000"}
    assert page.get_by_text("Evil <b>News</b>").count() == 1


@pytest.mark.parametrize(("path", "words"), PAGES)
def test_no_page_lets_a_title_do_anything(path: str, words: str, watched: Watched, site: Site) -> None:
    page = watched.page
    page.goto(f"{site.url}/{path}")
    ready(page, words)
    assert watched.dialogs == []
    assert "owned" not in page.title()
    hosts = {urlsplit(url).hostname for url in watched.asked if not url.startswith(("data:", "blob:"))}
    assert hosts == {"127.0.0.1"}, "nobody but its own server is asked"
    assert not [url for url in watched.asked if ":9/" in url]
    inside = '[data-testid="stMain"]'
    for bad in (
        "p img",
        ".katex",
        "a[href^='javascript']",
        "iframe",
        "svg[onload]",
        "img[src^='http']",
        "img[src*=':9']",
    ):
        assert page.locator(f"{inside} {bad}").count() == 0, bad
    foreign = page.locator(f"{inside} a").evaluate_all("all => all.map(one => one.protocol + '//' + one.hostname)")
    assert set(foreign) <= {"http://127.0.0.1", "https://news.example"}
    assert page.get_by_text("could not be drawn").count() == 0
    assert page.locator(".stException").count() == 0
    assert width_of(page) <= 1280, "a title of 5,000 characters does not widen the page"


@pytest.mark.parametrize("width", [390, 800, 1280])
@pytest.mark.parametrize(("path", "words"), PAGES)
def test_every_page_fits_a_telephone_a_tablet_and_a_desk(
    path: str, words: str, width: int, watched: Watched, site: Site
) -> None:
    watched.page.set_viewport_size({"width": width, "height": 844})
    watched.page.goto(f"{site.url}/{path}")
    ready(watched.page, words)
    assert width_of(watched.page) <= width
    if path in ("alerts", "stories", "feeds?feed=sick-post", "deliveries", "model"):
        watched.page.locator('[data-testid="stDataFrame"]').first.wait_for(state="attached", timeout=PATIENCE)
    # A list that must be pushed sideways hides what it says. A table has a width of its own until its styles are there.
    shown = "[...document.querySelectorAll('[data-testid=\"stDataFrame\"]')].filter(one => one.checkVisibility())"
    inner = "one => one.querySelector('.dvn-scroller')"
    whole = f"{shown}.map({inner}).every(one => one && one.clientWidth && one.scrollWidth <= one.clientWidth + 2)"
    watched.page.wait_for_function(whole, timeout=PATIENCE / 4)


def test_a_row_of_the_list_opens_its_alert_and_the_way_back_works(watched: Watched, site: Site) -> None:
    page = watched.page
    page.goto(f"{site.url}/alerts")
    ready(page, "Choose a row")
    table = page.locator('[data-testid="stDataFrame"]').first.bounding_box()
    assert table is not None
    page.mouse.click(table["x"] + 17, table["y"] + 35 + 17)
    ready(page, "What happened")
    assert "alert=alert_" in page.url
    page.get_by_role("button", name="All alerts").click()
    ready(page, "Choose a row")
    assert "alert=" not in page.url


def test_where_the_keyboard_is_can_be_seen(watched: Watched, site: Site) -> None:
    watched.page.goto(f"{site.url}/feeds")
    ready(watched.page, "One feed")
    framed = "getComputedStyle(document.activeElement).outlineStyle === 'solid'"
    seen = []
    for _ in range(14):
        watched.page.keyboard.press("Tab")
        seen.append(watched.page.evaluate("document.activeElement.tagName"))
        if seen[-1] in ("A", "BUTTON"):
            watched.page.wait_for_function(framed)
    assert {"A", "BUTTON"} <= set(seen)


def test_the_reddest_cells_are_reached_by_keyboard(watched: Watched, site: Site) -> None:
    page = watched.page
    page.goto(site.url)
    ready(page, "Latest negative stories")
    page.locator("summary", has_text="The reddest cells").press("Enter")
    first = page.get_by_role("link", name="negative stor").first
    first.wait_for(timeout=PATIENCE)
    words = first.inner_text()
    assert "usual" in words
    assert " UTC to " in words
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == words
    page.keyboard.press("Enter")
    page.wait_for_url("**/series?*series=*", timeout=PATIENCE)


def test_a_note_is_written_through_the_daemon_and_stays_text(watched: Watched, site: Site) -> None:
    page = watched.page
    page.goto(f"{site.url}/alerts?alert={SCENE['ALERT']}")
    ready(page, "Evidence: 3 stories")
    page.get_by_role("button", name="Note").click()
    page.get_by_role("textbox", name="Note").fill("seen <img src=x onerror=alert(1)> by us")
    page.get_by_role("button", name="Write it down").click()
    page.get_by_text("Noted.").wait_for(timeout=PATIENCE)
    page.get_by_text("seen <img src=x onerror=alert(1)> by us").first.wait_for(timeout=PATIENCE)
    assert watched.dialogs == []


def test_a_cell_of_the_heat_map_is_chosen_until_it_is_let_go(watched: Watched, site: Site) -> None:
    page = watched.page
    page.goto(site.url)
    ready(page, "Latest negative stories")
    link = page.get_by_role("link", name="Bank stress: ")
    chart = page.locator('[data-testid="stVegaLiteChart"]').filter(has=page.get_by_text("Bank stress")).first
    chart.scroll_into_view_if_needed()
    cells = chart.locator('path[aria-roledescription="rect mark"]')
    cells.last.click()
    link.wait_for(timeout=PATIENCE)
    before = site.store.counts().headlines
    now = datetime.now(UTC)
    one = SCENE["headline"](9000 + before, now, "Another bank in trouble", "wire")
    site.store.append(Batch(headlines=[one], scores={one.id: SCENE["scored"](0.9, "bank-stress")}), now)
    page.get_by_text(f"{before + 1} headlines").wait_for(timeout=PATIENCE)
    assert link.count() == 1, "a refresh with other rows lets nothing go"
    cells.last.dblclick()
    link.wait_for(state="detached", timeout=PATIENCE)


def test_a_refresh_brings_the_news_and_keeps_the_selection(watched: Watched, site: Site) -> None:
    page = watched.page
    page.goto(f"{site.url}/alerts")
    ready(page, "Choose a row")
    page.get_by_text("1 year").click()
    page.get_by_role("radio", name="1 year").wait_for(timeout=PATIENCE)
    before = site.store.counts().headlines
    now = datetime.now(UTC)
    one = SCENE["headline"](9000 + before, now, "Another bank in trouble", "wire")
    site.store.append(Batch(headlines=[one], scores={one.id: SCENE["scored"](0.9, "bank-stress")}), now)
    page.get_by_text(f"{before + 1} headlines").wait_for(timeout=PATIENCE)
    assert page.get_by_role("radio", name="1 year").is_checked()
