"""The house itself: rooms, names, what no file may do, and what the wheel carries. docs/architecture.md is the map."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("monitor", "models", "alerts", "dashboard")
MODULES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
OURS = sorted({*MODULES, *(ROOT / "benchmarks").rglob("*.py"), *(ROOT / "tests").rglob("*.py")})
LONGEST = 350
# A module with no takes, gives, never: commands do what their help says, errors are a tree, the rest is an entrance.
NOT_ON_THE_PATH = ("__init__.py", "__main__.py", "errors.py")
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "base", "common", "misc", "manager", "engine"}


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def settings() -> dict[str, dict[str, object]]:
    tool: dict[str, dict[str, object]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    return tool


# Names


def test_tests_are_no_package_and_are_imported_by_file() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []
    assert "--import-mode=importlib" in str(settings()["pytest"])
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert len(names) == len(set(names))


def test_the_dashboard_shadows_no_room() -> None:
    """Streamlit puts the folder of its page first on sys.path: dashboard/models.py would become `models`."""
    names = {path.stem for path in (ROOT / "dashboard").iterdir()}
    assert not names & set(ROOMS)


def test_nothing_shadows_the_standard_library() -> None:
    assert not (ROOT / "alerts" / "email.py").exists()
    top = {path.stem for path in ROOT.iterdir() if (path / "__init__.py").exists()}
    assert top == set(ROOMS)
    assert not top & sys.stdlib_module_names


def test_files_are_nouns_that_say_what_is_in_them() -> None:
    assert [named(path) for path in OURS if path.stem in FORBIDDEN_NAMES] == []
    assert [path for path in ROOT.iterdir() if path.name in FORBIDDEN_NAMES] == []


# What stands in every module


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_every_module_says_what_it_is(path: Path) -> None:
    docstring = ast.get_docstring(parsed(path))
    assert docstring, "a module opens with what it is for"
    if path.name in NOT_ON_THE_PATH or (path.parent.name == "commands" and path.name != "opening.py"):
        return
    said = [line.split("  ")[0] for line in docstring.splitlines() if re.match(r"(takes|gives|never)  \S", line)]
    assert said == ["takes", "gives", "never"]


def test_files_stay_short() -> None:
    """Past this, split by noun. Tests are lists of cases and may be longer."""
    long = {named(path): len(path.read_text().splitlines()) for path in MODULES}
    assert {name: lines for name, lines in long.items() if lines > LONGEST} == {}


_EXEMPTION = re.compile(r"#\s*(?:noqa: [A-Z]+\d+(?:, ?[A-Z]+\d+)*|type: ignore\[[a-z-]+(?:, ?[a-z-]+)*\])")


def exemptions() -> Iterator[tuple[str, str, str]]:
    """Where a rule is set aside, with the line and the one above it."""
    for path in OURS:
        above = ""
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if re.search(r"#\s*(noqa|type:\s*ignore)\b", line):
                yield f"{named(path)}:{number}", line, above
            above = line


def test_every_exemption_is_narrow_and_says_why() -> None:
    """`# noqa: X  # why`, `# type: ignore[code]  # why`; or the reason is a comment on the line above."""
    unexplained = []
    for place, line, above in exemptions():
        rest = _EXEMPTION.split(line)
        narrow = len(rest) >= 2
        said = re.fullmatch(r"\s*(#|-|–)\s*\S.+", rest[-1]) or above.strip().startswith("# ")
        if not (narrow and said) and place.split(":")[0] != "tests/test_house.py":
            unexplained.append(place)
    assert unexplained == []


# What no file may do


def called(node: ast.Call) -> str:
    """`torch.load` for torch.load(...), `eval` for eval(...), `?.eval` for anything()[0].eval(...)."""
    parts = []
    function: ast.expr = node.func
    while isinstance(function, ast.Attribute):
        parts.append(function.attr)
        function = function.value
    parts.append(function.id if isinstance(function, ast.Name) else "?")
    return ".".join(reversed(parts))


def offences(tree: ast.Module) -> Iterator[str]:
    unpickling = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] in unpickling)
        elif isinstance(node, ast.ImportFrom):
            if (node.module or "").split(".")[0] in unpickling:
                yield str(node.module)
        elif isinstance(node, ast.Call):
            name = called(node)
            runs = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "torch.load", "torch.save"}
            if name in runs or name.endswith((".read_pickle", ".to_pickle")) or name.startswith("pickle."):
                yield name
            for keyword in node.keywords:
                value = keyword.value
                if keyword.arg == "shell" and not (isinstance(value, ast.Constant) and value.value is False):
                    yield f"{name}(shell=...)"
                if keyword.arg in {"allow_pickle", "trust_remote_code", "unsafe_allow_html"}:
                    yield f"{name}({keyword.arg}=...)"


def test_the_scan_finds_what_it_looks_for() -> None:
    bad = "import pickle\nfrom shelve import open\ntorch.load(f)\neval('1')\nos.system('ls')\nrun('ls', shell=True)\n"
    assert list(offences(ast.parse(bad))) == [
        *("pickle", "shelve", "torch.load", "eval", "os.system", "run(shell=...)"),
    ]
    fine = "net.eval()\ncolumn.list.eval(x)\nre.compile('x')\nsubprocess.run(['ls'], shell=False)\njson.load(f)\n"
    assert list(offences(ast.parse(fine))) == []


@pytest.mark.parametrize("path", [path for path in OURS if path.name != "test_house.py"], ids=named)
def test_nothing_is_unpickled_evaluated_or_given_to_a_shell(path: Path) -> None:
    assert list(offences(parsed(path))) == []


def test_weights_are_safetensors_and_the_rest_is_text() -> None:
    kinds = {path.suffix for path in (ROOT / "models" / "adapters").rglob("*") if path.is_file()}
    assert kinds == {".safetensors", ".json", ".md"}


def test_no_file_holds_a_task_left_for_later() -> None:
    marks = re.compile(r"#.*\b(TODO|FIXME|XXX|HACK)\b")
    found = [named(path) for path in OURS if path.name != "test_house.py" and marks.search(path.read_text())]
    assert found == []


# One way only


def test_rooms_know_each_other_one_way_only() -> None:
    contracts = settings()["importlinter"]["contracts"]
    assert isinstance(contracts, list)
    layers = [one["layers"] for one in contracts if one["type"] == "layers"]
    assert ["dashboard", "monitor", "models | alerts"] in layers
    for room in ("monitor", "models"):
        folders = {named(path.parent).replace("/", ".") for path in (ROOT / room).rglob("*.py")} - {room}
        ordered = {part for one in layers for layer in one for part in layer.split(" | ")}
        assert folders <= ordered, "every folder of a room has its place in the order"
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert f"Contracts: {len(contracts)} kept, 0 broken." in done.stdout


@pytest.mark.parametrize(
    "room", ["models.score", "models.running.batching", "alerts.lifecycle", "alerts.sending.delivery"]
)
def test_a_leaf_loads_without_the_other_rooms(room: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import {room}, sys, json; print(json.dumps(sorted(sys.modules)))"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name.split(".")[0] for name in json.loads(done.stdout)}
    assert loaded & set(ROOMS) == {room.split(".")[0]}
    assert not loaded & {"duckdb", "streamlit"}


# The wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as pip would, without network; unpacked."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    (built,) = folder.glob("squall-*.whl")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def test_the_wheel_carries_everything_that_is_read_at_run_time(wheel: Path) -> None:
    data = {
        "monitor/storage/migrations/0001_initial.sql",
        "monitor/feeds/default_feeds.toml",
        "monitor/news/gazetteer.csv",
        "monitor/demo/newsbook.toml",
        "models/default_themes.toml",
        "models/adapters/fast/adapter_model.safetensors",
        "models/adapters/fast/heads.safetensors",
        "models/adapters/fast/squall.json",
        "dashboard/.streamlit/config.toml",
        "dashboard/squall.svg",
    }
    carried = {str(path.relative_to(wheel)) for path in wheel.rglob("*") if path.is_file()}
    assert data <= carried
    for room in ROOMS:
        here = {
            str(path.relative_to(ROOT))
            for path in (ROOT / room).rglob("*")
            if path.is_file() and path.suffix != ".pyc" and "__pycache__" not in path.parts
        }
        assert here <= carried
    assert not {name for name in carried if name.startswith(("tests/", "benchmarks/", "docs/"))}


def test_the_wheel_works_away_from_the_checkout(wheel: Path, tmp_path: Path) -> None:
    def squall(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "monitor", *words],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(wheel), "XDG_CONFIG_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    assert squall("config", "example") == (ROOT / "squall.example.toml").read_text()
    assert len(json.loads(squall("feeds", "list", "--json"))) >= 40
    assert "bank-stress" in squall("themes", "list")


def test_the_lock_pins_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = {re.split(r"[<>=\[; ]", one)[0].lower() for one in project["dependencies"]}
    pinned = {
        line.split("==")[0].lower().replace("_", "-") for line in (ROOT / "requirements.lock").read_text().split()
    }
    assert asked <= pinned
