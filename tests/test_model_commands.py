"""The commands around a model, as people type them: train, evaluate, label, compare, promote, roll back, rescore."""

from __future__ import annotations

import json
import runpy
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner, Result

from models.adapters import find_adapter
from models.data.datasets import CLASSES
from models.library import Library
from models.training.recipes import Recipe
from models.training.train import train
from monitor.chosen_model import embedder_for, scorer_of
from monitor.cli import squall
from monitor.feeds.feed import Entry
from monitor.news.companies import CompanyMatcher
from monitor.news.headlines import headline
from monitor.service.scoring import Scoring
from monitor.settings import ModelSettings
from monitor.storage.store import Batch, Store

SCENE = runpy.run_path(str(Path(__file__).with_name("tiny_model_scene.py")))
NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """Commands send the log of this process to the standard error of the moment, which ends with the test."""
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings file of the developer is found."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    encoder: Path = SCENE["tiny_bert"](tmp_path_factory.mktemp("encoder") / "tiny-bert")
    chosen: Recipe = replace(SCENE["TEACHES"], encoder=str(encoder))
    return chosen


@pytest.fixture(scope="module")
def good(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapters") / "good"
    train(recipe, SCENE["labelled"](), folder, lambda line: None)
    return folder


@pytest.fixture(scope="module")
def poor(recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained for one step of next to nothing."""
    folder = tmp_path_factory.mktemp("adapters") / "poor"
    train(replace(recipe, epochs=1, lora_rate=1e-9, heads_rate=1e-9), SCENE["labelled"](), folder, lambda line: None)
    return folder


def command(*arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(squall, list(arguments), input=typed)


def settings(tmp_path: Path, adapter: Path | None = None) -> None:
    named = f"adapter = {json.dumps(str(adapter))}\n" if adapter else ""
    (tmp_path / "squall.toml").write_text(f'[model]\nlibrary = "library"\n{named}[store]\npath = "store.duckdb"\n')


def labels(tmp_path: Path) -> Path:
    """Verdicts on more texts than the model was trained on; some of them are kept to measure."""
    file = tmp_path / "labels.jsonl"
    rows = [
        {"text": f"{subject} {deed} {number}", "task": "sentiment", "label": label}
        for number in range(6)
        for subject in SCENE["SUBJECTS"]
        for label, deeds in SCENE["DEEDS"].items()
        for deed in deeds
    ]
    file.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return file


def test_evaluate_companies(tmp_path: Path) -> None:
    rows = [
        {"text": "Harrow Bank collapses while Lumen Foods soars", "entities": {"Harrow Bank": "negative"}},
        {"text": "Lumen Foods profit jumps", "entities": {"Lumen Foods": "positive"}},
    ]
    (tmp_path / "companies.jsonl").write_text("\n".join(map(json.dumps, rows)))
    told = command("evaluate", "--data", "companies.jsonl", "--task", "company", "--json")
    assert told.exit_code == 0, told.output
    figures = json.loads(told.stdout)
    assert figures["n"] == 2
    assert figures["accuracy"] == 1.0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"text": "a"}', "line 1: expected text and entities"),
        ("no json", "line 1: expected text and entities"),
        ('{"text": "a", "entities": {"b": "bad"}}', "unknown company label 'bad'"),
        ("", "has no rows"),
    ],
)
def test_evaluate_companies_says_what_is_wrong(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "companies.jsonl").write_text(content)
    told = command("evaluate", "--data", "companies.jsonl", "--task", "company")
    assert told.exit_code != 0
    assert words in str(told.exception)


def test_a_task_that_the_model_has_not_learned_is_named(tmp_path: Path, recipe: Recipe) -> None:
    only = replace(recipe, epochs=1, tasks=("sentiment", "topic"))
    train(only, SCENE["labelled"](), tmp_path / "narrow", lambda line: None)
    settings(tmp_path, tmp_path / "narrow")
    (tmp_path / "companies.jsonl").write_text('{"text": "a b", "entities": {"b": "neutral"}}')
    told = command("evaluate", "--data", "companies.jsonl", "--task", "company")
    assert "has not learned the task company, only sentiment, topic" in str(told.exception)


def test_promote_takes_the_better_and_refuses_the_worse(tmp_path: Path, good: Path, poor: Path) -> None:
    settings(tmp_path)
    file = labels(tmp_path)
    # The shipped model is the champion, and knows nothing of this language of one-word deeds: any margin lets it go.
    promoted = command("models", "promote", str(poor), "--labels", str(file), "--margin", "1")
    assert promoted.exit_code == 0, promoted.output
    better = command("models", "promote", str(good), "--labels", str(file))
    assert better.exit_code == 0, better.output
    assert f"{find_adapter(good).model} is the champion" in better.stdout
    worse = command("models", "promote", str(poor), "--labels", str(file))
    assert worse.exit_code == 1
    assert "refused: macro-F1 drops on labels_sentiment" in worse.stderr
    listed = json.loads(command("models", "list", "--json").stdout)
    assert [row["model"] for row in listed if row["scores"]] == [find_adapter(good).model]
    assert "is the champion again" in command("models", "rollback").stdout
    listed = json.loads(command("models", "list", "--json").stdout)
    assert [row["model"] for row in listed if row["scores"]] == [find_adapter(poor).model]


@pytest.mark.parametrize("words", [("promote", "runs/mine"), ("rollback",)])
def test_no_champion_is_chosen_where_the_settings_name_who_scores(tmp_path: Path, words: tuple[str, ...]) -> None:
    settings(tmp_path, Path("accurate"))
    told = command("models", *words)
    assert told.exit_code == 2
    assert "model.adapter in the settings names the model that scores" in told.stderr


def test_a_damaged_champion_is_listed_with_what_is_wrong_and_all_others_too(tmp_path: Path, good: Path) -> None:
    settings(tmp_path)
    library = Library(Path("library"))
    home = library.promote(find_adapter(good)).folder
    (home / "heads.safetensors").unlink()
    told = command("models", "list", "--json")
    assert (told.exit_code, told.exception.__class__) == (1, SystemExit)
    rows = json.loads(told.stdout)
    assert [row["model"] for row in rows if not row["fault"]] == [one.model for one in library.adapters() if one.model]
    (champion,) = (row for row in rows if row["scores"])
    assert champion["folder"] == str(home)
    assert "lacks heads.safetensors" in champion["fault"]
    assert "`squall models rollback`" in champion["fault"]
    words = command("models", "list").stdout
    assert "* unusable" in words
    assert find_adapter().model in words
    shutil.rmtree(home)
    (champion,) = (row for row in json.loads(command("models", "list", "--json").stdout) if row["scores"])
    assert "no longer in" in champion["fault"]
    (library.folder / "champion.json").write_text("")
    told = command("models", "list")
    assert (told.exit_code, find_adapter().model in told.stdout) == (1, True)
    assert "which one scores is not known" in told.stderr
    assert "remove it to go back to the shipped one" in told.stderr


def test_compare_shows_both_and_needs_sets(tmp_path: Path, good: Path) -> None:
    settings(tmp_path)
    file = labels(tmp_path)
    shown = command("models", "compare", str(good), "--labels", str(file), "--json")
    figures = json.loads(shown.stdout)
    assert list(figures) == [find_adapter().model, find_adapter(good).model]
    assert figures[find_adapter(good).model]["labels_sentiment"]["accuracy"] > 0.6
    assert "name the frozen sets" in command("models", "compare", str(good)).output


def test_a_challenger_runs_as_the_settings_say(
    tmp_path: Path, good: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By torch where that is asked for, and upon the encoder's folder where the hub cannot be reached."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shutil.copytree(good, tmp_path / "away")
    named = json.loads((good / "squall.json").read_text()) | {"encoder": "squall-tests/not-on-any-hub"}
    (tmp_path / "away" / "squall.json").write_text(json.dumps(named))
    values = {"library": "library", "runtime": "torch", "encoder": recipe.encoder}
    (tmp_path / "squall.toml").write_text("[model]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in values.items()))
    shown = command("models", "compare", "away", "--labels", str(labels(tmp_path)), "--json")
    # The champion is the shipped one, of another encoder.
    assert list(json.loads(shown.stdout)) == [find_adapter().model, find_adapter(tmp_path / "away").model]
    assert not (tmp_path / "cache").exists()


def test_what_embeds_runs_as_the_model_does(tmp_path: Path, good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    scorer = scorer_of(ModelSettings(adapter=good, runtime="torch"))
    embedder = embedder_for(scorer)
    assert embedder.adapter == find_adapter()
    assert embedder.runtime.startswith("torch")
    assert not (tmp_path / "cache").exists()


def test_a_model_named_in_the_settings_is_not_promoted_over(tmp_path: Path, good: Path, poor: Path) -> None:
    settings(tmp_path, good)
    told = command("models", "promote", str(poor), "--labels", str(labels(tmp_path)))
    assert told.exit_code == 2
    assert "model.adapter in the settings" in told.output


def test_label_takes_down_what_is_typed_and_asks_for_nothing_twice(tmp_path: Path) -> None:
    settings(tmp_path)
    (tmp_path / "titles.txt").write_text("Bank collapses\nMeeting on Monday\nProfit soars\n")
    told = command("label", "titles.txt", "--any", typed="n\ns\np\n")
    assert told.exit_code == 0, told.output
    assert "2 labels added to" in told.stdout
    given = [json.loads(line) for line in (tmp_path / "data" / "labels.jsonl").read_text().splitlines()]
    assert [(one["text"], one["label"]) for one in given] == [
        ("Bank collapses", "negative"),
        ("Profit soars", "positive"),
    ]
    again = command("label", "titles.txt", "--any", typed="o\n")
    assert "1/1  Meeting on Monday" in again.stdout
    # The least sure first, by the model's own word.
    assert "0 labels added" in command("label", "titles.txt").stdout


def test_label_asks_for_what_the_store_holds(tmp_path: Path) -> None:
    settings(tmp_path)
    now = datetime.now(UTC)
    entry = Entry("f", "p", "en", "1", "https://example.org/1", "Bank collapses", "", now, now)
    one = headline(entry, now, first_fetch=False, companies=CompanyMatcher())
    with Store.open(tmp_path / "store.duckdb", now) as store:
        store.append(Batch((), [one], Scoring(ModelSettings(), ()).score_all([one])), now)
    told = command("label", "--any", typed="n\n")
    assert told.exit_code == 0, told.output
    assert "1 labels added" in told.stdout
    (day,) = json.loads(command("models", "drift", "--json").stdout)
    assert (day["headlines"], day["negative"], day["model"]) == (1, 1.0, find_adapter().model)
    assert day["confidence"] > 0.5
    assert find_adapter().model in command("models", "drift").stdout


def test_train_needs_something_to_learn_from() -> None:
    told = command("train")
    assert told.exit_code == 2
    assert "--continue ADAPTER with --labels FILE" in told.output


def test_going_on_with_own_labels_from_the_command_line(
    tmp_path: Path, good: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = labels(tmp_path)
    fields = {"epochs": 1, "figures": 0, "batch_texts": 32}
    lines = [f"{name} = {json.dumps(value)}" for name, value in fields.items()]
    (tmp_path / "recipe.toml").write_text("\n".join(lines))
    (tmp_path / "next").mkdir()
    monkeypatch.chdir(tmp_path / "next")
    told = command(
        "train",
        "--continue",
        str(good),
        "--labels",
        str(file),
        "--recipe",
        "../recipe.toml",
        "--left-out",
        "1/2",
        "--out",
        ".",
    )
    assert told.exit_code == 0, f"{told.output} {told.exception}"
    assert "squall models promote" in told.stdout
    metrics = json.loads((tmp_path / "next" / "metrics.json").read_text())
    assert metrics["test"]["labels_sentiment"]["n"] > 0
    assert metrics["recipe"]["start"] == "good"
    assert metrics["recipe"]["left_out"] == "1/2"
    # The file says nothing of these: they are what going on promises.
    assert metrics["recipe"]["teachers"] == ["good"]
    assert metrics["recipe"]["lora_rate"] == Recipe().lora_rate / 8
    assert metrics["recipe"]["rank"] == recipe.rank
    assert (metrics["recipe"]["epochs"], metrics["recipe"]["batch_texts"]) == (1, 32)


def test_labels_that_are_not_there_stop_training_and_promotion(tmp_path: Path, good: Path) -> None:
    """A slip in the name of one file is not `no labels`, whatever else was named."""
    settings(tmp_path)
    both = ("--labels", str(labels(tmp_path)), "--labels", "lables.jsonl")
    for arguments in (
        ("train", "--continue", str(good), "--out", "next", *both),
        ("models", "promote", str(good), "--margin", "1", *both),
        ("models", "compare", str(good), *both),
    ):
        told = command(*arguments)
        assert told.exit_code != 0
        assert "there is no file lables.jsonl" in str(told.exception)
    assert not (tmp_path / "next").exists()
    assert not (tmp_path / "library").exists()


@pytest.mark.parametrize("margin", ["-0.01", "nan", "1.5"])
def test_a_margin_that_is_none_is_refused_before_anything_is_measured(tmp_path: Path, margin: str) -> None:
    settings(tmp_path)
    told = command("models", "promote", "nobody", "--labels", "nothing.jsonl", "--margin", margin)
    assert told.exit_code == 2
    assert "not in the range 0<=x<=1" in told.output


def test_unlabelled_headlines_need_a_teacher(tmp_path: Path) -> None:
    (tmp_path / "titles.txt").write_text("Bank collapses\n")
    told = command("train", "--data", str(tmp_path), "--unlabelled", "titles.txt")
    assert told.exit_code == 2
    assert "--unlabelled needs a recipe with teachers" in told.output


def test_rescore_brings_history_to_the_present_model(tmp_path: Path, good: Path, poor: Path) -> None:
    settings(tmp_path, poor)
    titles = [
        f"{subject} {deed}" for subject in SCENE["SUBJECTS"] for deeds in SCENE["DEEDS"].values() for deed in deeds
    ]
    matcher = CompanyMatcher()
    entries = [
        Entry("f", "p", "en", str(n), f"https://example.org/{n}", title, "", NOW - timedelta(minutes=n), NOW)
        for n, title in enumerate(titles)
    ]
    headlines = [headline(entry, NOW, first_fetch=False, companies=matcher) for entry in entries]
    with Store.open(tmp_path / "store.duckdb", NOW) as store:
        scores = Scoring(ModelSettings(adapter=poor), ()).score_all(headlines)
        store.append(Batch((), headlines, scores), NOW)
    settings(tmp_path, good)
    told = command("rescore")
    assert told.exit_code == 0, f"{told.output} {told.exception}"
    model = find_adapter(good).model
    assert f"{len(titles)} headlines scored again by {model}" in told.stdout
    with Store.open(tmp_path / "store.duckdb", NOW) as store:
        assert store.outdated(model, 10) == []
        assert store.rollup_faults().is_empty()
    assert "0 headlines scored again" in command("rescore").stdout


def test_a_promotion_is_taken_up_without_a_restart(tmp_path: Path, good: Path, poor: Path) -> None:
    from models.library import Library

    library = Library(tmp_path / "library")
    library.promote(find_adapter(poor))
    scoring = Scoring(ModelSettings(library=tmp_path / "library"), ())
    entry = Entry("f", "p", "en", "1", "https://example.org/1", "bank collapses", "", NOW, NOW)
    one = headline(entry, NOW, first_fetch=False, companies=CompanyMatcher())
    assert scoring.score([one], NOW)[one.id].score.model == find_adapter(poor).model
    library.promote(find_adapter(good))
    scored = scoring.score([one], NOW)[one.id].score
    assert scored.model == find_adapter(good).model
    assert CLASSES["sentiment"].index(scored.sentiment) == 0
