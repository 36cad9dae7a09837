"""Pictures of the dashboard for the documentation: `make screenshots`, or python benchmarks/screenshots.py URL.

takes  the address of a running dashboard; without one, the demo is played first and its dashboard is used
gives  PNG files in docs/images: every page, the alert page in the dark too, and the overview as a telephone shows it;
       and the word that a newcomer gets from the red alert to the headline behind it in two clicks
never  changes what it shows
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

IMAGES = Path(__file__).parents[1] / "docs" / "images"
DESK, TELEPHONE = (1280, 900), (390, 844)


@dataclass(frozen=True, slots=True)
class Picture:
    """One file: which page, which words say that it is drawn, how wide, and light or dark."""

    name: str
    path: str
    words: str
    size: tuple[int, int] = DESK
    scheme: str = "light"
    whole: bool = True


def pictures(alert: str) -> list[Picture]:
    """What is taken; the pages of one alert only when the store holds an alert."""
    taken = [
        Picture("overview", "", "Risk now"),
        Picture("overview-dark", "", "Risk now", scheme="dark"),
        Picture("overview-phone", "", "Risk now", TELEPHONE, whole=False),
        Picture("series", "series?series=theme:bank-stress", "Bank stress"),
        Picture("stories", "stories", "Monitor running"),
        Picture("feeds", "feeds", "One feed"),
        Picture("deliveries", "deliveries", "Latest messages"),
        Picture("model", "model", "Which model scored what"),
        Picture("settings", "settings", "looked each hour", (1280, 1280), whole=False),
    ]
    if alert:
        where = f"alerts?alert={alert}"
        taken += [
            Picture("alerts", "alerts", "Choose a row", (1280, 600), whole=False),
            Picture("alert", where, "Evidence"),
            Picture("alert-dark", where, "Evidence", scheme="dark"),
            Picture("alert-phone", where, "Evidence", TELEPHONE, whole=False),
        ]
    return taken


def drawn(page: Page, words: str) -> None:
    """Block until the page says `words`, draws nothing any more, and its charts have their marks."""
    page.get_by_text(words).first.wait_for(timeout=60_000)
    page.locator('[data-testid="stStatusWidget"]').wait_for(state="detached", timeout=60_000)
    # A busy machine draws in pieces: what is still to come is a grey bar, and the head line turns a wheel.
    for unfinished in ("stSpinner", "stSkeleton"):
        page.wait_for_function(f"!document.querySelector('[data-testid=\"{unfinished}\"]')", timeout=60_000)
    for chart in page.locator('[data-testid="stVegaLiteChart"]').all():
        chart.locator("canvas, svg").first.wait_for(timeout=30_000)
    page.wait_for_timeout(2_000)  # charts and tables paint themselves without a sign that they are done


def take(browser: Browser, url: str, picture: Picture, folder: Path) -> Path:
    """Take one picture; the whole page is as high as its content."""
    width, height = picture.size
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=picture.scheme)  # type: ignore[arg-type]  # "light" or "dark", see `pictures`
    page.goto(f"{url}/{picture.path}")
    drawn(page, picture.words)
    if picture.whole:
        # The page scrolls inside a frame of its own, so the window must grow for a picture of all of it.
        content = page.evaluate("document.querySelector('[data-testid=\"stMain\"]').scrollHeight")
        page.set_viewport_size({"width": width, "height": int(content) + 20})
        drawn(page, picture.words)
    file = folder / f"{picture.name}.png"
    page.screenshot(path=file)
    page.close()
    return file


def an_alert(browser: Browser, url: str) -> str:
    """The id of the first alert on the overview; empty when all is quiet."""
    page = browser.new_page(viewport={"width": DESK[0], "height": DESK[1]})
    page.goto(url)
    drawn(page, "Risk now")
    links = page.locator("a[href*='alert=alert_']")
    target = (links.first.get_attribute("href") or "") if links.count() else ""
    page.close()
    return target.partition("alert=")[2].partition("&")[0]


def newcomer(browser: Browser, url: str) -> None:
    """From the overview's red alert to the headline that caused it, in two clicks.

    Raises:
        SystemExit: when the path is not there.
    """
    page = browser.new_page(viewport={"width": DESK[0], "height": DESK[1]})
    page.goto(url)
    drawn(page, "Risk now")
    page.locator("a[href*='alert=alert_']").first.click()
    drawn(page, "Evidence")
    headline = page.locator("[data-testid='stMain'] [data-testid='stMarkdown'] p a").first
    target = headline.get_attribute("href") or ""
    page.context.route("**/*", lambda route: route.fulfill(body="the article"))
    with page.context.expect_page() as opened:
        headline.click()
    if not target or opened.value.url != target:
        raise SystemExit(f"the second click led to {opened.value.url!r}, not to the headline at {target!r}")
    print(f"two clicks from the overview to {target}")
    opened.value.close()
    page.close()


@contextmanager
def demo() -> Iterator[str]:
    """The address of the demo's dashboard, once it answers; the demo ends with the block."""
    process = subprocess.Popen([sys.executable, "-m", "monitor", "demo"])
    url = "http://127.0.0.1:8501"
    try:
        while process.poll() is None:
            with suppress(OSError), urllib.request.urlopen(f"{url}/_stcore/health", timeout=5):
                break
            time.sleep(1)
        else:
            raise SystemExit(f"the demo ended with {process.returncode} before its dashboard was there")
        yield url
    finally:
        process.terminate()
        process.wait(30)


def main() -> None:
    """Take every picture."""
    parser = argparse.ArgumentParser(description="Take pictures of a running dashboard.")
    parser.add_argument("url", nargs="?", help="of a running dashboard; the demo's, which is played first, without it")
    parser.add_argument("--folder", type=Path, default=IMAGES)
    parser.add_argument("--alert", default="", help="id of the alert to show; else the first of the overview")
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("google-chrome"))
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    running = nullcontext(asked.url.rstrip("/")) if asked.url else demo()
    with running as url, sync_playwright() as started:
        browser = started.chromium.launch(executable_path=asked.chromium, args=["--no-sandbox"])
        alert = asked.alert or an_alert(browser, url)
        if alert and not asked.alert:
            newcomer(browser, url)
        for picture in pictures(alert):
            print(take(browser, url, picture, asked.folder))
        browser.close()


if __name__ == "__main__":
    main()
