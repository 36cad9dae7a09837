"""A message in words: subject, headline and plain text.

takes  a `Message`
gives  text for mail, chat and the terminal, in English
never  carries markup, and never says what the message does not hold
"""

from __future__ import annotations

from datetime import datetime, timedelta

from alerts.lifecycle import ChangeReason
from alerts.texts import wording
from alerts.texts.messages import HEARTBEAT_TYPE, Bulletin, Count, Facts, Message

# From here on a message is not read as news.
_LATE = timedelta(minutes=30)


def subject(message: Message) -> str:
    """One line that says it all on a locked phone."""
    facts, bulletin = message.data, message.bulletin
    if bulletin is not None:
        return bulletin.subject
    if facts is None:
        return "[Squall] Heartbeat" if message.type == HEARTBEAT_TYPE else "[Squall] Test notification"
    if message.resolves:
        lasted = wording.length(facts.last_surge_at - facts.since)
        if facts.unwatched:
            return f"[resolved] {facts.name}: no longer watched, peak {wording.seen(facts.series, facts.peak.observed)}"
        return f"[resolved] {facts.name}: over after {lasted}, peak {wording.seen(facts.series, facts.peak.observed)}"
    usual = wording.count(facts.now.expected)
    still = " still" if message.reason == ChangeReason.REMINDED.value else ""
    return (
        f"[{facts.severity.upper()}] {facts.name}:{still} {wording.seen(facts.series, facts.now.observed)} in "
        f"{wording.hours(facts.window_hours)}, usual {usual}"
    )


def event(message: Message) -> str:
    """What happened, to be read beside or after the name of the series."""
    facts, bulletin = message.data, message.bulletin
    if bulletin is not None:
        return bulletin.lead
    if facts is None:
        return "Squall is at work." if message.type == HEARTBEAT_TYPE else "This channel works."
    if message.resolves and facts.unwatched:
        return "It was taken out of the settings: nobody looks at it any more, and its alert ends."
    if message.resolves and wording.is_story(facts.series):
        return "It is no longer carried by unusually many publishers."
    if message.resolves:
        return "Back to the usual rate of negative news."
    if message.reason == ChangeReason.ESCALATED.value:
        return f"The surge of negative news has grown and is now {facts.severity}."
    if message.reason == ChangeReason.REMINDED.value:
        return f"The surge of negative news goes on, after {wording.length(message.timestamp - facts.since)}."
    if wording.is_story(facts.series):
        return "One negative story that unusually many publishers carry."
    return "A surge of negative news."


def paragraphs(message: Message) -> tuple[str, ...]:
    """What was seen against what is usual, how likely that is, and since when; for a resolve, peak and length."""
    facts = message.data
    if facts is None:
        if message.bulletin is not None or message.type == HEARTBEAT_TYPE:
            return ()
        return ("Squall sent this because somebody asked for a test. No alert is open because of it.",)
    if message.resolves:
        # The alert keeps no length of window for its peak, so none is claimed.
        return (
            f"It {'was seen for' if facts.unwatched else 'lasted'} "
            f"{wording.length(facts.last_surge_at - facts.since)}: from {wording.moment(facts.since)} to "
            f"{wording.moment(facts.last_surge_at)}"
            + (". Whether it went on is not known." if facts.unwatched else ", and has been quiet since."),
            f"At its peak, {wording.moment(facts.peak.at)}, {_against_usual(facts.series, facts.peak)}",
            _by_luck(facts.peak),
        )
    publishers = "1 publisher" if facts.publishers == 1 else f"{facts.publishers} publishers"
    # Of a breaking story publishers are what is counted, and the count of those in the evidence may be another.
    origin = "" if wording.is_story(facts.series) else f", from {publishers}"
    return (
        f"In the last {wording.hours(facts.window_hours)} {_against_usual(facts.series, facts.now)}",
        _by_luck(facts.now),
        f"Since {wording.moment(facts.since)}{origin}.",
    )


def next_steps(message: Message) -> tuple[str, ...]:
    """What to do now, in order. The address of the dashboard is added by whoever can make it a link."""
    facts, bulletin = message.data, message.bulletin
    if bulletin is not None:
        return bulletin.next_steps
    if facts is None:
        return ("Nothing: alerts will arrive here in the same way.",)
    if message.resolves:
        return (
            f"Say whether it was worth the notice: squall alerts judge {facts.alert} true (or false).",
            "The alert and its stories stay on record.",
        )
    return (
        "Read the stories and judge whether they concern you: Squall counts stories, it does not weigh them.",
        f"To stop reminders, acknowledge it: squall alerts ack {facts.alert}",
        "You will hear again if this grows, from time to time while it lasts, and once when it is over.",
    )


