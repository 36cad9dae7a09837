"""The model card, written from measured figures.

takes  an adapter's settings and its metrics
gives  Markdown
never  states a figure that is not in the metrics
"""

from __future__ import annotations

from typing import Any

from models.adapters import AdapterSettings

_ABOUT = {
    "sentfin": "SEntFiN 1.0, rows with one label (MIT): test part, split by near-duplicate group",
    "tfns": "Twitter Financial News Sentiment (MIT): test part, split by near-duplicate group",
    "tfnt": "Twitter Financial News Topic (MIT): test part, split by near-duplicate group",
    "fpb_50Agree": "Financial PhraseBank, 50 % agreement (CC BY-NC-SA): evaluation only, never trained on",
}


def card(settings: AdapterSettings, metrics: dict[str, Any]) -> str:
    """The README of an adapter folder."""
    rows = [
        f"| {_ABOUT.get(source, source)} | {m['n']} | {m['accuracy']:.3f} | {m['macro_f1']:.3f} "
        f"| {_recall(m['recall'])} | {m['ece']:.3f} |"
        for source, m in sorted(metrics["test"].items())
    ]
    topics = metrics["test"].get("tfnt", {}).get("f1", {})
    lines = [
        f"# {metrics['model']}",
        "",
        f"LoRA adapter and two heads (sentiment, topic) upon {settings.encoder_name} for English financial headlines.",
        "",
        "| measured on | n | accuracy | macro-F1 | negative recall | calibration error (ECE) |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
    ]
    if topics:
        lines += [
            "| topic | F1 |",
            "|---|---|",
            *(f"| {name.replace('|', '/')} | {f1:.2f} |" for name, f1 in topics.items()),
            "",
        ]
    lines += [
        "## Data",
        "",
        "Trained on SEntFiN 1.0 (Sinha, Kedas, Kumar and Malo 2021, arXiv 2305.12257), Twitter Financial News",
        "Sentiment and Twitter Financial News Topic, all MIT. Near-duplicate groups never cross parts. Probabilities",
        f"are divided by a temperature fitted on validation data (sentiment {settings.sentiment_temperature:.2f}, "
        f"topic {settings.topic_temperature:.2f}).",
        *_taught(metrics["recipe"]),
        "",
        "## Limits",
        "",
        "English headlines of up to a few dozen words. Trained on tweets and the Indian business press: expect lower",
        "accuracy on other houses' style. One tone per headline: where several companies fare differently, the tone is",
        "that of the whole. Rare topics rest on few examples; see their F1.",
        "",
    ]
    return "\n".join(lines)


def _taught(recipe: dict[str, Any]) -> list[str]:
    if not recipe["teacher"]:
        return []
    return [
        "",
        f"Beside the labels it learned the sentiment that a larger model (`{recipe['teacher']}`, of the same data)",
        f"gives to every training text, with a weight of {recipe['teacher_weight']}.",
    ]


def _recall(recall: dict[str, float]) -> str:
    """Of the negative class; a set of topics has none."""
    return f"{recall['negative']:.3f}" if "negative" in recall else "–"
