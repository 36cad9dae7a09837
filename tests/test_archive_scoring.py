"""Archives scored here: a row for every row, a reason for every failure, and nothing done twice."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from models.errors import ModelError
from models.score import Score
from monitor.archives.judging import DaemonsJudge, Judged
from monitor.archives.opinions import OPINIONS
from monitor.archives.parts import parts_of
from monitor.archives.places import Place, files_of
from monitor.archives.ray_cluster import Shape, carried, shape_of
from monitor.archives.run import Summary, Wanted, score_archive
from monitor.archives.scoring import score_part
from monitor.archives.slices import Archive
from monitor.backtesting.backtest import backtest, read_history
from monitor.chosen_model import scorer_of
from monitor.cli import squall
from monitor.errors import InputUnusable
from monitor.news.companies import CompanyMatcher
from monitor.news.files import scored_frame
from monitor.news.headlines import Headline, headline
from monitor.series import Scored
from monitor.service.scoring import Scoring
from monitor.settings import ModelSettings, Settings
from monitor.watched import watched_themes

SCENE = runpy.run_path(str(Path(__file__).with_name("archive_scene.py")))
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("model")
    made: Settings = SCENE["tiny_settings"](folder)
    (folder / "squall.toml").write_text(SCENE["plain"](made))
    return made


def scored(settings: Settings, out: Path, *paths: Path, **more: object) -> Summary:
    asked = {"lean": True, "part_rows": 100, **more}
    return score_archive(Wanted(tuple(map(str, paths)), str(out), **asked), settings, lambda: NOW)  # type: ignore[arg-type]  # options by name


def read(out: Path) -> pl.DataFrame:
    return pl.concat([pl.read_parquet(path) for path in sorted(out.glob("part-*.parquet"))])


def test_every_row_comes_back_once_in_its_place(settings: Settings, tmp_path: Path) -> None:
    frame = SCENE["headlines"](470)
    frame.head(200).write_csv(tmp_path / "a.csv")
    frame.slice(200, 150).write_ndjson(tmp_path / "b.jsonl")
    frame.tail(120).write_parquet(tmp_path / "c.parquet", row_group_size=70)
    found = scored(settings, tmp_path / "out", *(tmp_path / name for name in ("a.csv", "b.jsonl", "c.parquet")))
    assert (found.rows, found.failed, found.kept, found.parts) == (470, 0, 0, 6)
    back = read(tmp_path / "out")
    assert back["id"].to_list() == frame["id"].to_list()
    assert back.columns == [*frame.columns, *OPINIONS]
    assert set(back["model"]) == {found.model}
    # As `squall score FILE` has it, which rounds.
    alone = scored_frame(frame, scorer_of(settings.model).score(frame["title"].to_list()))
    assert back["sentiment"].equals(alone["sentiment"])
    assert (back["negative"].cast(pl.Float64) - alone["negative"]).abs().max() < 1e-3  # type: ignore[operator]  # a number
    assert back["topics"].equals(alone["topics"])
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["order"]["model"] == found.model
    assert manifest["done"] == {"rows": 470, "failed": 0, "engine": "local", "finished_at": "2026-03-10T12:00:00+00:00"}


def test_what_is_done_is_not_done_again(settings: Settings, tmp_path: Path) -> None:
    SCENE["headlines"](350).write_csv(tmp_path / "a.csv")
    out = tmp_path / "out"
    scored(settings, out, tmp_path / "a.csv")
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("part-*")}
    content = read(out)
    lost = out / "part-000001.parquet"
    lost.unlink()
    # What a killed run leaves beside the parts is no part.
    (out / "part-000001.parquet.0123.new").write_bytes(b"half")
    assert scored(settings, out, tmp_path / "a.csv").kept == 250
    assert read(out).equals(content)
    changed = {path.name for path in out.glob("part-*.parquet") if before[path.name] != path.stat().st_mtime_ns}
    assert changed == {lost.name}
    assert scored(settings, out, tmp_path / "a.csv").kept == 350


def test_it_goes_on_from_another_folder_and_beside_its_own_results(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "news").mkdir()
    SCENE["headlines"](350).write_csv(tmp_path / "news" / "a.csv")
    monkeypatch.chdir(tmp_path / "work")
    out = tmp_path / "news" / "scored"
    scored(settings, Path("../news/scored"), Path("../news"))
    (out / "part-000001.parquet").unlink()
    (tmp_path / "link").symlink_to(tmp_path / "news")
    assert scored(settings, out, tmp_path / "news").kept == 250
    assert scored(settings, tmp_path / "link" / "scored", tmp_path / "news").kept == 350
    with pytest.raises(InputUnusable, match=r"lies in .*, the folder of the results: name another"):
        scored(settings, tmp_path / "news", tmp_path / "news" / "a.csv")


def test_a_failure_that_did_not_come_again_is_none(settings: Settings, tmp_path: Path) -> None:
    """A run that was killed after the side file and before the part."""
    SCENE["headlines"](20).write_csv(tmp_path / "a.csv")
    out = tmp_path / "out"
    scored(settings, out, tmp_path / "a.csv")
    (out / "part-000000.parquet").unlink()
    (out / "failed").mkdir()
    (out / "failed" / "part-000000.jsonl").write_text('{"row": 3}\n')
    assert scored(settings, out, tmp_path / "a.csv").failed == 0


def test_a_folder_holds_one_archive_of_one_model(settings: Settings, tmp_path: Path) -> None:
    SCENE["headlines"](20).write_csv(tmp_path / "a.csv")
    out = tmp_path / "out"
    scored(settings, out, tmp_path / "a.csv")
    other: Settings = SCENE["tiny_settings"](tmp_path / "other")
    heads = Path(str(other.model.adapter)) / "squall.json"
    heads.write_text(heads.read_text().replace('"topic_threshold": 0.3', '"topic_threshold": 0.2'))
    with pytest.raises(InputUnusable, match=r"scored otherwise \(model changed\)"):
        scored(other, out, tmp_path / "a.csv")
    with pytest.raises(InputUnusable, match="part_rows changed"):
        scored(settings, out, tmp_path / "a.csv", part_rows=7)
    SCENE["headlines"](21).write_csv(tmp_path / "a.csv")
    with pytest.raises(InputUnusable, match="files changed"):
        scored(settings, out, tmp_path / "a.csv")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letters.txt").touch()
    with pytest.raises(InputUnusable, match="holds other files"):
        scored(settings, tmp_path / "mine", tmp_path / "a.csv")


def test_broken_rows_stand_in_their_place_and_beside_with_the_reason(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": "1", "title": "Bank soars"}\nnot json\n{"id": "3", "title": ""}\n')
    found = scored(settings, tmp_path / "out", tmp_path / "a.jsonl", part_rows=2)
    assert (found.rows, found.failed) == (3, 1)
    rows = [row for path in sorted((tmp_path / "out").glob("*.parquet")) for row in pl.read_parquet(path).to_dicts()]
    assert [row["id"] for row in rows] == ["1", None, "3"]
    assert [row["sentiment"] is None for row in rows] == [False, True, False]
    assert rows[2]["abstention"] == "empty_text"
    (line,) = (tmp_path / "out" / "failed" / "part-000000.jsonl").read_text().splitlines()
    told = json.loads(line)
    assert (told["row"], told["text"]) == (1, "not json")
    assert told["reason"].startswith("no JSON")
    assert told["source"].endswith("a.jsonl")


class Fussy:
    """A judge that fails on whole batches because of single texts, as libraries do."""

    model = "fussy-1"

    def __init__(self) -> None:
        self.asked = 0

    def judge(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> list[Judged]:
        self.asked += 1
        if any("poison" in text for text in texts):
            raise IndexError("index 7 is out of range")
        return [Judged(Scored(Score(0.2, 0.3, 0.5, (), self.model)), {}) for _ in texts]


def test_one_bad_headline_costs_no_other(tmp_path: Path) -> None:
    titles = [f"t{number}" for number in range(64)]
    titles[13] = "a poison pill"
    pl.DataFrame({"title": titles}).write_parquet(tmp_path / "a.parquet")
    (part,) = parts_of(files_of([str(tmp_path / "a.parquet")]))
    judge = Fussy()
    receipt = score_part(part, judge, Place(str(tmp_path / "out")))
    assert (receipt.rows, receipt.failed) == (64, 1)
    assert judge.asked < 16
    back = pl.read_parquet(tmp_path / "out" / "part-000000.parquet")
    assert back["title"].to_list() == titles
    assert back.filter(pl.col("sentiment").is_null())["title"].to_list() == ["a poison pill"]
    assert '"index 7 is out of range"' in (tmp_path / "out" / "failed" / "part-000000.jsonl").read_text()


def test_a_broken_model_is_no_broken_rows(tmp_path: Path) -> None:
    pl.DataFrame({"title": ["poison"] * 9}).write_parquet(tmp_path / "a.parquet")
    (part,) = parts_of(files_of([str(tmp_path / "a.parquet")]))
    with pytest.raises(ModelError, match="fails on 9 of 9 headlines: index 7"):
        score_part(part, Fussy(), Place(str(tmp_path / "out")))
    assert Place(str(tmp_path / "out")).listed() == []


def test_the_judge_is_the_daemons(settings: Settings) -> None:
    """Themes, companies and figures are those that the daemon's own stage gives the same headlines."""
    titles = ["Bank collapses as UBS and Boeing warn of fraud", "Maker soars", "", "<b>JPMorgan</b> &amp; oil"]
    matcher = CompanyMatcher()
    made: list[Headline] = []
    for number, title in enumerate(titles):
        entry = SCENE["entry"](title, NOW, number)
        made.append(headline(entry, NOW, first_fetch=False, companies=matcher))
    expected = Scoring(settings.model, watched_themes(settings), companies=matcher).score_all(made)
    judged = DaemonsJudge(settings).judge(titles)
    for one, told in zip(made, judged, strict=True):
        assert told.scored.themes == expected[one.id].themes
        assert tuple(told.named) == one.companies
        assert [ticker for ticker, _ in told.scored.towards] == [ticker for ticker, _ in expected[one.id].towards]
        assert told.scored.score.negative == pytest.approx(expected[one.id].score.negative, abs=1e-4)
    assert [ticker for ticker, _ in judged[0].scored.towards] == ["UBS", "BA"]


