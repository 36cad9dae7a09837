"""Archives as files: which are found, where they are cut, and what is read of rows that are broken."""

from __future__ import annotations

import csv
import functools
import gzip
import io
import json
import os
import threading
from datetime import timedelta
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.archives import places
from monitor.archives.parts import Part, parts_of
from monitor.archives.places import File, Place, files_of
from monitor.archives.reading import Rows, rows_of
from monitor.errors import InputUnusable

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\r"), max_size=12)


def written(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def cut(path: Path, rows: int) -> list[Rows]:
    parts = parts_of(files_of([str(path)]), rows)
    assert [part.number for part in parts] == list(range(len(parts)))
    assert all(part.rows <= rows for part in parts)
    assert [part.first for part in parts] == [sum(p.rows for p in parts[:place]) for place in range(len(parts))]
    return [rows_of(part, "title") for part in parts]


# Where files are cut


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=12), st.integers(1, 5), st.sampled_from(["\n", "\r\n"]))
def test_csv_rows_are_those_of_the_csv_module_wherever_it_is_cut(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], size: int, ending: str
) -> None:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator=ending)
    writer.writerow(["id", "title"])
    writer.writerows(rows)
    path = written(tmp_path_factory.mktemp("csv") / "a.csv", buffer.getvalue())
    found = [text for part in cut(path, size) for text in part.texts]
    assert found == [title for _, title in rows]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.one_of(st.just(""), TEXT), min_size=1, max_size=12), st.integers(1, 5), st.booleans())
def test_json_lines_are_rows_wherever_they_are_cut(
    tmp_path_factory: pytest.TempPathFactory, titles: list[str], size: int, ends: bool
) -> None:
    lines = "\n\n".join(json.dumps({"title": title}, ensure_ascii=False) for title in titles)
    path = written(tmp_path_factory.mktemp("json") / "a.jsonl", lines + "\n" * ends)
    assert [text for part in cut(path, size) for text in part.texts] == titles


@pytest.mark.parametrize("groups", [1, 3, 100])
@pytest.mark.parametrize("size", [1, 4, 9, 50])
def test_parquet_rows_come_once_whatever_the_row_groups(tmp_path: Path, groups: int, size: int) -> None:
    frame = pl.DataFrame({"title": [f"t{n}" for n in range(20)], "number": range(20)})
    frame.write_parquet(tmp_path / "a.parquet", row_group_size=groups)
    read = cut(tmp_path / "a.parquet", size)
    assert pl.concat([part.frame for part in read]).equals(frame)


def test_a_chunk_ends_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Quotes, blank lines and newlines are counted over the chunks that a file is looked through in."""
    content = '\ufeffid,title\n1,"a\n""b"""\n\n2,c\r\n\r\n3,"d,\r\ne"\n4,'
    path = written(tmp_path / "a.csv", content)
    expected = ['a\n"b"', "c", "d,\r\ne", ""]
    for size in range(1, 40):
        monkeypatch.setattr("monitor.archives.parts._CHUNK", size)
        for rows in (1, 2, 3, 10):
            assert [text for part in cut(path, rows) for text in part.texts] == expected, (size, rows)


# Rows that are broken


def test_a_row_that_cannot_be_understood_keeps_its_place(tmp_path: Path) -> None:
    (rows,) = cut(written(tmp_path / "a.csv", b"id,title\n1,one\n2,two,and more\n4,four\n"), 10)
    assert rows.texts == ["one", "", "four"]
    assert rows.frame["id"].to_list() == ["1", None, "4"]
    assert rows.broken == {1: ("3 fields, where the header names 2", "2,two,and more")}
    (rows,) = cut(
        written(tmp_path / "b.jsonl", '{"title": "one", "n": 1}\nnope\n[2]\n{"title": null, "d": {"a": [1]}}\n'), 10
    )
    assert rows.texts == ["one", "", "", ""]
    assert {place: reason.split(":")[0] for place, (reason, _) in rows.broken.items()} == {
        1: "no JSON",
        2: "no JSON object",
    }
    assert rows.frame.to_dicts()[3] == {"title": None, "n": None, "d": '{"a": [1]}'}


@pytest.mark.parametrize("beside", [b"", b"9,nine,and more\n"], ids=["alone", "beside another broken row"])
def test_odd_quotation_marks_cost_the_rows_between_them_and_no_other(tmp_path: Path, beside: bytes) -> None:
    content = b'id,title\n1,one\n2,5" pipe bursts\n3,6" pipe bursts\n4,"he said ""no"""\n5,"two\nlines"\n' + beside
    (rows,) = cut(written(tmp_path / "a.csv", content), 10)
    assert rows.texts[:4] == ["one", "", 'he said "no"', "two\nlines"]
    reason, shown = rows.broken[1]
    assert reason.startswith("it reads as 2 rows, for a quotation mark")
    assert shown == '2,5" pipe bursts\n3,6" pipe bursts'
    assert set(rows.broken) == ({1, 4} if beside else {1})


