"""Which companies a headline names.

takes  a clean title, and the gazetteer of names and tickers
gives  tickers, in order of first mention
never  guesses: a name that is an ordinary word too counts only beside a word that makes it a company

Matching is case-sensitive and takes the longest name: "Bank of America" is one bank, "target" is no shop. Tickers
count when they are marked as such: $AAPL, (NYSE: JPM), or an unmistakable one in parentheses.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import ahocorasick


@dataclass(frozen=True, slots=True)
class Company:
    """One line of the gazetteer.

    Attributes:
        names: found wherever they stand.
        contextual: ordinary words as well; found only beside a word that makes them a company.

    Raises:
        ValueError: on an empty ticker or name.
    """

    ticker: str
    name: str
    sector: str
    names: tuple[str, ...]
    contextual: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.ticker or not self.name or not all((*self.names, *self.contextual)):
            raise ValueError(f"a company needs a ticker and names that are not empty: {self!r}")


@cache
def gazetteer() -> tuple[Company, ...]:
    """The companies that Squall brings; the file's first lines say where they are from."""
    text = files("monitor").joinpath("gazetteer.csv").read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return tuple(
        Company(row["ticker"], row["name"], row["sector"], _split(row["names"]), _split(row["contextual"]))
        for row in csv.DictReader(lines)
    )


def _split(field: str) -> tuple[str, ...]:
    return tuple(part for part in field.split("|") if part)


# Right after a contextual name: what only a company has or is.
_COMPANY_AFTER = re.compile(
    r"(?:,? (?:Inc|Corp|Co|Ltd|Plc|plc|PLC|Group|Holdings|Motor|AG|SA|SE|NV|N\.V\.|Limited|Platforms|Company|Cos)\b"
    r"|(?:'s?)?(?: \w+)? (?:shares?|stocks?|profits?|earnings|revenues?|sales|quarterly|results|CEO|CFO|COO|chief"
    r"|boss|chairman|chairwoman|investors?|shareholders?|executives?|employees|workers|staff|stores?|outlook|forecast"
    r"|guidance|dividend|buyback|layoffs|job cuts|takeover|merger|acquisition|bid|unit|subsidiary|owner|board|IPO"
    r"|bonds?|debt|downgrade|upgrade|price target|lawsuit|recall|plant|factory|app|users|ads?|dealers?)\b"
    r"|-owned\b|-backed\b|-led\b)",
    re.IGNORECASE,
)

# Right before it.
_COMPANY_BEFORE = re.compile(
    r"(?:shares of|stock of|parent|owner|unit of|company|automaker|carmaker|retailer|chain|airline|insurer|lender"
    r"|brokerage|chipmaker|drugmaker|oil major|oil giant|tech giant|giant|rival|subsidiary of|CEO of|chief of"
    r"|invests? in|stake in|sues?|acquires?|acquired by|bought by|owned by|employees at|layoffs at|workers at"
    r"|jobs at)\s$",
    re.IGNORECASE,
)

# At the very beginning the name is who acts: "Ford recalls ...", "Meta to cut ...".
_ACTS = re.compile(
    r" (?:to (?!the\b|a\b)\w+|says|said|plans|cuts|cutting|posts|reports|beats|misses|raises|lowers|sues|sued|agrees"
    r"|buys|acquires|names|hires|warns|will|halts|launches|sells|seeks|signs|settles|recalls|recalling|joins|slashes"
    r"|files|tumbles|soars|plunges|sinks|expects|sees|pays|faces|wins|unveils|reaches|considers|weighs|explores|delays"
    r"|suspends|resumes|restarts|invests|pulls|closes|shuts|opens|lays off|is|has)\b",
    re.IGNORECASE,
)
_BEGINNING = re.compile(r"(?:^|: |\u2014|; | - )$")

# Beside another company in a list.
_LISTED = re.compile(r"(?:,|,? and|,? &|,? or|/|,? vs\.?|,? versus)\s?")

