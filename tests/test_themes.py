"""Themes: laws of the matcher, invented headlines that the defaults must find or refuse, and judged real ones."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from models.encoder import find_encoder, load_encoder
from models.running.network import embedding
from models.themes import Reason, Theme, ThemeMatcher, default_themes

DOCS = Path(__file__).parents[1] / "docs" / "themes.md"
JUDGEMENTS = Path(__file__).parent / "data" / "theme_judgements.csv"

# Invented, and not among the examples: theme -> headlines that it must find.
FOUND = {
    "bank-stress": (
        "Savers line up outside Northern Harbour Bank as bank run gathers pace",
        "Lisbon steps in to rescue failing lender Banco Meridiano",
        "Mortgage lender nationalised after depositors withdraw a quarter of its funds",
        "Regulators shut Prairie Trust Bank, the third failure this month",
        "Contagion fears hit Nordic banks after collapse of rival",
        "Shares of regional lender tumble 40% as it seeks emergency liquidity",
        "Government guarantees bank deposits as crisis spreads",
    ),
    "default-credit": (
        "Furniture chain Holmgard files for Chapter 11 bankruptcy",
        "Steelmaker misses bond payment and enters talks with creditors",
        "Shipping group warns of doubt over its ability to continue as a going concern",
    ),
    "sovereign-debt": (
        "Freedonia secures IMF bailout after months of talks",
        "Senate stalemate over debt ceiling rattles Washington",
        "Island nation declares sovereign default as reserves dwindle",
    ),
    "market-selloff": (
        "Wall Street tumbles as investors flee risky shares",
        "Tokyo stocks plunge 6% in worst day since 1987",
        "Bitcoin sinks below $10,000 as crypto rout deepens",
    ),
    "liquidity-funding": (
        "Credit fund suspends redemptions after wave of withdrawal requests",
        "Hedge fund faces margin calls after bets on bonds go wrong",
        "Small firms feel the pinch as credit crunch worsens",
    ),
    "fraud-legal": (
        "Payments chief executive charged with securities fraud",
        "Trader jailed for insider trading on takeover tips",
        "Miner agrees to pay $400 million to settle bribery charges with prosecutors",
    ),
    "cyber-attack": (
        "Brokerage hit by ransomware, customers locked out",
        "Hackers drain $90 million from lending protocol",
        "Insurer says data breach exposed records of two million clients",
    ),
    "profit-warning": (
        "Sportswear maker issues profit warning after weak holiday season",
        "Chip designer cuts guidance as demand for phones slumps",
        "Engineering group swings to a loss, shares hit",
    ),
    "layoffs": (
        "Ride-hailing firm to lay off 3,000 employees",
        "Lender to cut 1,500 jobs as branches close",
        "Video game studio announces layoffs after sales slump",
    ),
    "trade-sanctions": (
        "Brussels agrees fresh sanctions on shipping firms",
        "Washington widens export controls on quantum computers",
        "Capital retaliates with tariffs on farm goods",
    ),
    "armed-conflict": (
        "Missile strikes hit port city as invasion enters third week",
        "Ceasefire collapses after shelling of border villages",
        "Airstrikes kill dozens in rebel-held province",
    ),
    "recall-outage": (
        "Truck maker recalls 200,000 vehicles over brake defect",
        "Nationwide outage leaves card payments down for hours",
        "Train derailment spills solvents near town",
    ),
    "regulation": (
        "Antitrust regulators open probe into online travel group",
        "Watchdog fines broker over misleading adverts",
        "SEC proposes stricter rules for private funds",
    ),
    "deal-failure": (
        "Merger of rival airlines collapses after court ruling",
        "Cement maker calls off takeover of competitor",
        "Fintech scraps IPO as market sours",
    ),
    "supply-disruption": (
        "Carmaker halts production at two plants over chip shortage",
        "Supply chain crisis leaves toy shops with empty shelves",
        "Pharmacies warn of shortage of medicines this winter",
    ),
    "leadership-exit": (
        "Cosmetics group CEO steps down after three years",
        "Board ousts chief executive of struggling drugmaker",
        "Insurer's finance chief resigns with immediate effect",
    ),
    "natural-disaster": (
        "Magnitude 7.1 earthquake strikes off northern coast",
        "Hurricane Odalys forces evacuation of coastal cities",
        "Wildfires close highways and threaten vineyards",
    ),
    "labour-dispute": (
        "Dockers vote for strike action over pay",
        "Bus drivers walk out as union talks fail",
        "Airport strike grounds hundreds of flights",
    ),
    "property-stress": (
        "House prices fall for seventh month in a row",
        "Office landlord hands back towers as commercial property crash bites",
        "Home sales plunge as mortgage rates climb",
    ),
}

# Invented: theme -> headlines in its words that are about something else.
REFUSED = {
    "bank-stress": (
        "Harbour Bank's quarterly profit rises on higher lending income",
        "Central bank raises rates by a quarter point",
        "Food bank collapse feared as donations fall",
        "Flooding as river bank collapses in Ohio town",
        "Clashes in West Bank raise fears of wider crisis",
        "World Bank warns of food crisis",
        "Shops brace for bank holiday run on barbecue charcoal",
        "Investment bank hires head of emerging markets",
    ),
    "default-credit": (
        "Browser makes private mode the default setting",
        "Opposition calls government morally bankrupt",
        "Carmaker sells bonds to fund electric push",
    ),
    "sovereign-debt": (
        "Student debt relief plan heads to court",
        "Retailer files for bankruptcy with large debts",
        "IMF lifts global growth forecast",
    ),
    "market-selloff": (
        "Stocks rise as earnings cheer investors",
        "House prices fall in big cities",
        "Shares rally after last week's losses",
    ),
    "liquidity-funding": (
        "Battery start-up raises new funding round",
        "School funding squeeze hits class sizes",
        "A tale of redemption on the tennis court",
    ),
    "fraud-legal": (
        "Court upholds abortion law",
        "Opposition leader arrested after protest",
        "Electric carmaker's battery charges in ten minutes",
    ),
    "cyber-attack": (
        "Cyber security firm lifts sales forecast",
        "Ten kitchen hacks for busy families",
        "Fighter jet in breach of airspace",
    ),
    "profit-warning": (
        "Software maker beats profit forecasts",
        "Economy grows less than forecast in third quarter",
        "Storm warning issued for the coast",
    ),
    "layoffs": (
        "Economy adds 300,000 jobs in March",
        "Central bank cuts rates to support workers",
        "Retailer to hire 5,000 staff for holidays",
    ),
    "trade-sanctions": (
        "Town bans smoking in parks",
        "Exports rise on strong demand for cars",
        "Judge orders lawyer to pay sanctions",
    ),
    "armed-conflict": (
        "Supermarkets locked in price war",
        "Rail workers strike over pay",
        "Streaming war heats up as rival cuts fees",
    ),
    "recall-outage": (
        "Former minister recalls her years in office",
        "Market crash fears grow as shares tumble",
        "Airline orders fifty new jets",
    ),
    "regulation": (
        "Police chief investigated over election leaks",
        "Central bank keeps rates unchanged",
        "Company names new compliance officer",
    ),
    "deal-failure": (
        "Software group agrees $3 billion takeover of rival",
        "Ceasefire talks collapse",
        "Regulators clear merger of telecom groups",
    ),
    "supply-disruption": (
        "Labour shortage pushes up wages",
        "Toymaker opens factory in Mexico",
        "Housing shortage worsens in capital",
    ),
    "leadership-exit": (
        "Prime minister resigns after budget vote",
        "Retailer names new chief executive",
        "Football club's coach sacked after defeat",
    ),
    "natural-disaster": (
        "Bank shares weather the storm",
        "Political earthquake as governing party loses seat",
        "Exchange sees flood of new listings",
    ),
    "labour-dispute": (
        "Air strike kills commander",
        "Rivals strike a deal over patents",
        "European Union agrees budget",
    ),
    "property-stress": (
        "House prices rise for third month",
        "White House hit by worst leak in years",
        "Mansion sells for record sum",
    ),
}


class LetterEmbedder:
    """A real, if poor, embedding: letter counts, normalised; counts how many texts it was given."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.seen.append(len(texts))
        counts = np.array([[text.lower().count(c) for c in "abcdefghijklmnopqrstuvwxyz"] for text in texts], np.float32)
        counts = counts.reshape(len(texts), 26) + 1e-3
        unit: NDArray[np.float32] = counts / np.linalg.norm(counts, axis=1, keepdims=True)
        return unit