def test_a_backtest_reads_what_was_scored(settings: Settings, tmp_path: Path) -> None:
    """The same report from the CSV, scored on the way, and from the archive, which is not scored again."""
    SCENE["headlines"](120, apart=SCENE["timedelta"](minutes=20)).write_csv(tmp_path / "a.csv")
    score_archive(Wanted((str(tmp_path / "a.csv"),), str(tmp_path / "out")), settings, lambda: NOW)
    told = backtest(tmp_path / "out", settings, None)
    expected = backtest(tmp_path / "a.csv", settings, None)
    assert told.headlines == 120
    assert told.model == expected.model
    assert (told.stories, told.since, told.until) == (expected.stories, expected.since, expected.until)
    assert told.as_dict() == expected.as_dict()
    assert len(read_history(tmp_path / "a.csv")) == 120


def test_one_damaged_line_costs_its_own_row_alone(settings: Settings, tmp_path: Path) -> None:
    """Also where its part holds no other row, whose columns it could share."""
    SCENE["headlines"](20).write_ndjson(tmp_path / "a.jsonl")
    with (tmp_path / "a.jsonl").open("a") as file:
        file.write('{"id": "20", "published": "2025-01-06T')
    found = scored(settings, tmp_path / "out", tmp_path / "a.jsonl", part_rows=20)
    assert (found.rows, found.failed, found.parts) == (21, 1, 2)
    archive = Archive(str(tmp_path / "out"))
    assert (archive.rows, archive.failed, archive.undated) == (21, 1, 0)
    assert backtest(tmp_path / "out", settings, None).headlines == 20


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_single_file_that_is_not_utf8_is_refused_with_the_way_out(tmp_path: Path, name: str) -> None:
    content = {"a.csv": "id,title\n1,“Café”\n", "a.jsonl": '{"id": 1, "title": "“Café”"}\n'}
    (tmp_path / name).write_bytes(content[name].encode("cp1252"))
    result = CliRunner().invoke(squall, ["score", str(tmp_path / name), "--quiet"])
    assert isinstance(result.exception, InputUnusable)
    assert str(tmp_path / name) in str(result.exception)
    assert "byte 0x93 is no UTF-8: convert it with iconv -f WINDOWS-1252 -t UTF-8" in str(result.exception)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["none/*.csv", "--out", "x"], "names no file"),
        (["a.csv", "--engine", "local", "--out", "x"], "there is no row"),
    ],
)
def test_the_command_says_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("title\n")
    result = CliRunner().invoke(squall, ["score", *words, "--quiet"])
    assert isinstance(result.exception, InputUnusable)
    assert said in str(result.exception)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--engine", "local"], "name some"),
        (["a.csv", "b.csv"], "name it with --out"),
        (["a.csv", "--engine", "local", "--out", "x", "--companies"], "leave out --format and --companies"),
    ],
)
def test_options_that_do_not_go_together_are_told(words: list[str], said: str) -> None:
    result = CliRunner().invoke(squall, ["score", *words, "--quiet"])
    assert result.exit_code == 2
    assert said in result.stderr


