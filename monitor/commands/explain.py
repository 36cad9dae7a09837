"""`squall explain`: which words made the model say what it said."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from monitor.commands.opening import settings_of

if TYPE_CHECKING:
    from rich.text import Text

    from models.explanation.explaining import Explanation

# Weights that miss more than this of the probability's change deserve a warning.
_MISSES_MUCH = 0.05
_COLOURS = {"negative": "red", "neutral": "blue", "positive": "green"}


@click.command()
@click.argument("headline")
@click.option("--company", default="", help="Explain the sentiment towards this company, named as in the headline.")
@click.option(
    "--method",
    type=click.Choice(["integrated-gradients", "kernel-shap", "lime"]),
    default="integrated-gradients",
    show_default=True,
    help="How a word's part is measured.",
)
@click.option(
    "--label",
    type=click.Choice(["negative", "neutral", "positive"]),
    help="Explain this label; else the most probable one.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def explain(ctx: click.Context, headline: str, company: str, method: str, label: str | None, as_json: bool) -> None:
    """Show what each word of HEADLINE adds to the probability of its sentiment, and what speaks against it."""
    from models.explanation.explaining import Method
    from models.explanation.explaining import explain as explained
    from models.score import Sentiment
    from models.text import readable
    from monitor.chosen_model import scorer_of
    from monitor.errors import InputUnusable
    from monitor.news.companies import CompanyMatcher
    from monitor.news.own_companies import with_own

    if company and readable(company).lower() not in readable(headline).lower():
        raise InputUnusable(f"the headline does not name {company!r}: give the company by the words of the headline")
    settings = settings_of(ctx)
    scorer = scorer_of(settings.model)
    mentions = CompanyMatcher(with_own(settings.companies)).mentions(headline)
    # A company may stand there by two names ("Alphabet's Google").
    itself = {mention.ticker for mention in mentions if mention.name == company}
    others = {mention.ticker for mention in mentions} - itself
    target = Sentiment(label) if label else None
    told = explained(scorer, headline, company, Method(method), target, alone=not others)
    if as_json:
        click.echo(json.dumps(_values(told, scorer.model), ensure_ascii=False))
        return
    _show(told)


def _values(told: Explanation, model: str) -> dict[str, object]:
    return {
        "label": told.target.value,
        "company": told.company,
        "probability": round(told.probability, 4),
        "without_words": round(told.baseline, 4),
        "words": [{"word": one.word, "weight": round(one.weight, 4)} for one in told.words],
        "delta": round(told.delta, 4),
        "method": told.method.value,
        "model": model,
    }


def _show(told: Explanation) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    if not told.words:
        console.print("There are no words to explain.")
        return
    towards = f" towards {told.company}" if told.company else ""
    console.print(_painted(told))
    console.print(f"{told.target}{towards} {told.probability:.2f}, without any words {told.baseline:.2f}", markup=False)
    for one in sorted(told.words, key=lambda word: -abs(word.weight)):
        console.print(f"  {one.weight:+.3f}  {one.word}", markup=False)
    console.print(f"The words miss {told.delta:+.3f} of the difference ({told.method}).", markup=False)
    if abs(told.delta) > _MISSES_MUCH:
        console.print("That is much: take the weights as a ranking, or try --method kernel-shap.")


def _painted(told: Explanation) -> Text:
    """The headline: reversed in the label's colour what speaks for it, underlined what speaks against it."""
    from rich.text import Text

    most = max(abs(one.weight) for one in told.words) or 1.0
    text = Text()
    for one in told.words:
        share = one.weight / most
        if share >= 0.5:
            style = f"bold reverse {_COLOURS[told.target]}"
        elif share >= 0.15:
            style = f"bold {_COLOURS[told.target]}"
        else:
            style = "underline" if share <= -0.15 else ""
        text.append(one.word, style=style)
        text.append(" ")
    text.rstrip()
    return text