class BareEncoder:
    """The embedded encoder as the scorer uses it for `embed`, in float32 and without an adapter."""

    def __init__(self) -> None:
        self.model, self.tokenizer = load_encoder(find_encoder())

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        import torch

        parts: list[NDArray[np.float32]] = []
        for start in range(0, len(texts), 128):
            chunk = list(texts[start : start + 128])
            tokens = self.tokenizer(chunk, truncation=True, max_length=128, padding=True, return_tensors="pt")
            with torch.inference_mode():
                parts.append(embedding(self.model, tokens["input_ids"], tokens["attention_mask"]).numpy())
        return np.concatenate(parts)


@pytest.fixture(scope="module")
def defaults() -> ThemeMatcher:
    return ThemeMatcher(default_themes(), BareEncoder())


class Row(NamedTuple):
    judged: int
    precision: float


def _documented() -> dict[str, Row]:
    """The rows `| bank-stress | matched | judged | precision | ...` of docs/themes.md."""
    cells = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in DOCS.read_text("utf-8").splitlines()
        if line[:1] == "|"
    ]
    ids = {one.id for one in default_themes()}
    return {
        row[0].strip("`"): Row(int(row[2]), float(row[3])) for row in cells if row[0].strip("`") in ids and len(row) > 5
    }


def theme(**settings: object) -> Theme:
    plain: dict[str, object] = {
        "id": "fire",
        "name": "Fire",
        "description": "Something burns.",
        "examples": ("A mill burns",),
    }
    return Theme.model_validate(plain | settings)


