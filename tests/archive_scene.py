"""A model that costs next to nothing, and headlines by the thousand, for tests and benchmarks of archives."""

from __future__ import annotations

import runpy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import torch

from models.adapters import AdapterSettings, save_adapter
from models.encoder import find_encoder, load_encoder
from models.running.network import Heads
from monitor.feeds.feed import Entry
from monitor.settings import ModelSettings, Settings

SCENE = runpy.run_path(str(Path(__file__).with_name("tiny_model_scene.py")))
OUTLETS = ("Wire", "Herald", "Courier", "Gazette", "Ledger")
BEGINS = datetime(2025, 1, 6, tzinfo=UTC)


def tiny_adapter(folder: Path) -> Path:
    """An encoder of 32 dimensions with heads of random weights: nothing to learn, and labels of every kind."""
    bert = SCENE["tiny_bert"](folder / "bert")
    encoder = find_encoder(str(bert))
    torch.manual_seed(3)
    heads = Heads(32)
    for task in heads.tasks.values():
        # Random heads are indifferent; larger weights make them opinionated.
        *_, last = task.children()
        assert isinstance(last, torch.nn.Linear)
        last.weight.data *= 12
    settings = AdapterSettings(encoder.folder.as_posix(), encoder.name, encoder.sha256, 32)
    save_adapter(folder / "tiny", load_encoder(encoder)[0], heads, settings)
    return folder / "tiny"


def tiny_settings(folder: Path, **more: Any) -> Settings:
    """Settings whose model is `tiny_adapter`, on torch."""
    model = ModelSettings(adapter=tiny_adapter(folder), device="cpu", runtime="torch", precision="fp32")
    return Settings(model=model, **more)


def headlines(rows: int, *, seed: int = 0, apart: timedelta = timedelta(minutes=2)) -> pl.DataFrame:
    """Rows of id, published, outlet, title, link: titles of the tiny model's words, each with a number of its own."""
    subjects, deeds = SCENE["SUBJECTS"], [deed for some in SCENE["DEEDS"].values() for deed in some]
    numbers = range(seed, seed + rows)
    return pl.DataFrame(
        {
            "id": [str(number) for number in numbers],
            "published": [(BEGINS + number * apart).isoformat() for number in numbers],
            "outlet": [OUTLETS[number % len(OUTLETS)] for number in numbers],
            "title": [
                f"{subjects[number % 7].capitalize()} {deeds[number // 7 % 9]} "
                f"{('inflation', 'profit', 'oil')[number // 63 % 3]} case {number}"
                for number in numbers
            ],
            "link": [f"https://www.example.com/news/{number}" for number in numbers],
        }
    )


def entry(title: str, at: datetime, number: int) -> Entry:
    """A headline out of a feed."""
    return Entry("wire", "wire", "en", f"guid-{number}", "", title, "", at, at)


def plain(settings: Settings) -> str:
    """The settings as a TOML file that a process reads."""
    model = asdict_of(settings.model)
    return "[model]\n" + "".join(f'{name} = "{value}"\n' for name, value in model.items())


def asdict_of(model: ModelSettings) -> dict[str, str]:
    told = model.model_dump(mode="json", include={"adapter", "device", "runtime", "precision"})
    return {name: str(value) for name, value in told.items()}
