"""The model card, written from measured figures.

takes  an adapter's settings and its metrics
gives  Markdown
never  states a figure that is not in the metrics
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from models.adapters import AdapterSettings

_ABOUT = {
    "sentfin": "SEntFiN 1.0, rows with one label (MIT): test part, split by near-duplicate group",
    "sentfin_companies": "SEntFiN 1.0, each company or asset named (MIT): test part, split by near-duplicate group",
    "tfns": "Twitter Financial News Sentiment (MIT): test part, split by near-duplicate group",
    "tfnt": "Twitter Financial News Topic (MIT): test part, split by near-duplicate group",
    "fpb_50Agree": "Financial PhraseBank, 50 % agreement (CC BY-NC-SA): evaluation only, never trained on",
}
_WORDS = {
    "clean": "as published",
    "one_slip": "one slip of the keyboard",
    "three_slips": "three slips",
    "upper_case": "upper case",
    "reworded": "reworded",
}
_LARGEST = 5
_PUBLIC = {"sentfin", "sentfin_companies", "tfns", "tfnt"}


def card(settings: AdapterSettings, metrics: Mapping[str, Any]) -> str:
    """The README of an adapter folder."""
    test = metrics["test"]
    # Metrics that do not tell are of the public sets.
    texts = metrics.get("texts", dict.fromkeys(_PUBLIC, 0))
    tasks = ", ".join(metrics.get("tasks", ("sentiment", "topic")))
    lines = [
        f"# {metrics['model']}",
        "",
        f"Adapter and heads ({tasks}) upon {settings.encoder_name} for English financial headlines.",
        "",
        *_table(
            ("measured on", "n", "accuracy", "macro-F1", "negative recall", "calibration error (ECE)"),
            (
                (
                    _ABOUT.get(source, source),
                    m["n"],
                    f"{m['accuracy']:.3f}",
                    f"{m['macro_f1']:.3f}",
                    f"{m['recall']['negative']:.3f}" if "negative" in m["recall"] else "–",
                    f"{m['ece']:.3f}",
                )
                for source, m in sorted(test.items())
            ),
        ),
        *_topics(test),
        *_trust(settings, metrics),
        "## Data",
        "",
        *_texts(texts),
        *_data(settings, metrics["recipe"], alike=texts.keys() >= _PUBLIC),
        "## Limits",
        "",
        "English headlines of up to a few dozen words. Trained on tweets and the Indian business press: expect lower",
        "accuracy on other houses' style. The tone of a headline is that of the whole; ask for a company where several",
        "are named. Rare topics rest on few examples; see their F1.",
        "",
    ]
    return "\n".join(lines)


def _topics(test: Mapping[str, Any]) -> list[str]:
    f1 = test.get("tfnt", {}).get("f1", {})
    if not f1:
        return []
    return _table(("topic", "F1"), ((name.replace("|", "/"), f"{value:.2f}") for name, value in f1.items()))


def _trust(settings: AdapterSettings, metrics: Mapping[str, Any]) -> list[str]:
    lines = ["## Trust", ""] if "behaviours" in metrics or metrics.get("abstention") else []
    if metrics.get("abstention"):
        lines += [
            f"A sentiment less probable than {settings.abstain_below:.2f} is an abstention (below it, predictions on",
            "validation data are right less than half the time).",
            "",
            *_table(
                ("set", "covered", "accuracy where covered"),
                (
                    (name, f"{one['covered']:.3f}", f"{one['accuracy']:.3f}")
                    for name, one in sorted(metrics["abstention"].items())
                ),
            ),
            "Accuracy on the same rows, changed:",
            "",
            *_table(
                ("set", *_WORDS.values()),
                ((name, *(f"{one[key]:.3f}" for key in _WORDS)) for name, one in sorted(metrics["robustness"].items())),
            ),
        ]
    if "behaviours" in metrics:
        lines += [
            "Behaviour tests (models/trust/behaviours.toml), none of them trained on:",
            "",
            *_table(
                ("category", "tests", "passed"),
                (
                    (name, one["tests"], f"{one['passed'] / one['tests']:.0%}")
                    for name, one in sorted(metrics["behaviours"].items())
                ),
            ),
            "Largest shifts of the probability of negative when nothing but a name changes:",
            "",
            *_table(
                ("sentence", "least negative", "most negative", "shift"),
                (
                    (gap["frame"], gap["least"], gap["most"], f"{gap['shift']:.2f}")
                    for gap in metrics["bias"][:_LARGEST]
                ),
            ),
        ]
    return lines


def _of_one_alone(settings: AdapterSettings) -> list[str]:
    if not settings.headline_share:
        return []
    return [
        f"What is said of a company that a headline names alone is to {settings.headline_share:.0%} the headline's own",
        "sentiment.",
    ]


def _texts(texts: Mapping[str, int]) -> list[str]:
    """Whose texts it was trained on, from its training rows by source."""
    lines = []
    if _PUBLIC & texts.keys():
        lines += [
            "Trained on SEntFiN 1.0 (Sinha, Kedas, Kumar and Malo 2021, arXiv 2305.12257), Twitter Financial News",
            "Sentiment and Twitter Financial News Topic, all MIT. Near-duplicate groups never cross parts.",
        ]
    if own := {source: rows for source, rows in texts.items() if source not in _PUBLIC}:
        rows = ", ".join(f"{rows} rows of `{source}`" for source, rows in sorted(own.items()))
        lines.append(f"Trained on texts of whoever trained it: {rows}.")
    return lines


def _data(settings: AdapterSettings, recipe: Mapping[str, Any], *, alike: bool) -> list[str]:
    """How it was trained; `alike` when those that it went on from, or learned from, are of the public sets too."""
    lines = [
        "Probabilities are divided by a temperature fitted on validation data (sentiment",
        f"{settings.sentiment_temperature:.2f}, topic {settings.topic_temperature:.2f}, company"
        f" {settings.company_temperature:.2f}).",
        *_of_one_alone(settings),
        "",
    ]
    if recipe.get("figures"):
        lines += [
            f"{recipe['figures']} sentences of figures that rise, fall or stand were made by a grammar",
            "(models/data/augmentation.py).",
            "",
        ]
    if recipe.get("announcements") or recipe.get("rivals"):
        lines += [
            f"{recipe['announcements']} sentences such as companies publish about themselves, and {recipe['rivals']}",
            "headlines about two companies, each asked about, were made by another (models/data/announcements.py).",
            "",
        ]
    if recipe.get("reworded"):
        lines += [
            f"Variants of training texts with some words replaced ({', '.join(recipe['reworded'])} per text) were",
            "judged by its teachers alone (models/data/rewording.py).",
            "",
        ]
    if recipe.get("start"):
        learned = "which learned from the same data" if alike else "whose own card says what that learned from"
        lines += [f"It went on from `{recipe['start']}`, {learned}.", ""]
    # Before there could be several teachers, a recipe named one.
    if teachers := recipe.get("teachers") or list(filter(None, [recipe.get("teacher")])):
        same = ", same data" if alike else ""
        who = "the opinion of a larger model" if len(teachers) == 1 else f"the mean opinion of {len(teachers)} models"
        lines += [
            f"Beside the labels it learned {who} ({', '.join(f'`{name}`' for name in teachers)}{same}), with",
            f"a weight of {recipe['teacher_weight']}, on every training text and on unlabelled headlines.",
            "",
        ]
    return lines


def _table(head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> list[str]:
    return [
        f"| {' | '.join(head)} |",
        "|" + "---|" * len(head),
        *(f"| {' | '.join(str(cell) for cell in row)} |" for row in rows),
        "",
    ]