BOTH = (
    theme(strong_terms=("blaze*",), terms=("burn*",), excluded_terms=("burning question",), term_threshold=0.1),
    theme(id="water", strong_terms=("flood*",), examples=(), needs_term=True),
)
WORDS = st.lists(
    st.sampled_from(["blaze", "blazing", "burning question", "Flood", "mill", "unrelated", "burns", "", " "]),
    max_size=5,
)


@given(st.lists(WORDS.map(" ".join), max_size=12))
def test_order_is_kept_and_no_text_influences_another(texts: list[str]) -> None:
    matcher = ThemeMatcher(BOTH, LetterEmbedder())
    together = matcher.match(texts)
    assert together == [matcher.match([text])[0] for text in texts]
    assert matcher.match(texts[::-1]) == together[::-1]


@given(WORDS.map(" ".join))
def test_an_excluded_term_wins(text: str) -> None:
    (found,) = ThemeMatcher(BOTH, LetterEmbedder()).match([f"{text} blaze burning question"])
    assert "fire" not in found


@given(WORDS.map(" ".join))
def test_explain_agrees_with_match(text: str) -> None:
    matcher = ThemeMatcher(BOTH, LetterEmbedder())
    assert tuple(one.theme for one in matcher.explain(text) if one.reason.matches) == matcher.match([text])[0]


@pytest.mark.parametrize("text", ["", "  ", "\u200b", "https://example.com/blaze"])
def test_an_empty_text_matches_nothing(text: str) -> None:
    matcher = ThemeMatcher(BOTH, LetterEmbedder())
    assert matcher.match([text]) == [()]
    assert {one.reason for one in matcher.explain(text)} == {Reason.EMPTY_TEXT}


def test_no_texts_no_embedding() -> None:
    embedder = LetterEmbedder()
    assert ThemeMatcher(BOTH, embedder).match([]) == []
    assert embedder.seen == []


def test_texts_that_words_settle_are_not_embedded_and_examples_only_once() -> None:
    embedder = LetterEmbedder()
    matcher = ThemeMatcher((theme(terms=("burn*",), term_threshold=0.1, needs_term=True),), embedder)
    assert matcher.match(["nothing here", "it burns", "still nothing"]) == [(), ("fire",), ()]
    assert embedder.seen == [1, 1]  # the example, then the one text with a term
    matcher.match(["burned", "burnt"])
    assert embedder.seen == [1, 1, 2]


def test_every_reason_is_told() -> None:
    examples: dict[str, object] = {
        "examples": ("aaaa",),
        "counter_examples": ("bbbb",),
        "threshold": 0.9,
        "term_threshold": 0.5,
    }
    plain = ThemeMatcher(
        (theme(**examples, strong_terms=("zzz",), terms=("aab",), excluded_terms=("no",)),), LetterEmbedder()
    )
    gated = ThemeMatcher((theme(**examples, terms=("aab",), needs_term=True),), LetterEmbedder())
    reasons = {text: plain.explain(text)[0].reason for text in ("zzz", "aab", "aaa", "zzz no", "qqq", "")}
    assert reasons == {
        "zzz": Reason.STRONG_TERM,
        "aab": Reason.TERM_AND_MEANING,
        "aaa": Reason.MEANING,
        "zzz no": Reason.EXCLUDED_TERM,
        "qqq": Reason.TOO_FAR,
        "": Reason.EMPTY_TEXT,
    }
    assert plain.explain("aab bbbb aaa")[0].reason is Reason.COUNTER_EXAMPLE
    assert gated.explain("aaa")[0].reason is Reason.NO_TERM


