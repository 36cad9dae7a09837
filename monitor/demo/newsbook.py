"""The words of the invented world, and how a headline is made from them.

takes  newsbook.toml, and a source of chance
gives  `Newsbook`: filled titles by topic and tone
never  names a company, country or publisher that exists
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from random import Random
from string import Formatter
from typing import Self

from pydantic import BaseModel, ConfigDict, Field


class Tone(StrEnum):
    """What a headline was written to be; the model may see it otherwise."""

    BAD = "bad"
    FLAT = "flat"
    GOOD = "good"


class Topic(BaseModel):
    """Templates about one thing, and how often the invented papers write about it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    weight: int = Field(ge=1)
    bad: tuple[str, ...]
    flat: tuple[str, ...]
    good: tuple[str, ...]

    def templates(self, tone: Tone) -> tuple[str, ...]:
        """The templates of one tone; may be empty."""
        return {Tone.BAD: self.bad, Tone.FLAT: self.flat, Tone.GOOD: self.good}[tone]


class Titles(BaseModel):
    """A list of templates used once each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    titles: tuple[str, ...] = Field(min_length=1)


class Run(BaseModel):
    """The bank run in four acts; every template is one story."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    doubts: tuple[str, ...] = Field(min_length=1)
    run: tuple[str, ...] = Field(min_length=1)
    contagion: tuple[str, ...] = Field(min_length=1)
    rescue: tuple[str, ...] = Field(min_length=1)


class Book(BaseModel):
    """newsbook.toml as it stands."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    names: dict[str, tuple[str, ...]]
    words: dict[str, tuple[str, ...]]
    topic: tuple[Topic, ...] = Field(min_length=1)
    affair: Titles
    odd: Titles
    run: Run


@dataclass(frozen=True, slots=True)
class Newsbook:
    """Templates, and the words that fill them."""

    book: Book
    fillings: dict[str, tuple[str, ...]]

    @classmethod
    def load(cls) -> Self:
        """Read the book that ships with this package."""
        book = Book.model_validate(tomllib.loads((files(__package__) / "newsbook.toml").read_text(encoding="utf-8")))
        companies = tuple(name for sector, names in book.names.items() if sector != "bank" for name in names)
        return cls(book, {**book.names, **book.words, "company": companies})

    @property
    def companies(self) -> tuple[str, ...]:
        """Every invented company, banks included."""
        return self.fillings["company"] + self.fillings["bank"] + ("Halvern Bank",)

    def fill(self, template: str, chance: Random) -> str:
        """A title from a template: every slot filled, and no word used twice in one title.

        Raises:
            KeyError: when the template names a slot that the book does not know.
        """
        parts: list[str] = []
        for text, slot, _, _ in Formatter().parse(template):
            parts.append(text)
            if slot is not None:
                parts.append(self._word(slot, template + "".join(parts), chance))
        title = "".join(parts)
        return title[0].upper() + title[1:]

    def _word(self, slot: str, so_far: str, chance: Random) -> str:
        if slot == "pct":
            return (
                f"{chance.randint(2, 9)}.{chance.randint(1, 9)}" if chance.random() < 0.5 else f"{chance.randint(2, 9)}"
            )
        if slot == "swing":
            return str(chance.randint(11, 38))
        if slot == "count":
            return f"{chance.randint(2, 39) * 50:,}"
        if slot == "money":
            return (
                f"${chance.randint(11, 95) / 10:.1f} billion"
                if chance.random() < 0.4
                else f"${chance.randint(4, 95) * 10} million"
            )
        if slot == "year":
            return str(chance.randint(2009, 2021))
        return chance.choice([word for word in self.fillings[slot] if word not in so_far])