@pytest.mark.parametrize("neighbour", [b"2,two,x", b"2,two,x,and more"])
def test_a_short_row_is_read_the_same_whatever_stands_beside_it(tmp_path: Path, neighbour: bytes) -> None:
    (rows,) = cut(written(tmp_path / "a.csv", b"id,title,more\n1,one\n" + neighbour + b"\n3\n"), 10)
    assert rows.frame["id"].to_list()[::2] == ["1", "3"]
    assert rows.texts[::2] == ["one", ""]
    assert set(rows.broken) <= {1}


def test_a_key_with_half_a_character_costs_no_row(tmp_path: Path) -> None:
    lines = b'{"title": "one"}\n{"title": "two", "\\ud83d": 1}\n'
    (rows,) = cut(written(tmp_path / "a.jsonl", lines), 10)
    assert (rows.texts, rows.broken) == (["one", "two"], {})
    assert rows.frame["?"].to_list() == [None, "1"]


def test_headlines_that_are_bytes_are_read_as_utf8(tmp_path: Path) -> None:
    pl.DataFrame({"title": ["Café".encode(), None, b"Caf\xe9"]}).write_parquet(tmp_path / "a.parquet")
    (rows,) = cut(tmp_path / "a.parquet", 10)
    assert rows.texts[:2] == ["Café", ""]
    assert list(rows.broken) == [2]
    assert rows.broken[2][0].startswith("byte 0xE9 is no UTF-8")


def test_what_is_no_text_is_no_headline(tmp_path: Path) -> None:
    pl.DataFrame({"title": [timedelta(days=1)]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(InputUnusable, match="lacks text in the column 'title'"):
        cut(tmp_path / "a.parquet", 10)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "id,title\n1,plain\n2,“Café” shuts\n3,fine\n"),
        ("a.jsonl", '{"id": 1, "title": "plain"}\n{"id": 2, "title": "“Café” shuts"}\n{"id": 3, "title": "fine"}\n'),
    ],
)
def test_a_row_that_is_not_utf8_fails_and_says_how_to_convert_it(tmp_path: Path, name: str, content: str) -> None:
    """A wrong letter would be a wrong name; the other rows are as they stand there."""
    (rows,) = cut(written(tmp_path / name, content.encode("cp1252")), 10)
    assert rows.texts == ["plain", "", "fine"]
    assert rows.frame["id"].to_list() == ["1", None, "3"]
    ((place, (reason, shown)),) = rows.broken.items()
    assert (place, reason) == (1, "byte 0x93 is no UTF-8: convert it with iconv -f WINDOWS-1252 -t UTF-8")
    assert "\ufffdCaf" in shown
    (rows,) = cut(written(tmp_path / name, content), 10)
    assert (rows.texts, rows.broken) == (["plain", "“Café” shuts", "fine"], {})


def test_a_part_in_which_nothing_can_be_understood_is_no_reason_to_stop(tmp_path: Path) -> None:
    (rows,) = cut(written(tmp_path / "a.jsonl", "x\ny\n"), 10)
    assert rows.texts == ["", ""]
    assert set(rows.broken) == {0, 1}


@pytest.mark.parametrize(
    ("name", "content", "column", "words"),
    [
        ("a.csv", 'id,title\n1,"never ends\n2,b\n', "", "a quoted field never ends"),
        ("a.csv", "\n", "", "begins with no names of columns"),
        ("a.csv", "id,name\n1,a\n", "", "lacks a column of text named title or headline or text; it has id, name"),
        ("a.csv", "id,title\n1,a\n", "body", "lacks text in the column 'body'"),
        ("a.csv", b"id,\xfcber,title\n1,a,b\n", "", "in its header byte 0xFC is no UTF-8: convert it with iconv"),
        ("a.csv", "id,title\n1,a\n".encode("utf-16"), "", "convert it with iconv -f UTF-16 -t UTF-8"),
        ("a.csv", b"id,title\r1,a\r2,b\r", "", "its lines end with carriage returns alone"),
        ("a.csv", gzip.compress(b"id,title\n1,a\n"), "", "it is compressed with gzip: unpack it"),
        ("a.jsonl", gzip.compress(b'{"title": "a"}\n'), "", "it is compressed with gzip: unpack it"),
        ("a.parquet", b"PAR1 but not really", "", "cannot be read"),
    ],
)
def test_what_cannot_be_read_at_all_is_named(
    tmp_path: Path, name: str, content: str | bytes, column: str, words: str
) -> None:
    path = written(tmp_path / name, content)
    with pytest.raises(InputUnusable) as told:
        [rows_of(part, column) for part in parts_of(files_of([str(path)]))]
    assert words in str(told.value)
    assert str(path) in str(told.value)