def test_the_command_scores_a_folder(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "news").mkdir()
    SCENE["headlines"](30).write_csv(tmp_path / "news" / "a.csv")
    config = tmp_path / "squall.toml"
    config.write_text(SCENE["plain"](settings))
    words = ["--config", str(config), "score", str(tmp_path / "news"), "--out", str(tmp_path / "out"), "--lean", "-q"]
    first = CliRunner().invoke(squall, words, catch_exceptions=False)
    assert first.stdout.startswith("30 rows in 1 parts scored by tiny-")
    assert "30 of them before" in CliRunner().invoke(squall, words, catch_exceptions=False).stdout


# A cluster's shape


def node(cpus: float = 0, gpus: float = 0, *, alive: bool = True) -> dict[str, object]:
    return {"Alive": alive, "Resources": {"CPU": cpus, "GPU": gpus, "memory": 1.0}}


@pytest.mark.parametrize(
    ("nodes", "workers", "shape"),
    [
        ([node(2)], 0, Shape(1, 2, 0)),
        ([node(1)], 0, Shape(1, 1, 0)),
        ([node(16), node(8)], 0, Shape(6, 4, 0)),
        ([node(16), node(8, alive=False)], 0, Shape(4, 4, 0)),
        # Cores that would stay idle, few and many.
        ([node(5), node(16)], 0, Shape(5, 4, 0)),
        ([node(6), node(6)], 0, Shape(4, 3, 0)),
        ([node(2), node(2), node(1)], 0, Shape(2, 2, 0)),
        ([node(16), node(8)], 6, Shape(6, 4, 0)),
        # An actor lies on one node, however few are asked for.
        ([node(1), node(1)], 1, Shape(1, 1, 0)),
        ([node(4), node(4)], 1, Shape(1, 4, 0)),
        ([node(6), node(2)], 2, Shape(2, 3, 0)),
        ([node(2)], 5, Shape(5, 1, 0)),
        ([node(64, 8), node(64, 4)], 0, Shape(12, 1, 1)),
        ([node(2, 8), node(64, 0)], 0, Shape(2, 1, 1)),
        ([node(64, 8)], 3, Shape(3, 1, 1)),
    ],
)
def test_one_actor_a_gpu_or_four_cores(nodes: list[dict[str, object]], workers: int, shape: Shape) -> None:
    assert shape_of(nodes, workers) == shape


