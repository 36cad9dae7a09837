"""What may be asked about series over time, and about the headlines and stories in them.

takes  nothing
gives  `STORY_QUERIES`: a part of `monitor.storage.queries.QUERIES`
never  reads ten million titles: words and companies are looked up in the index of words, trends in the rollups

Whoever asks for the newest of a series asks for a short range first (`dashboard/reads.py`): blocks outside it are
skipped by `effective`, and most often the short range holds enough.
"""

from __future__ import annotations

from datetime import datetime

from monitor.storage.query import RANGE, Query
from monitor.storage.watching import WATCHED
from monitor.storage.words import SLOTS

HEADLINE_COLUMNS = """
    h.id, h.effective, h.published, h.fetched, h.title, h.link, h.publisher, h.feed, h.language, h.standing, h.story,
    h.companies, s.sentiment, s.abstention, s.negative, s.neutral, s.positive, s.topics, s.themes, s.model,
    s.towards, s.towards_negative, s.towards_positive"""

# What a headline counts as in the series: for a company it is the sentiment towards the company.
_IN_SERIES = """
    s.series_negative[list_position(s.series, $series::VARCHAR)] AS negative_in,
    s.series_tone[list_position(s.series, $series::VARCHAR)]::DOUBLE AS tone_in"""

_WITHIN = "effective >= $since::TIMESTAMPTZ AND effective < $until::TIMESTAMPTZ"

_SIFTED = """
    ($series::VARCHAR = 'market' OR list_contains(s.series, $series::VARCHAR))
    AND (NOT $negative_only::BOOLEAN OR s.series_negative[list_position(s.series, $series::VARCHAR)])
    AND ($tone::VARCHAR = '' OR ($tone::VARCHAR = 'unsure' AND s.abstention <> 'none')
        OR (s.sentiment = $tone::VARCHAR AND s.abstention = 'none'))"""

# Nothing is sifted: whatever has a score.
_ALL = "$series::VARCHAR = 'market' AND $tone::VARCHAR = '' AND NOT $negative_only::BOOLEAN"

_NAMED = "($publisher::VARCHAR = '' OR lower(h.publisher) = lower($publisher::VARCHAR))"

# A title as it is held against what there is no slot for: its words with a blank around each, and signs of companies.
_TOLD = r"""
    concat(' ', regexp_replace(lower(strip_accents(h.title)), '[^\pL\pN]+', ' ', 'g'), ' ',
        array_to_string(list_transform(h.companies, lambda ticker: '$' || lower(ticker)), ' '), ' ')"""

_FURTHER = "list_bool_and(list_transform(string_split($further::VARCHAR, chr(10)), lambda one: contains(told, one)))"

_SLOT = """
    SELECT headline, effective, {bit} AS slot FROM every
    WHERE word >= $word_{number}::VARCHAR AND word < $end_{number}::VARCHAR AND {within}"""

_SLOTS = " UNION ALL ".join(
    _SLOT.format(bit=1 << (number - 1), number=number, within=_WITHIN) for number in range(1, SLOTS + 1)
)

_SIFT: dict[str, type] = {
    "series": str,
    **RANGE,
    "negative_only": bool,
    "tone": str,
    "publisher": str,
    "limit": int,
}

_WORDS: dict[str, type] = {
    "slots": int,
    "further": str,
    **{f"{part}_{number}": str for number in range(1, SLOTS + 1) for part in ("word", "end")},
}