def test_a_file_of_nothing_has_no_rows(tmp_path: Path) -> None:
    for name in ("a.csv", "b.jsonl", "c.csv", "d.jsonl"):
        written(tmp_path / name, {"c.csv": "id,title\r\n", "d.jsonl": "\n\n"}.get(name, ""))
    pl.DataFrame(schema={"title": pl.String}).write_parquet(tmp_path / "e.parquet")
    assert parts_of(files_of([str(tmp_path)])) == []


def test_nested_text_is_no_headline(tmp_path: Path) -> None:
    pl.DataFrame({"title": [["a"]]}).write_parquet(tmp_path / "a.parquet")
    with pytest.raises(InputUnusable, match="lacks text in the column"):
        cut(tmp_path / "a.parquet", 5)


def test_a_file_that_shrank_is_seen(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "title\na\nb\n")
    (part,) = parts_of(files_of([str(path)]))
    path.write_text("title\na\n")
    with pytest.raises(InputUnusable, match="has changed"):
        rows_of(part)


def test_parts_travel_as_json() -> None:
    part = Part(3, "news.csv", "csv", 40, 20, 100, 900, ("id", "title"))
    assert Part.of(json.loads(json.dumps(part.plain()))) == part
    assert part.name == "part-000003"
    with pytest.raises(ValueError, match="holds rows"):
        Part(0, "news.csv", "csv", 0, 0, 0, 1)


# Which files


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("2023/a.csv", "2023/b.jsonl", "2024/deep/c.parquet", "2024/notes.txt", ".git/d.csv", "_tmp/e.csv"):
        written(tmp_path / name, "title\na\n")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("", ["2023/a.csv", "2023/b.jsonl", "2024/deep/c.parquet"]),
        ("2024", ["2024/deep/c.parquet"]),
        ("2023/a.csv", ["2023/a.csv"]),
        ("*/*.csv", ["2023/a.csv"]),
        ("**/*.parquet", ["2024/deep/c.parquet"]),
        ("202?/?.*", ["2023/a.csv", "2023/b.jsonl"]),
    ],
)
def test_folders_and_globs(tree: Path, path: str, found: list[str]) -> None:
    told = files_of([str(tree / path)])
    assert [str(Path(file.path).relative_to(tree)) for file in told] == found
    assert all(file.size == 8 and file.changed > 0 for file in told)


def test_a_path_given_twice_is_one_file(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(files_of([str(tree / "2023"), str(tree / "2023/a.csv")])) == 2
    monkeypatch.chdir(tree)
    assert [Path(file.path) for file in files_of(["2023/*.csv", "2023/a.csv"])] == [tree / "2023/a.csv"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("none", "names no file"),
        ("*.parquet", "names no file"),
        ("2024/notes.txt", "is none of .csv"),
        ("2024/x.csv", "names no file"),
        ("packed/a.csv.gz", "a.csv.gz is compressed: unpack it"),
        ("packed", "a.csv.gz is compressed: unpack it, or leave it out by a glob"),
    ],
)
def test_a_path_that_names_nothing(tree: Path, path: str, words: str) -> None:
    written(tree / "packed" / "a.csv.gz", gzip.compress(b"title\na\n"))
    written(tree / "packed" / "b.csv", "title\na\n")
    written(tree / "packed" / "pictures.tar.gz", gzip.compress(b"of no kind that is read"))
    with pytest.raises(InputUnusable, match=words):
        files_of([str(tree / path)])
    assert len(files_of([str(tree / "packed" / "*.csv")])) == 1


def test_an_address_of_this_machine_is_a_path(tree: Path) -> None:
    for path in (f"file://{tree}/2023", f"file://localhost{tree}/2023/?.*", f"FILE://{tree}/2023"):
        assert files_of([path]) == files_of([str(tree / "2023")])
    Place(f"file://{tree}/out%20put/a.bin").write(b"whole")
    assert (tree / "out put" / "a.bin").read_bytes() == b"whole"