def late(written: datetime, now: datetime) -> str:
    """How old a message is that could not be sent earlier, or was held back: "8 hours"; empty when it is fresh."""
    return wording.length(now - written) if now - written >= _LATE else ""


def note(written: datetime, now: datetime, *, unheard: bool = False) -> str:
    """What a reader must know before he takes such a message for news: sentences, or nothing.

    Of one that is late its age, for who reads "the last 12 hours" takes them for his own. Of an end or an escalation
    that is the first that arrives there (`unheard`), that it is: he would look for what went before.
    """
    age = late(written, now)
    words = [f"Written {wording.moment(written)}, {age} before it was sent: it says what was true then."] if age else []
    words += ["No earlier message about this alert has arrived here."] if unheard else []
    return " ".join(words)


def plain_text(message: Message, most_stories: int = 10, note: str = "") -> str:
    """The whole message without markup, with up to `most_stories` stories or items of a section, below a note."""
    above = [note, ""] if note else []
    if message.bulletin is not None:
        return "\n".join([*above, _bulletin_text(message.bulletin, most_stories)])
    facts = message.data
    first = event(message) if facts is None else f"{facts.name}: {_lower(event(message))}"
    lines = [*above, first, "", *paragraphs(message)]
    if facts is not None and facts.stories:
        lines += ["", "The stories, most widely carried first", *_story_lines(facts, most_stories)]
    lines += ["", *_steps(next_steps(message), facts.dashboard_url if facts else "")]
    if facts is not None:
        lines += ["", f"Alert {facts.alert} · {facts.series}"]
    return "\n".join(lines) + "\n"


def more_stories(facts: Facts, shown: int) -> int:
    """How many stories there are beyond those shown, as far as the alert counted them."""
    counted = len(facts.stories) if wording.is_story(facts.series) else max(facts.now.observed, len(facts.stories))
    return max(0, counted - min(shown, len(facts.stories)))


def trend_words(facts: Facts) -> str:
    """What the picture of a series shows, for those who cannot see it; "" when there is none."""
    trend = facts.trend
    if trend is None or not trend.negative:
        return ""
    days = len(trend.negative) * trend.hours_per_bar / 24
    return (
        f"Negative stories of {facts.name} over {wording.count(days)} days, in bars of "
        f"{wording.hours(trend.hours_per_bar)}: at most {max(trend.negative)}, last {trend.negative[-1]}."
    )


def _story_lines(facts: Facts, most: int) -> list[str]:
    lines = []
    for number, story in enumerate(facts.stories[:most], 1):
        lines.append(f"{number:>3}. {story.title}")
        lines.append(f"     {', '.join(story.publishers) or 'unknown publisher'} · {wording.moment(story.at)}")
        if story.link:
            lines.append(f"     {story.link}")
    if more := more_stories(facts, most):
        lines.append(f"     and {more} more")
    return lines


def _bulletin_text(bulletin: Bulletin, most: int) -> str:
    lines = [f"{bulletin.title}: {_lower(bulletin.lead)}"]
    for section in bulletin.sections:
        lines += ["", section.heading]
        for item in section.items[:most]:
            lines.append(f"  - {item.title}")
            lines += [f"    {words}" for words in (item.text, item.link) if words]
        if len(section.items) > most:
            lines.append(f"    and {len(section.items) - most} more")
    if bulletin.next_steps or bulletin.dashboard_url:
        lines += ["", *_steps(bulletin.next_steps, bulletin.dashboard_url)]
    return "\n".join(lines) + "\n"


def _steps(steps: tuple[str, ...], dashboard_url: str) -> list[str]:
    lines = ["What to do next", *(f"  - {step}" for step in steps)]
    return [*lines, f"  - Dashboard: {dashboard_url}"] if dashboard_url else lines


def _against_usual(series: str, count: Count) -> str:
    usual = f"about {wording.count(count.expected)}" if count.expected >= wording.NEXT_TO_NOTHING else "almost none"
    times = wording.times_as_many(count.observed, count.expected)
    seen = wording.seen(series, count.observed)
    verb = "was" if count.observed == 1 else "were"
    what = f"{seen} carried it" if wording.is_story(series) else f"there {verb} {seen}"
    return f"{what}; {usual} would be usual{f', so {times}' if times else ''}."


def _by_luck(count: Count) -> str:
    odds = wording.chance(count.p_value).replace("1 in ", "once in ", 1)
    return f"If nothing unusual were going on, a count this high would come up {odds} looks."


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