# Beside these, a name means something else: (before, after).
_NOT_MEANT: dict[str, tuple[re.Pattern[str] | None, re.Pattern[str] | None]] = {
    "Amazon": (None, re.compile(r"(?:'s)? (?:rain ?forest|forest|basin|deforestation|river|jungle|region|fund)", re.I)),
    "Apple": (re.compile(r"\bBig $"), None),
    "Chevron": (None, re.compile(r" (?:deference|doctrine)", re.I)),
    "Intel": (
        re.compile(r"\b(?:US|U\.S\.|UK|U\.K\.|[Ss]ecret|[Mm]ilitary|[Aa]rmy|[Ff]oreign|[Cc]lassified) $"),
        re.compile(r" (?:agenc|officials?|committee|leak|sharing|official|community)", re.I),
    ),
    "Merck": (None, re.compile(r" KGaA")),
    "Stryker": (None, re.compile(r" (?:combat|armou?red|vehicle|brigade|fighting)", re.I)),
    "Oracle": (None, re.compile(r" of\b")),
    "Ford": (re.compile(r"\b(?:Harrison|Gerald|Doug|Tom|Betty) $"), None),
    "Brookfield": (None, re.compile(r", [A-Z]")),
    "Coke": (None, re.compile(r" (?:habit|dealer|smuggl)", re.I)),
    "Mercedes": (None, re.compile(r" [A-Z]\w+ez\b")),
    "Twitter": (None, re.compile(r" (?:post|thread|poll)\b", re.I)),
}

_CASHTAG = re.compile(r"(?<![\w$])\$([A-Z]{1,5}(?:\.[A-Z])?)\b(?!\.\d)")
_LISTED_AS = re.compile(
    r"\b(?:NYSE(?: American| Arca)?|NASDAQ|Nasdaq|AMEX|NYSEARCA|OTC(?:MKTS|PK|QB|QX)?|TSX|LSE|BATS)\s?:\s?"
    r"([A-Z]{1,5}(?:\.[A-Z])?)\b"
)
_IN_PARENTHESES = re.compile(r"\(([A-Z]{3,5}(?:\.[A-Z])?)\)")

# Tickers that stand in parentheses for something else: agencies, units, plain words.
_UNSAFE_IN_PARENTHESES = frozenset(
    {
        "ALL",
        "NOW",
        "LOW",
        "KEY",
        "CAR",
        "OPEN",
        "FAST",
        "WELL",
        "COST",
        "TECH",
        "LIFE",
        "PEG",
        "ICE",
        "DAY",
        "CAT",
        "AIG",
        "EPA",
        "SEC",
        "FED",
        "CPI",
        "GDP",
        "PMI",
        "IPO",
        "CEO",
        "ETF",
        "ESG",
        "IMF",
        "ECB",
        "BOE",
        "BOJ",
        "GPS",
        "EDF",
        "IAG",
        "TCS",
        "PEX",
        "MET",
        "NET",
        "TEAM",
        "SNAP",
        "SAVE",
        "RAD",
        "SPR",
        "COP",
        "DOC",
        "FIG",
        "BALL",
        "CAG",
        "LNG",
        "AES",
    }
)
_APOSTROPHES = str.maketrans("\u2019\u02bc", "''")


@dataclass(frozen=True, slots=True)
class _Mention:
    start: int
    end: int
    ticker: str
    name: str
    sure: bool


