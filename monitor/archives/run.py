"""An archive scored from its files to its manifest, in as many goes as it takes.

takes  paths, settings, an engine
gives  a folder of scored parts, with `Summary`
never  scores a part twice, and never finishes while a row is missing
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from monitor.archives import manifest
from monitor.archives.engines import Engine, Local, ScoresParts
from monitor.archives.manifest import Done, Order
from monitor.archives.parts import ROWS, Part, parts_of
from monitor.archives.places import File, Place, files_of, real
from monitor.archives.ray_cluster import Cluster
from monitor.chosen_model import chosen_adapter
from monitor.errors import InputUnusable
from monitor.settings import Settings
from monitor.watched import watched_themes


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person asks for.

    Attributes:
        paths: files, folders, globs, addresses in an object store.
        out: folder of the results.
        column: the headline's; else the first of title, headline, text.
        lean: sentiment and topics alone.
        workers: actors of a cluster at most; 0 lets the cluster's shape say.
        part_rows: rows of a part at most.

    Raises:
        ValueError: on fewer than one row a part, or fewer than no workers.
    """

    paths: tuple[str, ...]
    out: str
    engine: Engine = Engine.LOCAL
    column: str = ""
    lean: bool = False
    workers: int = 0
    part_rows: int = ROWS

    def __post_init__(self) -> None:
        if self.part_rows < 1 or self.workers < 0:
            raise ValueError(f"a part has at least one row, and there are no fewer than no workers: {self}")


@dataclass(frozen=True, slots=True)
class Summary:
    """What lies in the folder now.

    Attributes:
        rows, failed: in all parts; `kept` of the rows were scored before this run.
        model: id of the model.
    """

    rows: int
    failed: int
    kept: int
    parts: int
    model: str


def score_archive(
    wanted: Wanted,
    settings: Settings,
    now: Callable[[], datetime],
    started: Callable[[int, int], None] = lambda *_: None,
    progress: Callable[[int], None] = lambda _: None,
) -> Summary:
    """Score everything that is not scored yet.

    Args:
        now: asked once, at the end.
        started: called once with the number of rows in all, and of those that are done already.
        progress: called with the number of rows just done.

    Raises:
        InputUnusable: on input or results that cannot be used; a cluster that does not answer.
        ModelError: when the model cannot be loaded, or fails.
    """
    out = Place(wanted.out)
    files = _inputs(wanted.paths, out)
    parts = parts_of(files, wanted.part_rows)
    if not parts:
        raise InputUnusable(f"there is no row in {', '.join(wanted.paths)}")
    model = chosen_adapter(settings.model).model
    order = Order(model, _watched(settings, wanted), wanted.lean, wanted.column, wanted.part_rows, tuple(files))
    done = manifest.begin(out, order, parts)
    missing = [part for part in parts if part.number not in done]
    total = sum(part.rows for part in parts)
    kept = total - sum(part.rows for part in missing)
    started(total, kept)
    try:
        came = {receipt.part for receipt in _engine(wanted, settings, out, model).run(missing, progress)}
        lacking = {part.number for part in missing} - came
        if lacking:
            raise InputUnusable(f"{len(lacking)} parts were not scored, the first is {min(lacking)}: start it again")
        failed = _failed(out, parts)
        manifest.write(out, order, len(parts), Done(total, failed, wanted.engine.value, now()))
    except OSError as error:
        raise InputUnusable(f"{out} cannot be written: {error}") from error
    return Summary(total, failed, kept, len(parts), model)


def _inputs(paths: Sequence[str], out: Place) -> list[File]:
    """What the paths name, without what was scored into a folder below them."""
    found, results = files_of(paths), f"{real(str(out))}/"
    files = [file for file in found if not real(file.path).startswith(results)]
    if not files:
        raise InputUnusable(f"{', '.join(paths)} lies in {out}, the folder of the results: name another with --out")
    return files


def _watched(settings: Settings, wanted: Wanted) -> str:
    if wanted.lean:
        return ""
    themes = [theme.model_dump(mode="json") for theme in watched_themes(settings)]
    return manifest.fingerprint([themes, [one.model_dump(mode="json") for one in settings.companies]])


def _engine(wanted: Wanted, settings: Settings, out: Place, model: str) -> ScoresParts:
    if wanted.engine is Engine.LOCAL:
        return Local(settings, out, wanted.column, lean=wanted.lean)
    return Cluster(settings, out, wanted.column, model, lean=wanted.lean, workers=wanted.workers)


def _failed(out: Place, parts: Sequence[Part]) -> int:
    """Rows without a score, from the side files: also those of an earlier run."""
    names = {f"{part.name}.jsonl" for part in parts}
    folder = out.under("failed")
    return sum((folder.under(name).read() or b"").count(b"\n") for name in folder.listed() if name in names)
