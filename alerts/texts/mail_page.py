"""The HTML part of an alert mail.

takes  a `Message`
gives  one HTML document: inline styles, tables, no scripts; the only picture is one that the mail itself carries
never  lets text become markup: everything that is not written here passes through `escape`
"""

from __future__ import annotations

from html import escape

from alerts.texts import wording
from alerts.texts.messages import Bulletin, Facts, Item, Message, Story
from alerts.texts.picture import HEIGHT, WIDTH
from alerts.texts.prose import event, more_stories, next_steps, paragraphs, subject, trend_words

_MOST_STORIES = 10
_MOST_ITEMS = 20
_FONT = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
_WRAP = "word-wrap:break-word;overflow-wrap:anywhere"
_INK, _GREY, _LINE, _PAPER = "#1d2939", "#5d6b82", "#e4e7ec", "#f4f5f7"
# Each has a contrast of at least 4.5 : 1 against white.
_COLOURS = {"critical": "#b42318", "warning": "#b54708", "info": "#175cd3"}
_CALM = "#067647"
_NEUTRAL = "#475467"


def html_page(message: Message, picture: str = "", note: str = "") -> str:
    """The message as an HTML document, about 600 pixels wide, readable on a phone.

    Args:
        message: an alert, a bulletin or a test.
        picture: `cid:` address of the series' picture in the same mail; empty when there is none.
        note: what to know before the rest is read; empty when there is nothing.
    """
    facts = message.data
    colour = colour_of(message)
    body = _banner(message, colour)
    if note:
        body += _row(_note(note), "14px 32px 0")
    if facts is not None:
        body += _figures(facts, colour, peak=message.resolves)
    if facts is not None and picture:
        body += _row(_picture(picture, trend_words(facts)), "16px 32px 4px")
    body += "".join(_row(_paragraph(p), "4px 32px 0") for p in paragraphs(message))
    if message.bulletin is not None:
        body += _sections(message.bulletin)
    if facts is not None and facts.stories:
        body += _stories(facts)
    body += _next(message, colour)
    return _document(subject(message), body, _foot(facts))


def colour_of(message: Message) -> str:
    """The colour of the message's severity, as "#rrggbb"."""
    if message.bulletin is not None:
        return _CALM if message.bulletin.tone == "calm" else _COLOURS.get(message.bulletin.tone, _NEUTRAL)
    if message.data is None:
        return _NEUTRAL
    return _CALM if message.resolves else _COLOURS.get(message.data.severity, _NEUTRAL)


def _document(title: str, body: str, foot: str) -> str:
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title></head>"
        f'<body style="margin:0;padding:0;background:{_PAPER};{_FONT};color:{_INK}">'
        f'<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="background:{_PAPER}">'
        '<tr><td align="center" style="padding:24px 12px">'
        '<table role="presentation" width="600" cellpadding="0" cellspacing="0" style="width:100%;max-width:600px;'
        f'background:#ffffff;border:1px solid {_LINE};border-radius:8px;border-collapse:separate;overflow:hidden">'
        f"{body}</table>{foot}</td></tr></table></body></html>"
    )


def _row(inner: str, padding: str) -> str:
    return f'<tr><td style="padding:{padding}">{inner}</td></tr>'


def _paragraph(text: str) -> str:
    return f'<p style="margin:10px 0 0;font-size:15px;line-height:1.5;color:{_INK}">{escape(text)}</p>'


def _note(text: str) -> str:
    return (
        f'<p style="margin:0;padding:10px 14px;background:{_PAPER};border-left:4px solid {_GREY};font-size:15px;'
        f'line-height:1.5;font-weight:600;color:{_INK}">{escape(text)}</p>'
    )


def _section(title: str) -> str:
    return (
        f'<h2 style="margin:0;font-size:12px;letter-spacing:.06em;text-transform:uppercase;color:{_GREY};'
        f'font-weight:600">{escape(title)}</h2>'
    )


def _banner(message: Message, colour: str) -> str:
    facts = message.data
    bulletin = message.bulletin
    badge = "test" if facts is None else "resolved" if message.resolves else facts.severity
    kind = "" if facts is None or facts.kind == "market" else facts.kind
    if bulletin is not None:
        badge, kind = bulletin.about, ""
    label = (
        f'<span style="display:inline-block;padding:3px 10px;border-radius:4px;background:{colour};color:#ffffff;'
        f'font-size:12px;font-weight:600;letter-spacing:.06em;text-transform:uppercase">{escape(badge)}</span>'
        f'<span style="font-size:13px;color:{_GREY};padding-left:10px">{escape(kind)}</span>'
    )
    title = escape(facts.name if facts else bulletin.title if bulletin else "Test notification")
    return (
        f'<tr><td style="height:4px;line-height:4px;font-size:0;background:{colour}">&nbsp;</td></tr>'
        + _row(label, "28px 32px 0")
        + _row(
            f'<h1 style="margin:0;font-size:26px;line-height:1.25;font-weight:600;color:{_INK};{_WRAP}">{title}</h1>'
            f'<p style="margin:6px 0 0;font-size:15px;line-height:1.5;color:{_GREY}">{escape(event(message))}</p>',
            "14px 32px 0",
        )
    )


