"""The recent days of a series as a small picture for a mail.

takes  `Facts` with a trend
gives  a PNG of 1,072 by 240 pixels, shown at half that size; nothing when there is no trend
never  reads a file or a font of the system: it looks the same everywhere
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from alerts.texts import wording
from alerts.texts.messages import Facts, Trend

if TYPE_CHECKING:
    from PIL import ImageDraw, ImageFont

WIDTH, HEIGHT = 536, 120  # as shown; drawn twice as large, for screens with small pixels
_SCALE = 2
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 4, 18, 20
_BAR, _GRID, _TEXT, _PAPER = "#98a2b3", "#e4e7ec", "#5d6b82", "#ffffff"
_USUAL = "#475467"
_FONT = 11


def picture(facts: Facts, colour: str) -> bytes | None:
    """Draw the trend: bars of negative stories, the surge's window in `colour`, the usual number as a line.

    Args:
        facts: of an alert.
        colour: "#rrggbb".
    """
    trend = facts.trend
    if trend is None or not trend.negative:
        return None
    # Only who sends mail pays for the library.
    from PIL import Image, ImageDraw, ImageFont

    size = (WIDTH * _SCALE, HEIGHT * _SCALE)
    image = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(_FONT * _SCALE)
    usual = facts.now.expected * trend.hours_per_bar / max(facts.window_hours, 1)
    top = max(4, max(trend.negative), usual)
    _grid(draw, font, top)
    _bars(draw, trend, top, colour, _surging(facts, trend))
    _dashed(draw, _y(usual, top))
    _label(draw, font, (_LEFT, 2), f"negative stories in {wording.hours(trend.hours_per_bar)}", _TEXT)
    _label(draw, font, (WIDTH - _RIGHT, 2), f"usual {wording.count(usual)}", _USUAL, anchor="ra")
    _days(draw, font, trend)
    kept = io.BytesIO()
    image.quantize(32).save(kept, "PNG", optimize=True)
    return kept.getvalue()


def _surging(facts: Facts, trend: Trend) -> int:
    """The first bar of the surge."""
    begun = min(facts.since, facts.now.at - timedelta(hours=facts.window_hours))
    return max(0, int((begun - trend.since) / timedelta(hours=trend.hours_per_bar)))


def _bars(draw: ImageDraw.ImageDraw, trend: Trend, top: float, colour: str, first: int) -> None:
    for number, count in enumerate(trend.negative):
        if count:
            left, right = _x(number, trend), _x(number + 1, trend) - 1
            box = (left * _SCALE, _y(count, top) * _SCALE, right * _SCALE, _y(0, top) * _SCALE)
            draw.rectangle(box, fill=colour if number >= first else _BAR)


def _grid(draw: ImageDraw.ImageDraw, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, top: float) -> None:
    for value in _ticks(top):
        y = _y(value, top)
        draw.line((_LEFT * _SCALE, y * _SCALE, (WIDTH - _RIGHT) * _SCALE, y * _SCALE), fill=_GRID, width=_SCALE // 2)
        _label(draw, font, (_LEFT - 5, y), f"{value:,}", _TEXT, anchor="rm")


def _days(draw: ImageDraw.ImageDraw, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, trend: Trend) -> None:
    midnight = trend.since.astimezone(UTC).replace(hour=0, minute=0) + timedelta(days=1)
    while (at := (midnight - trend.since) / timedelta(hours=trend.hours_per_bar)) < len(trend.negative):
        x = _x(at, trend)
        draw.line((x * _SCALE, (HEIGHT - _BOTTOM) * _SCALE, x * _SCALE, (HEIGHT - _BOTTOM + 3) * _SCALE), fill=_TEXT)
        if x < WIDTH - 45:
            _label(draw, font, (x + 3, HEIGHT - _BOTTOM + 4), f"{midnight.day} {midnight:%b}", _TEXT)
        midnight += timedelta(days=1)


def _dashed(draw: ImageDraw.ImageDraw, y: float) -> None:
    for x in range(_LEFT, WIDTH - _RIGHT, 8):
        draw.line((x * _SCALE, y * _SCALE, (x + 4) * _SCALE, y * _SCALE), fill=_USUAL, width=_SCALE)


def _label(
    draw: ImageDraw.ImageDraw,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    at: tuple[float, float],
    words: str,
    colour: str,
    anchor: str = "la",
) -> None:
    draw.text((at[0] * _SCALE, at[1] * _SCALE), words, fill=colour, font=font, anchor=anchor)


def _ticks(top: float) -> Sequence[int]:
    """Zero, and one or two round numbers up to the top."""
    for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000):
        if top / step <= 3:
            return range(0, int(top) + 1, step)
    return (0, int(top))


def _x(bar: float, trend: Trend) -> float:
    return _LEFT + (WIDTH - _LEFT - _RIGHT) * bar / len(trend.negative)


def _y(count: float, top: float) -> float:
    return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * count / top