def test_a_cluster_of_nothing() -> None:
    with pytest.raises(InputUnusable, match="neither GPUs nor cores"):
        shape_of([node()], 0)
    with pytest.raises(InputUnusable, match="no core to give"):
        shape_of([node(0, 2), node(4)], 3)


def test_an_actor_is_told_what_it_needs_and_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    asked = {
        "model": {"adapter": "mine/adapter", "library": "models", "cache": "graphs", "token_budget": 77},
        "themes": [{"id": "strike", "name": "Strike", "description": "d", "examples": ["Workers walk out"]}],
        "channels": [{"name": "d", "type": "webhook", "url": "https://example.com/?key=hush", "secret": "env:S"}],
    }
    told = carried(Settings.model_validate(asked))
    assert "hush" not in told
    back = Settings.model_validate_json(told)
    assert (back.model.adapter, back.model.library) == (tmp_path / "mine/adapter", tmp_path / "models")
    assert (back.model.cache, back.model.token_budget) == (tmp_path / "graphs", 77)
    assert [theme.id for theme in back.themes] == ["strike"]
    # A shipped adapter is called by its name, wherever a node has it.
    assert Settings.model_validate_json(carried(Settings(model=ModelSettings(adapter=Path("fast"))))).model.adapter == (
        Path("fast")
    )


def test_ray_is_known_to_one_module_alone() -> None:
    """And there it is imported when a cluster is asked for: whoever scores here need not have it."""
    room = Path(__file__).parents[1] / "monitor"
    found = [path.name for path in room.rglob("*.py") if re.search(r"^\s*(import|from) ray\b", path.read_text(), re.M)]
    assert found == ["ray_cluster.py"]
    script = "import sys, monitor.archives.run; print('ray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