def _figures(facts: Facts, colour: str, *, peak: bool) -> str:
    count = facts.peak if peak else facts.now
    counted = "publishers" if wording.is_story(facts.series) else "negative stories"
    usual = wording.count(count.expected)
    cells = (
        (f"{count.observed:,}", f"{counted} at the peak" if peak else counted, colour),
        (usual, "would be usual", _INK),
        (wording.chance(count.p_value).removeprefix("about "), "odds of this by luck alone", _INK),
    )
    tds = "".join(
        f'<td valign="top" style="padding:16px 12px 14px 0">'
        f'<div style="font-size:22px;line-height:1.2;font-weight:600;color:{tint}">{escape(value)}</div>'
        f'<div style="font-size:13px;line-height:1.4;color:{_GREY};padding-top:4px">{escape(name)}</div></td>'
        for value, name, tint in cells
    )
    table = (
        '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" '
        f'style="border-top:1px solid {_LINE};border-bottom:1px solid {_LINE}"><tr>{tds}</tr></table>'
    )
    return _row(table, "20px 32px 4px")


def _picture(address: str, words: str) -> str:
    return (
        f'<img src="{escape(address)}" width="{WIDTH}" height="{HEIGHT}" alt="{escape(words)}" '
        f'style="display:block;width:100%;max-width:{WIDTH}px;height:auto;border:0;font-size:13px;color:{_GREY}">'
    )


def _sections(bulletin: Bulletin) -> str:
    rows = ""
    for section in bulletin.sections:
        items = "".join(_bulletin_item(item) for item in section.items[:_MOST_ITEMS])
        more = len(section.items) - _MOST_ITEMS
        if more > 0:
            items += f'<p style="margin:12px 0 0;font-size:14px;color:{_GREY}">and {more:,} more</p>'
        rows += _row(_section(section.heading) + items, "28px 32px 0")
    return rows


def _bulletin_item(item: Item) -> str:
    title = escape(item.title)
    link = wording.web_link(item.link)
    if link:
        title = f'<a href="{escape(link)}" rel="noreferrer" style="color:{_INK};text-decoration:underline">{title}</a>'
    return (
        f'<div style="padding:12px 0;border-bottom:1px solid {_LINE};{_WRAP}">'
        f'<div style="font-size:15px;line-height:1.4">{title}</div>'
        f'<div style="font-size:13px;line-height:1.4;color:{_GREY};padding-top:3px">{escape(item.text)}</div></div>'
    )


def _stories(facts: Facts) -> str:
    rows = "".join(_story(story) for story in facts.stories[:_MOST_STORIES])
    more = more_stories(facts, _MOST_STORIES)
    if more:
        rows += f'<p style="margin:12px 0 0;font-size:14px;color:{_GREY}">and {more:,} more</p>'
    return _row(_section("The stories, most widely carried first") + rows, "28px 32px 0")


def _story(story: Story) -> str:
    title = escape(story.title)
    link = wording.web_link(story.link)
    if link:
        title = f'<a href="{escape(link)}" rel="noreferrer" style="color:{_INK};text-decoration:underline">{title}</a>'
    by = escape(f"{', '.join(story.publishers) or 'unknown publisher'} · {wording.moment(story.at)}")
    return (
        f'<div style="padding:12px 0;border-bottom:1px solid {_LINE};{_WRAP}">'
        f'<div style="font-size:15px;line-height:1.4">{title}</div>'
        f'<div style="font-size:13px;line-height:1.4;color:{_GREY};padding-top:3px">{by}</div></div>'
    )


def _next(message: Message, colour: str) -> str:
    steps = "".join(
        f'<p style="margin:8px 0 0;font-size:15px;line-height:1.5">{escape(step)}</p>' for step in next_steps(message)
    )
    about = message.data or message.bulletin
    link = wording.web_link(about.dashboard_url) if about else ""
    if not steps and not link:
        return _row("", "0 32px 32px")
    if link:
        steps += (
            f'<p style="margin:18px 0 0"><a href="{escape(link)}" style="display:inline-block;padding:10px 18px;'
            f"background:{colour};color:#ffffff;text-decoration:none;border-radius:6px;font-size:15px;"
            'font-weight:600">Open the dashboard</a></p>'
        )
    return _row((_section("What to do next") if next_steps(message) else "") + steps, "28px 32px 32px")


def _foot(facts: Facts | None) -> str:
    about = f"Alert {facts.alert} · {facts.series} · " if facts else ""
    return (
        f'<p style="max-width:600px;margin:14px 0 0;font-size:12px;line-height:1.5;color:{_GREY}">'
        f"{escape(about)}Sent by Squall. Times are UTC.</p>"
    )
