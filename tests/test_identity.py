"""Identity: renamed, duplicated, edited, copied and moved headlines are recognised, and never alert again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations, count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.feeds.feed import Check, Entry, Feed, Guids, Outcome, carries_backlog, unseen
from monitor.news.headlines import Headline, Standing
from monitor.news.intake import Intake, intake
from monitor.news.names import alike, title_name
from monitor.storage.store import Batch, Store

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
WIRE = Feed(id="wire", url="https://wire.example/rss", name="Wire", publisher="house")
TOP = Feed(id="top", url="https://wire.example/top", name="Wire top", publisher="house")
RIVAL = Feed(id="rival", url="https://rival.example/rss", name="Rival", publisher="other")
TITLES = (
    "Halvern bank queues form outside Lisbon branches",
    "Corvane auditors resign over hidden debt",
    "Ostrel property empire crumbles under its loans",
    "Pellam chief executive arrested at Oslo airport",
    "Dunmere farm credit turns sour in the north",
    "Varrick crypto deposits vanish overnight",
    "Lothian pension funds demand their money back",
)

HOME = "https://wire.example/"
ANOTHER = ("Copper", "Wheat", "Sterling", "Lithium", "Freight")


class NamesNone:
    def match(self, title: str) -> tuple[str, ...]:
        return ()


class Newsroom:
    """A store, and checks that are taken into it."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def takes(self, *entries: Entry, feed: Feed = WIRE, now: datetime = NOW, first: bool = False) -> Intake:
        state = self.store.feed_states().get(feed.id) or unseen(feed, now)
        check = Check(feed.id, now, Outcome.NEW, "", 200, 1, 1, entries, state, first_fetch=first)
        came = intake([check], self.store, NamesNone(), now)
        self.store.append(Batch(came.checks, came.headlines, {}, came.names, came.revisions), now)
        return came

    def titles(self) -> list[str]:
        with self.store.database.reading() as cursor:
            return [row[0] for row in cursor.sql("SELECT title FROM headlines ORDER BY effective, id").fetchall()]

    def revisions(self) -> list[str]:
        with self.store.database.reading() as cursor:
            return [row[0] for row in cursor.sql('SELECT title FROM revisions ORDER BY "at"').fetchall()]

    def guids(self, feed: str = "wire") -> str | None:
        return self.store.feed_states()[feed].guids


@pytest.fixture
def room() -> Iterator[Newsroom]:
    with Store.open(":memory:", NOW) as store:
        yield Newsroom(store)


