"""The user's own companies, and the user's own names for those that Squall knows.

takes  the [[companies]] tables of the settings, and the gazetteer
gives  all companies, each ticker and each name once
never  guesses which of two companies a name means: it is refused
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pydantic import BaseModel, ConfigDict, Field, model_validator

from monitor.news.companies import Company, gazetteer


class OwnCompany(BaseModel):
    """One [[companies]] table of the settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ticker: str = Field(
        min_length=1,
        max_length=20,
        pattern=r"^[A-Z0-9][A-Z0-9.-]*$",
        description="Its ticker, or a short code of your own; the series is company:<ticker>.",
    )
    name: str = Field(
        "", max_length=100, description="What people call it; needed where Squall does not know the ticker."
    )
    names: tuple[str, ...] = Field((), description="Found wherever they stand, with these capitals.")
    contextual: tuple[str, ...] = Field(
        (), description='Ordinary words as well: found only beside a word that makes them a company, such as "shares".'
    )

    @model_validator(mode="after")
    def _sayable(self) -> OwnCompany:
        for name in (*self.names, *self.contextual):
            if len(name.strip()) < 2 or name != name.strip():
                raise ValueError(f"{name!r} is no name: two characters or more, without spaces around them")
        return self


def with_own(own: Sequence[OwnCompany], known: Iterable[Company] | None = None) -> tuple[Company, ...]:
    """The gazetteer with the user's companies and names in it.

    Args:
        own: of a ticker that is known, the names are added; of any other, a company is.
        known: the shipped gazetteer when None.

    Raises:
        ValueError: on a ticker that is given twice, a new company without a name, or a name that belongs to another.
    """
    companies = {company.ticker: company for company in (gazetteer() if known is None else known)}
    bearer = {name: ticker for ticker, one in companies.items() for name in (*one.names, *one.contextual)}
    seen: set[str] = set()
    for one in own:
        if one.ticker in seen:
            raise ValueError(f"the company {one.ticker} is given more than once")
        seen.add(one.ticker)
        for name in (*one.names, *one.contextual):
            if bearer.setdefault(name, one.ticker) != one.ticker:
                raise ValueError(f"the name {name!r} of {one.ticker} belongs to {bearer[name]} already")
        companies[one.ticker] = _joined(companies.get(one.ticker), one)
    return tuple(companies.values())


def _joined(company: Company | None, own: OwnCompany) -> Company:
    if company is None:
        if not own.name:
            raise ValueError(f"Squall does not know {own.ticker}: give it a name, and the names that headlines use")
        return Company(own.ticker, own.name, "", own.names or (own.name,), own.contextual)
    names = tuple(dict.fromkeys((*company.names, *own.names)))
    # A word that the user makes sure, or unsure, is what the user says.
    contextual = tuple(name for name in (*company.contextual, *own.contextual) if name not in own.names)
    sure = tuple(name for name in names if name not in own.contextual)
    return replace(company, name=own.name or company.name, names=sure, contextual=tuple(dict.fromkeys(contextual)))
