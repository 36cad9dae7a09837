"""Which companies a headline names.

takes  a clean title, and the gazetteer of names and tickers
gives  tickers, in order of first mention, and the very words by which the title names them
never  guesses: a name that is an ordinary word too counts only beside a word that makes it a company

Matching is case-sensitive and takes the longest name: "Bank of America" is one bank, "target" is no shop. Tickers
count when they are marked as such: $AAPL, (NYSE: JPM), or an unmistakable one in parentheses.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import ahocorasick

from monitor.news.amounts import inside_a_number
from monitor.news.company_context import Found, marked, meant


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
    text = files("monitor.news").joinpath("gazetteer.csv").read_text(encoding="utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return tuple(
        Company(row["ticker"], row["name"], row["sector"], _split(row["names"]), _split(row["contextual"]))
        for row in csv.DictReader(lines)
    )


def _split(field: str) -> tuple[str, ...]:
    return tuple(part for part in field.split("|") if part)


_APOSTROPHES = str.maketrans("\u2019\u02bc", "''")


@dataclass(frozen=True, slots=True)
class Mention:
    """Where a title names a company: `name` is title[start:end], the very words."""

    ticker: str
    name: str
    start: int
    end: int


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
        return tuple(dict.fromkeys(mention.ticker for mention in self.mentions(title)))

    def mentions(self, title: str) -> tuple[Mention, ...]:
        """Every place where `title` names a company, in order; the same company as often as it is named."""
        # One character for another: places in the text are places in the title.
        text = title.translate(_APOSTROPHES)
        places = {(found.start, found.end, found.ticker) for found in meant(text, self._found(text))}
        if "$" in text or ":" in text or "(" in text:
            places |= {place for place in marked(text) if place[2] in self._companies}
        return tuple(Mention(ticker, title[start:end], start, end) for start, end, ticker in sorted(places))

    @property
    def tickers(self) -> tuple[str, ...]:
        """Tickers of all companies, in the order given."""
        return tuple(self._companies)

    def name(self, ticker: str) -> str:
        """The company's name as people write it; the ticker itself when it is unknown."""
        company = self._companies.get(ticker)
        return ticker if company is None else company.name

    def sector(self, ticker: str) -> str | None:
        """The company's sector (GICS); None when the ticker is unknown."""
        company = self._companies.get(ticker)
        return None if company is None else company.sector

    def _found(self, text: str) -> list[Found]:
        """Names on word boundaries, longest first where they overlap, in order."""
        if not self._companies:
            return []
        spans: list[Found] = []
        for last, (name, ticker, sure) in self._automaton.iter(text):
            start, end = last - len(name) + 1, last + 1
            begins = start == 0 or not (_joins(text[start - 1]) or inside_a_number(text, start))
            if begins and (end == len(text) or not _joins(text[end])):
                spans.append(Found(start, end, ticker, name, sure))
        spans.sort(key=lambda mention: (mention.start, -mention.end))
        kept: list[Found] = []
        for mention in spans:
            if not kept or mention.start >= kept[-1].end:
                kept.append(mention)
        return kept


def _joins(character: str) -> bool:
    """Whether a character beside a name makes it part of a longer word: "Citizen", "B&Q"."""
    return character.isalnum() or character in "&_@#$"
