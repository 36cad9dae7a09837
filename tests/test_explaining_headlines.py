"""Explanations on request: what the daemon's action answers, and what it does when the child is not there."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.adapters import SHIPPED, find_adapter
from models.library import Library
from monitor.errors import InputUnusable, ServiceError
from monitor.news.companies import CompanyMatcher, gazetteer
from monitor.service.explaining import Explainer, Pending
from monitor.settings import ModelSettings, Settings
from monitor.watched import watched_themes

PATIENCE_SECONDS = 400.0
TITLE = "Goldman Sachs profit plunges as JPMorgan gains"


@pytest.fixture(scope="module")
def explainer() -> Iterator[Explainer]:
    themes = watched_themes(Settings())[:1]
    made = Explainer(ModelSettings(), themes, CompanyMatcher(gazetteer()))
    yield made
    made.close()


def asked(explainer: Explainer, **body: object) -> dict[str, object]:
    """Asked until there is an answer, as a page does."""
    begun = time.monotonic()
    while time.monotonic() - begun < PATIENCE_SECONDS:
        told = explainer.explain(body)
        if "pending" not in told:
            return told
        assert told["pending"] in set(Pending)
    pytest.fail("the model was not loaded in time")


@pytest.mark.slow
def test_a_headline_is_explained_as_a_whole_and_towards_a_company(explainer: Explainer) -> None:
    told = asked(explainer, headline=TITLE)
    words = told["words"]
    assert isinstance(words, list)
    assert [one["word"] for one in words] == TITLE.split()
    assert told["company"] == ""
    assert {one["ticker"] for one in told["companies"]} == {"GS", "JPM"}  # type: ignore[attr-defined]  # a list of objects
    assert abs(sum(told["sentiment"].values()) - 1) < 1e-3  # type: ignore[attr-defined]  # an object of three shares
    towards = asked(explainer, headline=TITLE, company="GS")
    assert (towards["company"], towards["label"]) == ("Goldman Sachs", "negative")
    assert asked(explainer, headline=TITLE, company="Goldman Sachs") is towards, (
        "the same question is not worked out twice"
    )
    explainer.close()
    assert explainer.explain({"headline": TITLE, "company": "GS"}) is towards, "nor when the child is gone"


@pytest.mark.parametrize("headline", [None, "", "  ", 7, "x" * 2001])
def test_what_is_no_headline_is_refused(explainer: Explainer, headline: object) -> None:
    with pytest.raises(InputUnusable, match="headline must be"):
        explainer.explain({"headline": headline})


def test_a_company_that_the_headline_does_not_name_is_refused(explainer: Explainer) -> None:
    with pytest.raises(InputUnusable, match="does not name MSFT"):
        explainer.explain({"headline": TITLE, "company": "MSFT"})


def test_a_model_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    lost = Explainer(ModelSettings(adapter=tmp_path / "none"), (), CompanyMatcher(gazetteer()))
    try:
        with pytest.raises(ServiceError, match="none"):
            asked(lost, headline=TITLE)
    finally:
        lost.close()


@pytest.mark.slow
@pytest.mark.timeout(2 * PATIENCE_SECONDS)
def test_after_a_promotion_the_model_that_scores_explains(tmp_path: Path) -> None:
    other = shutil.copytree(SHIPPED, tmp_path / "other")
    told = json.loads((other / "squall.json").read_text())
    (other / "squall.json").write_text(json.dumps({**told, "abstain_below": 0.5}))
    made = Explainer(ModelSettings(library=tmp_path / "library"), (), CompanyMatcher(gazetteer()))
    try:
        before = asked(made, headline=TITLE)
        promoted = Library(tmp_path / "library").promote(find_adapter(other))
        assert asked(made, headline=TITLE)["model"] == promoted.model != before["model"]
    finally:
        made.close()