@pytest.mark.parametrize(
    ("term", "text", "caught"),
    [
        ("bank run", "A Bank-Run begins", True),
        ("bank run", "bank runner", False),
        ("collaps*", "It collapsed", True),
        ("collaps*", "precollapse", False),
        ("bank | lender + fail*", "failing Lender", True),
        ("bank | lender + fail*", "a bank", False),
        ("u.s. + can't pay", "U.S. can’t pay", True),
        ("at&t", "AT&T's bonds", True),
    ],
)
def test_terms_meet_whole_words(term: str, text: str, caught: bool) -> None:
    matcher = ThemeMatcher((theme(examples=(), strong_terms=(term,), needs_term=True),), LetterEmbedder())
    assert bool(matcher.match([text])[0]) is caught


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "Not A Slug"},
        {"examples": ()},
        {"examples": ("x",), "needs_term": True},
        {"strong_terms": ("bank*s",)},
        {"terms": ("",)},
        {"terms": ("bank |",)},
        {"terms": ("bank + ",)},
        {"threshold": 0.3, "term_threshold": 0.4},
        {"threshold": 1.2},
        {"colour": "red"},
    ],
)
def test_a_theme_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        theme(**wrong)


def test_two_themes_of_one_id_are_refused() -> None:
    with pytest.raises(ValueError, match="fire"):
        ThemeMatcher((theme(), theme()), LetterEmbedder())


def test_default_themes_are_many_and_distinct() -> None:
    themes = default_themes()
    assert len(themes) >= 12
    assert len({one.id for one in themes}) == len(themes)
    assert all(8 <= len(one.examples) <= 14 for one in themes)
    assert {one.id for one in themes} == set(FOUND) == set(REFUSED)


def test_the_crisis_of_one_quarter_is_not_written_into_the_terms() -> None:
    names = ("silicon valley", "svb", "signature", "silvergate", "first republic", "credit suisse")
    for one in default_themes():
        words = " ".join((*one.strong_terms, *one.terms, *one.examples)).lower()
        assert not [name for name in names if name in words], one.id


@pytest.mark.parametrize("wanted", sorted(FOUND))
def test_defaults_find_headlines_that_they_never_saw(defaults: ThemeMatcher, wanted: str) -> None:
    missed = [
        text for text, found in zip(FOUND[wanted], defaults.match(FOUND[wanted]), strict=True) if wanted not in found
    ]
    assert not missed
    examples = {text for one in default_themes() for text in one.examples}
    assert not examples & set(FOUND[wanted])


@pytest.mark.parametrize("other", sorted(REFUSED))
def test_defaults_refuse_near_misses(defaults: ThemeMatcher, other: str) -> None:
    wrong = [text for text, found in zip(REFUSED[other], defaults.match(REFUSED[other]), strict=True) if other in found]
    assert not wrong


@pytest.mark.slow
def test_judged_headlines_reproduce_the_documented_precision(defaults: ThemeMatcher, shared_data: Path) -> None:
    with JUDGEMENTS.open(encoding="utf-8", newline="") as file:
        judged = {(row["theme"], row["title_sha256"]): row["verdict"] for row in csv.DictReader(file)}
    wanted = {digest for _, digest in judged}
    with (shared_data / "replay" / "finance_2023q1.csv").open(encoding="utf-8", newline="") as file:
        digests = {hashlib.sha256(row["title"].encode()).hexdigest(): row["title"] for row in csv.DictReader(file)}
    titles = {digest: title for digest, title in digests.items() if digest in wanted}
    assert len(titles) == len(wanted)
    found = dict(zip(titles, defaults.match(list(titles.values())), strict=True))
    for one in default_themes():
        verdicts = [verdict for (of, digest), verdict in judged.items() if of == one.id and one.id in found[digest]]
        documented = _documented()[one.id]
        assert len(verdicts) == pytest.approx(documented.judged, abs=2), one.id
        precision = verdicts.count("yes") / len(verdicts)
        assert precision == pytest.approx(documented.precision, abs=0.03), one.id
        assert precision >= 0.85, one.id
    stress = [(digest, verdict) for (of, digest), verdict in judged.items() if of == "bank-stress" and verdict == "yes"]
    recall = sum("bank-stress" in found[digest] for digest, _ in stress) / len(stress)
    assert recall >= 0.48