def entry(number: int, feed: Feed = WIRE, **changes: object) -> Entry:
    plain = Entry(
        feed=feed.id,
        publisher=feed.publisher,
        language="en",
        guid=f"guid-{number}",
        link=f"https://wire.example/story/{number}",
        title=TITLES[number],
        summary="",
        published=NOW - number * HOUR,
        fetched=NOW,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # field values as the tests name them


def entries(feed: Feed = WIRE, **changes: object) -> list[Entry]:
    return [entry(number, feed, **changes) for number in range(len(TITLES))]


def renamed(old: Sequence[Entry], suffix: str, *, links: bool = False) -> list[Entry]:
    return [
        replace(
            one,
            guid=f"{one.guid}-{suffix}",
            link=one.link.replace("/story/", f"/{suffix}/") if links else one.link,
        )
        for one in old
    ]


def fresh(came: Intake) -> list[Headline]:
    return [one for one in came.headlines if one.standing is Standing.FRESH]


def titles_of(came: Intake) -> set[str]:
    assert len({one.title for one in came.headlines}) == len(came.headlines)
    return {one.title for one in came.headlines}


# Guids that do not last


def test_a_feed_that_renames_all_its_guids_is_quarantined_and_matched_by_link(room: Newsroom) -> None:
    assert len(room.takes(*entries()).headlines) == len(TITLES)
    assert room.guids() == Guids.LASTING.value
    assert room.takes(*renamed(entries(), "b"), now=NOW + HOUR).headlines == ()
    assert room.guids() == Guids.CHURNING.value
    assert room.takes(*renamed(entries(), "c"), now=NOW + 2 * HOUR).headlines == ()
    assert sorted(room.titles()) == sorted(TITLES)


def test_links_that_change_with_the_guids_are_matched_by_title(room: Newsroom) -> None:
    room.takes(*entries())
    assert room.takes(*renamed(entries(), "b", links=True), now=NOW + HOUR).headlines == ()


def test_what_cannot_be_matched_in_quarantine_does_not_alert(room: Newsroom) -> None:
    room.takes(*entries()[:-1])
    came = room.takes(*renamed(entries(), "b"), now=NOW + HOUR)
    assert [one.title for one in came.headlines] == [TITLES[-1]]
    assert fresh(came) == []


def test_a_feed_that_always_renames_still_brings_its_news(room: Newsroom) -> None:
    room.takes(*entries()[1:])
    room.takes(*renamed(entries()[1:], "b"), now=NOW + HOUR)
    came = room.takes(*renamed(entries(), "c"), now=NOW + 2 * HOUR)
    assert [one.title for one in fresh(came)] == [TITLES[0]]


def test_the_quarantine_ends_when_guids_last_again(room: Newsroom) -> None:
    room.takes(*entries())
    room.takes(*renamed(entries(), "b"), now=NOW + HOUR)
    room.takes(*renamed(entries(), "b"), now=NOW + 2 * HOUR)
    assert room.guids() == Guids.LASTING.value


def test_an_ordinary_new_batch_is_no_churn(room: Newsroom) -> None:
    room.takes(*entries()[:1])
    came = room.takes(*entries(), now=NOW + HOUR)
    assert len(came.headlines) == len(TITLES) - 1
    assert room.guids() == Guids.LASTING.value


# Guids that are shared


def test_entries_that_share_a_guid_are_all_kept_once(room: Newsroom) -> None:
    shared = [replace(one, guid="same") for one in entries()]
    assert len(room.takes(*shared).headlines) == len(TITLES)
    assert room.takes(*shared, now=NOW + HOUR).headlines == ()
    # The last of them stands alone later; its guid identifies it now, and it is known all the same.
    assert room.takes(shared[-1], now=NOW + 2 * HOUR).headlines == ()


def test_the_same_entry_twice_in_one_answer_is_one_headline(room: Newsroom) -> None:
    assert len(room.takes(entry(1), entry(1)).headlines) == 1


def test_one_title_at_two_links_under_one_guid_is_one_headline(room: Newsroom) -> None:
    twice = [entry(1), entry(1, link="https://wire.example/markets/1")]
    assert len(room.takes(*twice).headlines) == 1
    came = room.takes(*(replace(one, title="What we know so far") for one in twice), now=NOW + HOUR)
    assert (came.headlines, len(came.revisions)) == ((), 1)


def test_a_guid_that_was_shared_tells_nothing_later_either(room: Newsroom) -> None:
    room.takes(*(replace(one, guid="same") for one in entries()[:3]))
    for number in (3, 4, 5):
        came = room.takes(entry(number, guid="same"), now=NOW + number * HOUR)
        assert [one.title for one in fresh(came)] == [TITLES[number]]


def test_a_feed_that_gives_its_home_page_as_guid_and_link_loses_no_headline(room: Newsroom) -> None:
    home = [replace(one, guid=HOME, link=HOME) for one in entries()]
    assert titles_of(room.takes(*home[:4])) == set(TITLES[:4])
    assert titles_of(room.takes(*home[2:6], now=NOW + HOUR)) == set(TITLES[4:6])
    assert titles_of(room.takes(home[6], now=NOW + 2 * HOUR)) == {TITLES[6]}
    assert room.takes(*home, now=NOW + 3 * HOUR).headlines == ()


# Guids that go over to other headlines


def numbered(first: int, size: int = 5, **changes: object) -> list[Entry]:
    """An answer whose guids are places in the list, the newest first."""
    return [
        entry(number, WIRE, guid=str(place), **changes) for place, number in enumerate(range(first, first - size, -1))
    ]


def test_guids_by_position_hide_no_headline(room: Newsroom) -> None:
    assert len(room.takes(*numbered(4)).headlines) == 5
    came = room.takes(*numbered(5), now=NOW + HOUR)
    assert (titles_of(came), len(fresh(came)), came.revisions) == ({TITLES[5]}, 1, ())
    assert room.guids() == Guids.CHURNING.value
    assert room.takes(*numbered(5), now=NOW + 2 * HOUR).headlines == ()
    came = room.takes(*numbered(6), now=NOW + 3 * HOUR)
    assert (titles_of(came), len(fresh(came)), came.revisions) == ({TITLES[6]}, 1, ())
    assert room.guids() == Guids.CHURNING.value


def test_guids_by_position_are_seen_where_all_links_are_the_home_page(room: Newsroom) -> None:
    assert len(room.takes(*numbered(4, link=HOME)).headlines) == 5
    came = room.takes(*numbered(5, link=HOME), now=NOW + HOUR)
    assert (titles_of(came), came.revisions) == ({TITLES[5]}, ())


def test_guids_that_all_go_over_to_new_headlines_at_once_are_distrusted(room: Newsroom) -> None:
    first = [entry(number, guid=str(number)) for number in range(5)]
    room.takes(*first)
    second = [replace(one, link=f"{one.link}/next", title=f"{ANOTHER[n]} {n}") for n, one in enumerate(first)]
    came = room.takes(*second, now=NOW + HOUR)
    assert len(fresh(came)) == 5
    assert room.guids() == Guids.CHURNING.value
    # Its guids last again once the feed gives them by headline.
    proper = [replace(one, guid=f"id-{one.title}") for one in second]
    room.takes(*proper, now=NOW + 2 * HOUR)
    assert room.takes(*proper, now=NOW + 3 * HOUR).headlines == ()
    assert room.guids() == Guids.LASTING.value


def test_one_guid_for_whatever_is_the_latest_hides_no_headline(room: Newsroom) -> None:
    for number in range(4):
        came = room.takes(entry(number, guid="latest"), now=NOW + number * HOUR)
        assert [one.title for one in fresh(came)] == [TITLES[number]]
        assert room.takes(entry(number, guid="latest"), now=NOW + number * HOUR).headlines == ()
    assert room.takes(entry(1, guid="latest"), now=NOW + 5 * HOUR).headlines == ()


def test_one_guid_that_goes_over_says_nothing_of_the_others(room: Newsroom) -> None:
    room.takes(*entries()[:6])
    came = room.takes(*entries()[:5], entry(6, guid="guid-5"), now=NOW + HOUR)
    assert titles_of(came) == {TITLES[6]}
    assert room.guids() == Guids.LASTING.value


def test_edits_of_a_headline_whose_guid_was_another_s_are_revisions(room: Newsroom) -> None:
    room.takes(entry(0, guid="latest"))
    room.takes(entry(1, guid="latest"), now=NOW + HOUR)
    rewritten = entry(1, guid="latest", title="Corvane: what we know")
    came = room.takes(rewritten, now=NOW + 2 * HOUR)
    assert (came.headlines, [one.title for one in came.revisions]) == ((), [rewritten.title])
    moved = entry(1, guid="latest", link="https://wire.example/moved/1")
    assert room.takes(moved, now=NOW + 3 * HOUR).headlines == ()


def test_a_guid_stays_believed_through_an_edit_of_title_or_link(room: Newsroom) -> None:
    room.takes(entry(1))
    moved = entry(1, link="https://wire.example/moved/1")
    assert room.takes(moved, now=NOW + HOUR).headlines == ()
    rewritten = replace(moved, title="What we know of the rumours")
    came = room.takes(rewritten, now=NOW + 2 * HOUR)
    assert (came.headlines, len(came.revisions)) == ((), 1)


# Variants of links


@pytest.mark.parametrize(
    "link",
    [
        "http://wire.example/story/1",
        "https://wire.example/story/1?utm_source=rss&utm_medium=feed",
        "https://WIRE.example:443/story/1#comments",
        "http://wire.example/story/1?fbclid=abc",
    ],
)
@pytest.mark.parametrize("guid", ["", "another"])
def test_variants_of_a_link_are_one_headline(room: Newsroom, link: str, guid: str) -> None:
    room.takes(entry(1, guid=""))
    assert room.takes(entry(1, guid=guid, link=link), now=NOW + HOUR).headlines == ()


def test_pages_that_many_entries_link_to_identify_none_of_them(room: Newsroom) -> None:
    home = [replace(one, guid="", link=HOME) for one in entries()]
    guided = [replace(one, link=HOME) for one in entries()]
    assert len(room.takes(*guided).headlines) == len(TITLES)
    assert room.takes(*home, now=NOW + HOUR).headlines == ()
    # To another house it is another's page.
    rivals = [replace(one, feed=RIVAL.id, publisher=RIVAL.publisher, link="https://rival.example/") for one in home]
    assert len(room.takes(*rivals, feed=RIVAL).headlines) == len(TITLES)


def test_without_guids_a_page_for_all_hides_no_headline(room: Newsroom) -> None:
    home = [entry(number, guid="", link=HOME) for number in range(len(TITLES))]
    assert titles_of(room.takes(*home[:3])) == set(TITLES[:3])
    assert titles_of(room.takes(*home[2:5], now=NOW + HOUR)) == set(TITLES[3:5])
    assert titles_of(room.takes(home[5], now=NOW + 2 * HOUR)) == {TITLES[5]}, "alone, on a page known for many"
    assert room.takes(*home[:6], now=NOW + 3 * HOUR).headlines == ()
    assert room.revisions() == []


def test_a_page_that_is_shared_later_brings_nothing_back(room: Newsroom) -> None:
    home = [entry(number, guid="", link=HOME) for number in range(len(TITLES))]
    assert fresh(room.takes(home[0], first=True)) == []
    assert titles_of(room.takes(*home[:2], now=NOW + HOUR)) == {TITLES[1]}
    assert room.takes(home[0], now=NOW + 2 * HOUR).headlines == ()


def test_titles_that_were_kept_under_one_headline_of_their_page_stay_old(room: Newsroom) -> None:
    home = [entry(number, guid="", link=HOME) for number in range(4)]
    (first,) = room.takes(home[0], first=True).headlines
    old = [(title_name(first.publisher, title), first.id) for title in TITLES[1:3]]
    room.store.append(Batch((), (), {}, old), NOW)
    assert titles_of(room.takes(*home, now=NOW + HOUR)) == {TITLES[3]}


def test_places_on_one_page_tell_entries_apart(room: Newsroom) -> None:
    placed = [entry(number, guid="", link=f"https://wire.example/news.html#{number}") for number in range(len(TITLES))]
    assert titles_of(room.takes(placed[0])) == {TITLES[0]}
    assert titles_of(room.takes(*placed[:5], now=NOW + HOUR)) == set(TITLES[1:5])
    edited = [replace(one, title=f"{one.title}, sources say") for one in placed]
    came = room.takes(*edited[:6], now=NOW + 2 * HOUR)
    assert titles_of(came) == {edited[5].title}
    assert {one.title for one in came.revisions} == {one.title for one in edited[:5]}
    came = room.takes(replace(placed[6], link=placed[0].link), now=NOW + 3 * HOUR)
    assert titles_of(came) == {TITLES[6]}, "a place that went over to another headline"


def test_another_article_at_the_same_address_is_new(room: Newsroom) -> None:
    room.takes(entry(1, link="https://wire.example/live"))
    came = room.takes(entry(2, link="https://wire.example/live"), now=NOW + HOUR)
    assert [one.title for one in came.headlines] == [TITLES[2]]


# Edited titles


def test_an_edited_title_is_a_revision_and_no_headline(room: Newsroom) -> None:
    room.takes(entry(1))
    edited = entry(1, title="Corvane auditors resign over hidden debt, shares halted")
    came = room.takes(edited, now=NOW + HOUR)
    assert (came.headlines, [one.title for one in came.revisions]) == ((), [edited.title])
    assert room.takes(edited, now=NOW + 2 * HOUR).revisions == ()
    again = room.takes(entry(1, title="Corvane: what we know"), now=NOW + 3 * HOUR)
    assert [one.title for one in again.revisions] == ["Corvane: what we know"]
    assert (room.titles(), len(room.revisions())) == ([TITLES[1]], 2)


def test_an_edit_under_a_new_guid_is_recognised_by_its_address(room: Newsroom) -> None:
    room.takes(entry(1))
    came = room.takes(entry(1, guid="new", title=f"Update: {TITLES[1]}"), now=NOW + HOUR)
    assert (came.headlines, len(came.revisions)) == ((), 1)


def test_an_edit_beside_the_original_is_its_revision(room: Newsroom) -> None:
    original = entry(1)
    edited = replace(original, title="Auditors of Corvane, a retailer, walk out")
    room.takes(original, first=True)
    came = room.takes(edited, original, now=NOW + HOUR)
    assert (came.headlines, [one.title for one in came.revisions]) == ((), [edited.title])
    came = room.takes(edited, now=NOW + 2 * HOUR)
    assert (came.headlines, came.revisions) == ((), ())


@pytest.mark.parametrize("guid", ["", "guid-1"])
def test_an_edit_beside_the_original_that_is_told_by_other_means(room: Newsroom, guid: str) -> None:
    original = entry(1, guid=guid)
    room.takes(original, first=True)
    edited = replace(original, title=f"{TITLES[1]}, shares halted")
    came = room.takes(edited, original, now=NOW + HOUR)
    assert (came.headlines, len(came.revisions)) == ((), 1)


def test_a_backlog_without_links_stays_known_when_its_guid_is_shared(room: Newsroom) -> None:
    old, new = entry(1, guid="same", link=""), entry(2, guid="same", link="")
    room.takes(old, first=True)
    assert titles_of(room.takes(old, new, now=NOW + HOUR)) == {TITLES[2]}
    assert room.takes(old, now=NOW + 2 * HOUR).headlines == ()


@pytest.mark.parametrize("newest_first", [True, False])
def test_of_two_versions_the_first_published_is_the_headline(room: Newsroom, newest_first: bool) -> None:
    first = entry(1, published=NOW - 60 * HOUR)
    second = replace(first, title="Auditors of Corvane, a retailer, walk out", published=NOW)
    came = room.takes(*((second, first) if newest_first else (first, second)))
    assert [(one.title, one.standing) for one in came.headlines] == [(first.title, Standing.ARCHIVE)]
    assert [one.title for one in came.revisions] == [second.title]


# Several feeds of one house


def test_a_story_in_several_feeds_of_a_house_is_one_headline(room: Newsroom) -> None:
    room.takes(entry(1))
    assert room.takes(entry(1, TOP, guid="77"), feed=TOP, now=NOW + HOUR).headlines == ()
    # Another house's headline of the same words is a headline of its own.
    copied = entry(1, RIVAL, guid="8", link="https://rival.example/1")
    assert len(room.takes(copied, feed=RIVAL, now=NOW + HOUR).headlines) == 1


def test_two_feeds_of_a_house_in_one_round(room: Newsroom) -> None:
    checks = [
        Check("wire", NOW, Outcome.NEW, "", 200, 1, 1, (entry(1),), unseen(WIRE, NOW)),
        Check("top", NOW, Outcome.NEW, "", 200, 1, 1, (entry(1, TOP, guid="77"),), unseen(TOP, NOW)),
    ]
    assert len(intake(checks, room.store, NamesNone(), NOW).headlines) == 1


# What never alerts


def test_first_fetch_reenabled_restored_and_archives_never_alert(room: Newsroom) -> None:
    state = unseen(WIRE, NOW)
    assert carries_backlog(WIRE, state, NOW)
    watched = replace(state, first_success_at=NOW - 90 * HOUR, last_success_at=NOW - HOUR)
    assert not carries_backlog(WIRE, watched, NOW)
    assert carries_backlog(WIRE, replace(watched, paused_at=NOW - HOUR), NOW), "re-enabled"
    assert carries_backlog(WIRE, replace(watched, last_success_at=NOW - 7 * HOUR), NOW), "restored, or off for a night"
    slow = WIRE.model_copy(update={"every_minutes": 720})
    assert not carries_backlog(slow, replace(watched, last_success_at=NOW - 13 * HOUR), NOW)
    assert fresh(room.takes(*entries(), first=True)) == []
    archive = [entry(n, guid=f"old-{n}", link="", published=NOW - timedelta(days=9)) for n in range(3)]
    assert fresh(room.takes(*archive, now=NOW + HOUR)) == []


# Whatever a feed does

# Each example is a feed, a house and a site of its own in one store, so that none knows of another.
SITES = count()
SAID = (
    "Bank fails",
    "Bank fails today",
    "Oil slides",
    "Mine collapses in Chile",
    "Mine collapses in Peru",
    "Yen sinks to new low",
)
PATHS = ("", "/", "/#1", "/#2", "/a", "/b")
ANSWERS = st.lists(
    st.lists(
        st.tuples(st.sampled_from(["", "0", "1", "c"]), st.sampled_from(PATHS), st.sampled_from(SAID)), max_size=6
    ),
    min_size=2,
    max_size=4,
)
Told = tuple[str, str, str]  # guid, link without fragment, title


@pytest.fixture(scope="module")
def archive() -> Iterator[Store]:
    with Store.open(":memory:", NOW) as store:
        yield store


def same_guid(one: Told, others: Iterable[Told]) -> bool:
    """Whether the guid is that of a headline that has the same link, or a title that is alike."""
    known = list(others)
    titles = {title for guid, _, title in known if guid and guid == one[0]}
    return any(title in titles and (link == one[1] or alike(title, one[2])) for _, link, title in known)


def of_many(link: str, answers: Iterable[Sequence[Told]]) -> bool:
    """Whether an answer told of headlines on this page that have nothing in common."""
    return bool(link) and any(
        first[1] == second[1] == link and not alike(first[2], second[2]) and (first[0] != second[0] or first[0] == "")
        for answer in answers
        for first, second in combinations(answer, 2)
    )


def must_be_new(one: Told, answer: Sequence[Told], before: Sequence[Sequence[Told]]) -> bool:
    _, link, title = one
    earlier = [each for told in before for each in told]
    others = [*earlier, *(each for each in answer if each is not one)]
    if any(each[2] == title for each in others) or same_guid(one, others):
        return False
    there = [each[2] for each in earlier if each[1] == link]
    return not there or (of_many(link, [*before, answer]) and not any(alike(title, each) for each in there))


@settings(deadline=None, max_examples=100)
@given(ANSWERS)
def test_what_was_seen_never_comes_back_and_what_was_not_is_kept(archive: Store, answers: list[list[Told]]) -> None:
    room, site = Newsroom(archive), f"site-{next(SITES)}"
    feed = Feed(id=site, url=f"https://{site}.example/rss", name=site, publisher=site)
    before: list[list[Told]] = []
    for number, told in enumerate(answers):
        answer = [(guid, path.partition("#")[0], title) for guid, path, title in told]
        made = [
            entry(0, feed, guid=guid, link=path and f"https://{site}.example{path}", title=title, published=NOW)
            for guid, path, title in told
        ]
        came = room.takes(*made, feed=feed, now=NOW + number * HOUR, first=number == 0)
        new = [(one.link.removeprefix(f"https://{site}.example"), one.title) for one in came.headlines]
        assert len(set(new)) == len(new)
        assert set(new).isdisjoint((link, title) for told in before for _, link, title in told)
        assert {one[1:] for one in answer if must_be_new(one, answer, before)} <= set(new)
        before.append(answer)


@given(st.text(), st.text())
def test_likeness_is_symmetric_and_reflexive(one: str, other: str) -> None:
    assert alike(one, one)
    assert alike(one, other) == alike(other, one)


def test_names_are_forgotten_with_time(room: Newsroom) -> None:
    room.takes(entry(1))
    assert room.store.named({one for one, _ in room.takes(entry(2), now=NOW).names})
    room.store.maintain(NOW + timedelta(days=46))
    with room.store.database.reading() as cursor:
        assert cursor.sql("SELECT count(*) FROM names").fetchall() == [(0,)]