STORY_QUERIES: dict[str, Query] = {
    "trend": Query(
        about="One series over time: stories, negative stories and mean tone for each 'hour', 'day' or 'month' of a "
        "time zone with any.",
        sql="""
            SELECT CASE WHEN $step::VARCHAR = 'hour' THEN hour
                    ELSE timezone($zone::VARCHAR, date_trunc($step::VARCHAR, timezone($zone::VARCHAR, hour)))
                END AS "at",
                sum(headlines)::BIGINT AS headlines, sum(stories)::BIGINT AS stories,
                sum(negative)::BIGINT AS negative, sum(tone) / nullif(sum(stories), 0) AS tone
            FROM rollups
            WHERE series = $series::VARCHAR AND hour >= $since::TIMESTAMPTZ AND hour < $until::TIMESTAMPTZ
            GROUP BY ALL ORDER BY "at"
        """,
        params={"series": str, "step": str, "zone": str, **RANGE},
    ),
    "hours": Query(
        about="Hourly counts of one series and of the market in a range; tone is the sum over the hour's stories.",
        sql="""
            SELECT series, hour, sum(stories)::BIGINT AS stories, sum(negative)::BIGINT AS negative, sum(tone) AS tone
            FROM rollups
            WHERE series IN ('market', $series::VARCHAR)
                AND hour >= $since::TIMESTAMPTZ AND hour < $until::TIMESTAMPTZ
            GROUP BY series, hour ORDER BY hour, series
        """,
        params={"series": str, **RANGE},
    ),
    "watched_since": Query(
        about="Since when one series is watched; no row when it is not.",
        sql=f"SELECT since FROM series WHERE series = $series::VARCHAR AND {WATCHED}",  # noqa: S608 - a constant
        params={"series": str},
    ),
    "heat": Query(
        about="Every series of one kind ('topic', 'theme', 'sector') in steps of so many hours from `since`.",
        sql="""
            SELECT series, time_bucket(to_hours($hours::BIGINT), hour, $since::TIMESTAMPTZ) AS "at",
                sum(stories)::BIGINT AS stories, sum(negative)::BIGINT AS negative,
                sum(tone) / nullif(sum(stories), 0) AS tone
            FROM rollups
            WHERE starts_with(series, $kind::VARCHAR || ':')
                AND hour >= $since::TIMESTAMPTZ AND hour < $until::TIMESTAMPTZ
            GROUP BY ALL ORDER BY series, "at"
        """,
        params={"kind": str, "hours": int, **RANGE},
    ),
    "moves": Query(
        about="Companies with at least `least` stories in a range and before it, from `baseline` on: mean tone in the "
        "range and before, those that changed most first.",
        sql="""
            WITH told AS (
                SELECT series,
                    sum(stories) FILTER (hour >= $since::TIMESTAMPTZ)::BIGINT AS stories,
                    sum(negative) FILTER (hour >= $since::TIMESTAMPTZ)::BIGINT AS negative,
                    sum(tone) FILTER (hour >= $since::TIMESTAMPTZ) AS tone,
                    sum(stories) FILTER (hour < $since::TIMESTAMPTZ)::BIGINT AS past_stories,
                    sum(tone) FILTER (hour < $since::TIMESTAMPTZ) AS past_tone
                FROM rollups
                WHERE starts_with(series, 'company:')
                    AND hour >= $baseline::TIMESTAMPTZ AND hour < $until::TIMESTAMPTZ
                GROUP BY series
                HAVING stories >= $least::BIGINT AND past_stories >= $least::BIGINT
            )
            SELECT series, stories, negative, tone / stories AS tone, past_stories,
                past_tone / past_stories AS usual_tone
            FROM told ORDER BY abs(tone / stories - past_tone / past_stories) DESC, series LIMIT $limit::BIGINT
        """,
        params={"least": int, "baseline": datetime, **RANGE, "limit": int},
    ),
    "latest": Query(
        about="The latest scored headlines of one series in a range, newest first; where they are not '', of one tone "
        "(negative, neutral, positive, unsure) or one publisher.",
        # The few rows are picked from scores; joining on `effective` too lets DuckDB skip blocks of headlines.
        sql=f"""
            WITH picked AS (
                SELECT * EXCLUDE (topic_probabilities) FROM scores s
                WHERE {_WITHIN} AND {_SIFTED}
                ORDER BY effective DESC, headline
                LIMIT CASE WHEN $publisher::VARCHAR = '' THEN $limit::BIGINT ELSE 10000000 END
            )
            SELECT {HEADLINE_COLUMNS}, {_IN_SERIES}
            FROM picked s JOIN headlines h ON h.id = s.headline AND h.effective = s.effective
            WHERE {_NAMED}
            ORDER BY h.effective DESC, h.id LIMIT $limit::BIGINT
        """,  # noqa: S608 - constants of this file, not a caller's value
        params=_SIFT,
    ),
    "search": Query(
        about="Headlines that hold all words of `monitor.storage.words.Wanted`, newest first, sifted as in `latest`.",
        sql=f"""
            WITH every AS (FROM words UNION ALL FROM recent_words),
            hits AS (
                SELECT headline, effective FROM ({_SLOTS})
                GROUP BY headline, effective HAVING bit_or(slot) = (1 << $slots::INTEGER) - 1
            ), newest AS (
                SELECT * FROM hits ORDER BY effective DESC, headline
                LIMIT CASE WHEN $tone::VARCHAR <> '' OR $publisher::VARCHAR <> '' OR $further::VARCHAR <> ''
                        OR $negative_only::BOOLEAN THEN 10000000
                    WHEN $series::VARCHAR = 'market' THEN $limit::BIGINT
                    -- All that are found by a company's sign count in its series once they are scored.
                    WHEN starts_with($series::VARCHAR, 'company:') THEN $limit::BIGINT + 1000
                    ELSE 10000000 END
            ), mine AS (
                -- Ten million short lists are sifted faster than as many rows are joined with theirs.
                SELECT headline, effective, rowid AS score FROM scores s
                WHERE NOT ({_ALL}) AND {_WITHIN} AND {_SIFTED}
            ), sifted AS (
                FROM (
                    SELECT n.headline, n.effective, m.score
                    FROM newest n JOIN mine m ON m.headline = n.headline AND m.effective = n.effective
                    UNION ALL
                    SELECT n.headline, n.effective, s.rowid
                    FROM newest n JOIN scores s ON s.headline = n.headline AND s.effective = n.effective WHERE {_ALL}
                )
                ORDER BY effective DESC, headline
                LIMIT CASE WHEN $publisher::VARCHAR = '' AND $further::VARCHAR = '' THEN $limit::BIGINT
                    ELSE 10000000 END
            ), named AS (
                SELECT n.headline, n.effective, n.score, h.rowid AS row,
                    CASE WHEN $further::VARCHAR = '' THEN '' ELSE {_TOLD} END AS told
                FROM sifted n JOIN headlines h ON h.id = n.headline AND h.effective = n.effective
                -- A limit between the join and what follows: else every title of the store is searched for it.
                WHERE {_NAMED} LIMIT 10000000
            ), titled AS (
                SELECT headline, effective, score, row FROM named
                WHERE $further::VARCHAR = '' OR {_FURTHER}
                ORDER BY effective DESC, headline LIMIT $limit::BIGINT
            )
            -- Wide columns are read of the few rows that are left.
            SELECT {HEADLINE_COLUMNS}, {_IN_SERIES}
            FROM titled n JOIN scores s ON s.rowid = n.score JOIN headlines h ON h.rowid = n.row
            ORDER BY h.effective DESC, h.id
        """,  # noqa: S608 - constants of this file, not a caller's value
        params={**_SIFT, **_WORDS},
    ),
    "headline": Query(
        about="One headline with its score; no row when there is none of that id, or no score yet.",
        sql=f"""
            SELECT {HEADLINE_COLUMNS} FROM headlines h JOIN scores s ON s.headline = h.id
            WHERE h.id = $headline::UBIGINT AND s.headline = $headline::UBIGINT
        """,  # noqa: S608 - constants of this file, not a caller's value
        params={"headline": int},
    ),
    "retitled": Query(
        about="Titles that headlines of some stories (ids, parted by commas) were given after they came, oldest first.",
        sql="""
            SELECT h.story, h.title AS first_title, r."at", r.title
            FROM revisions r JOIN headlines h ON h.id = r.headline
            WHERE h.effective >= $since::TIMESTAMPTZ AND h.effective < $until::TIMESTAMPTZ
                AND list_contains(string_split($stories::VARCHAR, ','), h.story::VARCHAR)
            ORDER BY r."at", r.title LIMIT $limit::BIGINT
        """,
        params={"stories": str, **RANGE, "limit": int},
    ),
    "publishers": Query(
        about="Publisher families that were heard since an instant, those with the most headlines first.",
        sql="""
            SELECT publisher, sum(headlines)::BIGINT AS headlines FROM sources WHERE hour >= $since::TIMESTAMPTZ
            GROUP BY publisher ORDER BY headlines DESC, publisher LIMIT $limit::BIGINT
        """,
        params={"since": datetime, "limit": int},
    ),
}