def test_a_file_has_one_name_from_wherever_it_is_named(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = files_of([str(tree / "2023/a.csv")])
    monkeypatch.chdir(tree / "2024")
    for path in ("../2023/a.csv", "deep/../../2023/*.csv", f"{tree}/2024/../2023/a.csv"):
        assert files_of([path]) == expected
    # Behind a link, `..` is where the link leads.
    (tree / "way").symlink_to(tree / "2024" / "deep")
    written(tree / "2024" / "x.csv", "title\na\n")
    assert files_of([str(tree / "way" / ".." / "x.csv")]) == files_of([str(tree / "2024" / "x.csv")])


def test_links_lead_to_no_row_twice_and_not_in_circles(tree: Path) -> None:
    before = files_of([str(tree)])
    (tree / "2023" / "again").symlink_to(tree)
    (tree / "2023" / "latest.csv").symlink_to(tree / "2023" / "a.csv")
    (tree / "2023" / "gone.csv").symlink_to(tree / "2023" / "never.csv")
    assert files_of([str(tree)]) == before


def test_a_name_that_is_no_utf8_is_told(tree: Path) -> None:
    odd = os.fsencode(tree) + b"/2023/caf\xe9"
    Path(os.fsdecode(odd + b".txt")).touch()
    assert len(files_of([str(tree / "2023")])) == 2, "it is none of those that are read"
    Path(os.fsdecode(odd + b".csv")).touch()
    with pytest.raises(InputUnusable, match=r"caf\ufffd.csv has a name that is no UTF-8"):
        files_of([str(tree / "2023")])


def test_a_file_whose_name_looks_like_a_glob(tree: Path) -> None:
    name = written(tree / "what?.csv", "title\na\n")
    written(tree / "whats.csv", "title\nb\n")
    assert [file.path for file in files_of([str(name)])] == [str(name)]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_glob_looks_no_deeper_than_it_says(tree: Path) -> None:
    (tree / "2024" / "deep").chmod(0)
    assert [Path(file.path).name for file in files_of([str(tree / "*" / "*.csv")])] == ["a.csv"]
    with pytest.raises(InputUnusable, match="cannot be looked at"):
        files_of([str(tree)])
    (tree / "2024" / "deep").chmod(0o700)


def test_an_object_store_by_fsspec() -> None:
    Place("memory://bucket/news/a.csv").write(b"id,title\n1,a\n2,b\n")
    Place("memory://bucket/news/b.txt").write(b"c\n")
    for path in ("memory://bucket/news", "memory://bucket/*/*.csv", "memory://bucket/news/a.csv"):
        (file,) = files_of([path])
        (part,) = parts_of([file])
        assert rows_of(part).texts == ["a", "b"]
    assert Place("memory://bucket/news").listed() == ["a.csv", "b.txt"]
    assert str(Place("memory://bucket/news/")) == "memory://bucket/news"
    assert Place("memory://bucket/news/c.csv").read() is None


@pytest.mark.parametrize("name", ["my news.csv", "a#b.csv", "at=10%3A30/c.csv", "é?.csv"])
def test_an_object_may_be_called_anything(name: str) -> None:
    """What has a meaning in an address has none in the name of an object."""
    place = Place(f"gs://bucket/{name}")
    assert (place.path, str(place)) == (f"bucket/{name}", f"gs://bucket/{name}")
    assert str(Place("gs://bucket/out/").under(name)) == f"gs://bucket/out/{name}"
    Place(f"memory://odd/{name}").write(b"title\na\n")
    assert f"memory://odd/{name}" in [file.path for file in files_of(["memory://odd"])]
    assert [file.path for file in files_of([f"memory://odd/{name}"])] in ([f"memory://odd/{name}"], [])


def test_a_store_on_a_server_is_named_whole(tmp_path: Path) -> None:
    """The path inside a store does not say on which server it lies."""
    written(tmp_path / "a.csv", "title\na\nb\n")
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/a.csv"
        (file,) = files_of([address])
        assert (file.path, Place(file.path).read()) == (address, b"title\na\nb\n")
        # This one hands out whole files alone.
        with pytest.raises(InputUnusable, match="its server answers no range requests; download it"):
            [rows_of(part) for part in parts_of([file])]
        server.shutdown()


def test_a_store_that_nothing_here_reads() -> None:
    with pytest.raises(InputUnusable, match="cannot be reached"):
        files_of(["nosuchscheme://bucket/a.csv"])


def test_what_is_written_is_whole_or_not_there(tmp_path: Path) -> None:
    place = Place(str(tmp_path / "new" / "a.bin"))
    with pytest.raises(TypeError):
        place.write("no bytes")  # type: ignore[arg-type]  # what fails in the midst of writing
    assert place.read() is None
    assert Place(str(tmp_path / "new")).listed() == []
    place.write(b"whole")
    assert place.read() == b"whole"


def test_kinds_are_told_by_name() -> None:
    assert places.KINDS[".ndjson"] == "jsonl"
    assert File("a", "csv", 1, 0).kind == "csv"