class CompanyMatcher:
    """Finds companies in titles; one automaton over all names, built once.

    Args:
        companies: the gazetteer; a name must belong to one company only.

    Raises:
        ValueError: when a ticker or a name belongs to two companies.
    """

    def __init__(self, companies: Iterable[Company] | None = None) -> None:
        self._companies: dict[str, Company] = {}
        self._automaton = ahocorasick.Automaton()
        for company in gazetteer() if companies is None else companies:
            if company.ticker in self._companies:
                raise ValueError(f"two companies have the ticker {company.ticker}")
            self._companies[company.ticker] = company
            for sure, names in ((True, company.names), (False, company.contextual)):
                for name in names:
                    self._add(name.translate(_APOSTROPHES), company.ticker, sure=sure)
        self._automaton.make_automaton()

    def _add(self, name: str, ticker: str, *, sure: bool) -> None:
        known = self._automaton.get(name, None)
        if known is not None and known[1] != ticker:
            raise ValueError(f"the name {name!r} belongs to both {known[1]} and {ticker}")
        self._automaton.add_word(name, (name, ticker, sure))

    def match(self, title: str) -> tuple[str, ...]:
        """Tickers of the companies that `title` names, in order of first mention, each once."""
        text = title.translate(_APOSTROPHES)
        found = [(mention.start, mention.ticker) for mention in _meant(text, self._mentions(text))]
        if "$" in text or ":" in text or "(" in text:
            found += [place for place in _marked(text) if place[1] in self._companies]
        return tuple(dict.fromkeys(ticker for _, ticker in sorted(found)))

    def name(self, ticker: str) -> str:
        """The company's name as people write it; the ticker itself when it is unknown."""
        company = self._companies.get(ticker)
        return ticker if company is None else company.name

    def sector(self, ticker: str) -> str | None:
        """The company's sector (GICS); None when the ticker is unknown."""
        company = self._companies.get(ticker)
        return None if company is None else company.sector

    def _mentions(self, text: str) -> list[_Mention]:
        """Names on word boundaries, longest first where they overlap, in order."""
        if not self._companies:
            return []
        spans: list[_Mention] = []
        for last, (name, ticker, sure) in self._automaton.iter(text):
            start, end = last - len(name) + 1, last + 1
            if (start == 0 or not _joins(text[start - 1])) and (end == len(text) or not _joins(text[end])):
                spans.append(_Mention(start, end, ticker, name, sure))
        spans.sort(key=lambda mention: (mention.start, -mention.end))
        kept: list[_Mention] = []
        for mention in spans:
            if not kept or mention.start >= kept[-1].end:
                kept.append(mention)
        return kept


def _joins(character: str) -> bool:
    """Whether a character beside a name makes it part of a longer word: "Citizen", "B&Q"."""
    return character.isalnum() or character in "&_@#$"


def _meant(text: str, mentions: list[_Mention]) -> list[_Mention]:
    """Those mentions that mean the company."""
    candidates = [mention for mention in mentions if not _means_another(text, mention)]
    accepted = [m for m in candidates if m.sure or _in_context(text, m)]
    if len(accepted) in (0, len(candidates)):
        return accepted
    # In a list with a company, a plain word is a company too: "Amazon, Meta and Ford".
    position = {mention: number for number, mention in enumerate(candidates)}
    queue = list(accepted)
    while queue:
        number = position[queue.pop()]
        for other in (number - 1, number + 1):
            if not 0 <= other < len(candidates) or candidates[other] in accepted:
                continue
            first, second = sorted((number, other))
            if _LISTED.fullmatch(text[candidates[first].end : candidates[second].start].rstrip(" ") + " "):
                accepted.append(candidates[other])
                queue.append(candidates[other])
    return accepted


def _means_another(text: str, mention: _Mention) -> bool:
    before, after = _NOT_MEANT.get(mention.name, (None, None))
    return bool(
        (before is not None and before.search(text[max(0, mention.start - 20) : mention.start]))
        or (after is not None and after.match(text, mention.end))
    )


def _in_context(text: str, mention: _Mention) -> bool:
    before = text[max(0, mention.start - 30) : mention.start]
    if _COMPANY_AFTER.match(text, mention.end) or _COMPANY_BEFORE.search(before):
        return True
    return bool(_BEGINNING.search(before) and _ACTS.match(text, mention.end))


def _marked(text: str) -> list[tuple[int, str]]:
    """(place, ticker) of everything that is written as a ticker."""
    places = [(m.start(), m.group(1)) for pattern in (_CASHTAG, _LISTED_AS) for m in pattern.finditer(text)]
    places += [
        (m.start(), m.group(1)) for m in _IN_PARENTHESES.finditer(text) if m.group(1) not in _UNSAFE_IN_PARENTHESES
    ]
    return places
