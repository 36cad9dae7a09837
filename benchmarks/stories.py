"""How well headlines are clustered into stories: judged pairs and windows of the replay, several ways side by side.

    python benchmarks/stories.py --data ../shared/data [--fit] [--count]

Prints how far two readers of the held-out pairs agree; then, for each way and for each half of the judgements:
precision and recall over the judged pairs, the same weighted to what the replay holds of each stratum, and pairwise
and B-cubed figures over windows of two days in which every headline was read. Pairs of weight 0 are for the fit alone.
Thresholds and weights were chosen on the tuning half (even weeks) alone. `--fit` prints the weights of
`monitor/news/likeness.py` anew; `--count` writes `monitor/news/word_counts.csv` anew.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import math
import time
import tracemalloc
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz
from readers import SIDES, Verdict, against_readers, second_reader, show_readers

from models.scorer import load_scorer
from monitor.feeds.feed import Entry
from monitor.news.companies import CompanyMatcher
from monitor.news.headlines import Headline, headline
from monitor.news.likeness import Difference, copied, difference, features
from monitor.news.outlets import feed_of
from monitor.news.rarity import Memo, Rarities
from monitor.news.stories import WINDOW, Stories
from monitor.news.wording import Told, stems, told

JUDGED = Path(__file__).parents[1] / "tests" / "judged"
Assigned = dict[int, int]
Vectors = NDArray[np.float32]
# Pairs less alike than this are left out of the fit unless they tell one story: there are half a million of them.
FAR = 0.4


@dataclass(frozen=True, slots=True)
class Pair:
    """A judged pair; one of weight 0 was drawn for the fit alone and is in no figure.

    `again` is what a second reader said of it; None for pairs of the tuning half, which were read once.
    """

    first: int
    second: int
    same: bool
    weight: float
    held_out: bool
    stratum: str
    again: Verdict | None


@dataclass(frozen=True, slots=True)
class Judgements:
    """Judged pairs, and windows of (headline, story as judged)."""

    pairs: list[Pair]
    windows: dict[str, list[tuple[int, str]]]


def replay(data: Path) -> list[Headline]:
    """Every item of the replay once, in order of time; its number is its id."""
    companies, links, found = CompanyMatcher(), set(), []
    with (data / "replay" / "finance_2023q1.csv").open(encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file), 1):
            at = datetime.fromisoformat(row["published"]).astimezone(UTC)
            feed = feed_of(row["outlet"], row["link"])
            entry = Entry(feed.id, feed.publisher, "en", "", row["link"], row["title"], row["summary"], at, at)
            one = replace(headline(entry, at, first_fetch=False, companies=companies), id=number, story=number)
            if one.title and one.link not in links:
                links.add(one.link)
                found.append(one)
    return sorted(found, key=lambda h: (h.effective, h.id))


def held_out(at: str) -> bool:
    """Odd weeks of the year are held out."""
    return datetime.fromisoformat(at).isocalendar().week % 2 == 1


def judgements(headlines: Sequence[Headline]) -> Judgements:
    known: dict[tuple[str, str], int] = {}
    for one in headlines:
        digest = hashlib.sha256(one.title.encode()).hexdigest()
        known.setdefault((one.effective.strftime("%Y-%m-%dT%H:%M:%SZ"), digest), one.id)
    pairs, windows, again = [], defaultdict(list), second_reader()
    with (JUDGED / "story_pairs.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            first = known.get((row["first_published"], row["first_sha256"]))
            second = known.get((row["second_published"], row["second_sha256"]))
            if first is not None and second is not None and first != second:
                late = held_out(row["first_published"])
                pairs.append(
                    Pair(
                        first,
                        second,
                        row["same"] == "yes",
                        float(row["weight"]),
                        late,
                        row["stratum"],
                        again.get(tuple(row[side] for side in SIDES)),
                    )
                )
    with (JUDGED / "story_windows.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if (number := known.get((row["published"], row["title_sha256"]))) is not None:
                windows[row["window"]].append((number, row["story"]))
    return Judgements(pairs, dict(windows))


class Meanings:
    """Vectors of the base encoder, each text once, and how many were asked for."""

    def __init__(self) -> None:
        self._scorer = load_scorer()
        self._known: dict[str, Vectors] = {}
        self.asked = 0
        self.seconds = 0.0

    def embed(self, texts: Sequence[str]) -> Vectors:
        begun = time.perf_counter()
        self.asked += len(texts)
        if new := sorted({text for text in texts if text not in self._known}):
            self._known.update(zip(new, self._scorer.embed(new), strict=True))
        self.seconds += time.perf_counter() - begun
        return np.stack([self._known[text] for text in texts])


# The ways


def squall(headlines: Sequence[Headline], meanings: Meanings | None) -> Assigned:
    """As the pipeline does it: an hour's headlines at a time."""
    stories, found = Stories(CompanyMatcher(), meanings), {}
    for hour in hours(headlines):
        stories.forget(hour[0].effective - WINDOW)
        found.update({one.id: one.story for one in stories.assign(hour)})
    return found


def hours(headlines: Sequence[Headline]) -> Iterator[list[Headline]]:
    batch: list[Headline] = []
    for one in headlines:
        if batch and one.effective - batch[0].effective > timedelta(hours=1):
            yield batch
            batch = []
        batch.append(one)
    yield batch


def online(headlines: Sequence[Headline], alike: Callable[[int, int], float]) -> Assigned:
    """Join each headline to the most alike of the last 48 hours; `alike` is 0 where two are no story."""
    found: Assigned = {}
    recent: list[Headline] = []
    for one in headlines:
        recent = [other for other in recent if one.effective - other.effective <= WINDOW]
        scores = [(alike(one.id, other.id), other.id) for other in recent]
        best = max(scores, default=(0.0, 0))
        found[one.id] = found[best[1]] if best[0] > 0 else one.id
        recent.append(one)
    return found


def sorted_words(headlines: Sequence[Headline], least: float) -> Assigned:
    lines = {one.id: read(one).line for one in headlines}
    return online(headlines, lambda a, b: fuzz.ratio(lines[a], lines[b], score_cutoff=least))


def minhash(headlines: Sequence[Headline], least: float) -> Assigned:
    """MinHash LSH over words, 128 permutations (datasketch)."""
    from datasketch import MinHash, MinHashLSH

    index, sketches = MinHashLSH(threshold=least, num_perm=128), {}
    found: Assigned = {}
    recent: list[Headline] = []
    for one in headlines:
        sketch = MinHash(num_perm=128)
        for stem in read(one).stems:
            sketch.update(stem.encode())
        sketches[one.id] = sketch
        while recent and one.effective - recent[0].effective > WINDOW:
            index.remove(recent.pop(0).id)
        near = [(sketch.jaccard(sketches[other]), other) for other in index.query(sketch)]
        best = max(near, default=(0.0, 0))
        found[one.id] = found[best[1]] if best[0] >= least else one.id
        index.insert(one.id, sketch)
        recent.append(one)
    return found


def embeddings(headlines: Sequence[Headline], vectors: Mapping[int, Vectors], least: float) -> Assigned:
    def alike(a: int, b: int) -> float:
        near = float(vectors[a] @ vectors[b])
        return near if near >= least else 0.0

    return online(headlines, alike)


def read(one: Headline) -> Told:
    return told(one.title, one.summary, one.effective, one.publisher, one.companies)


# The figures


def pair_figures(pairs: Sequence[Pair], found: Assigned, *, weighted: bool) -> tuple[float, float]:
    size = [pair.weight if weighted else 1.0 for pair in pairs]
    joined = [found[pair.first] == found[pair.second] for pair in pairs]
    right = math.fsum(s for s, j, p in zip(size, joined, pairs, strict=True) if j and p.same)
    all_joined = math.fsum(s for s, j in zip(size, joined, strict=True) if j)
    all_same = math.fsum(s for s, p in zip(size, pairs, strict=True) if p.same)
    return right / all_joined if all_joined else math.nan, right / all_same


def b_cubed(window: Sequence[tuple[int, str]], found: Assigned) -> tuple[float, float]:
    made, true = defaultdict(set), defaultdict(set)
    for number, story in window:
        made[found[number]].add(number)
        true[story].add(number)
    both = [(len(made[found[n]] & true[s]), len(made[found[n]]), len(true[s])) for n, s in window]
    return math.fsum(b / m for b, m, _ in both) / len(both), math.fsum(b / t for b, _, t in both) / len(both)


def window_pairs(windows: Sequence[Sequence[tuple[int, str]]], found: Assigned) -> tuple[float, float]:
    counted = Counter(
        (found[a] == found[b], s == t) for window in windows for (a, s), (b, t) in combinations(window, 2)
    )
    right, wrong, missed = counted[True, True], counted[True, False], counted[False, True]
    return right / (right + wrong) if right + wrong else math.nan, right / (right + missed)


def report(way: str, judged: Judgements, found: Assigned, speed: float) -> None:
    for late in (False, True):
        pairs = [pair for pair in judged.pairs if pair.held_out is late and pair.weight]
        windows = [window for start, window in judged.windows.items() if held_out(start) is late]
        plain, whole = pair_figures(pairs, found, weighted=False), pair_figures(pairs, found, weighted=True)
        exact = window_pairs(windows, found)
        cubes = [b_cubed(window, found) for window in windows]
        p, r = (math.fsum(one[k] for one in cubes) / len(cubes) for k in (0, 1))
        half = "held out" if late else "tuning"
        print(
            f"{way:<34}{half:<9} pairs P {plain[0]:.3f} R {plain[1]:.3f}   weighted P {whole[0]:.3f} R {whole[1]:.3f}  "
            f"windows P {exact[0]:.3f} R {exact[1]:.3f}   B-cubed P {p:.3f} R {r:.3f} F1 {2 * p * r / (p + r):.3f}   "
            f"{speed:,.0f}/s"
        )


def report_readers(judged: Judgements, found: Assigned | None = None) -> None:
    """How the two readers of the held-out pairs agree; with `found`, what it reaches against each."""
    twice = [(pair, pair.again) for pair in judged.pairs if pair.again is not None]
    first, second = [pair.same for pair, _ in twice], [again for _, again in twice]
    if found is None:
        show_readers(first, second, [pair.stratum for pair, _ in twice])
        return
    joined = [found[pair.first] == found[pair.second] for pair, _ in twice]
    for reader, figures in against_readers(joined, first, [again.same for again in second]).items():
        print(f"  against {reader}: {figures}")


# The fit


def samples(
    headlines: Sequence[Headline], judged: Judgements, vectors: Mapping[int, Vectors]
) -> tuple[Vectors, NDArray[np.bool_], list[int]]:
    """Features, verdicts and weeks of the tuning half, where nothing keeps a pair apart and none is a copy."""
    same: dict[tuple[int, int], bool] = {(p.first, p.second): p.same for p in judged.pairs if not p.held_out}
    for start, window in judged.windows.items():
        if not held_out(start):
            for (a, s), (b, t) in combinations(sorted(window), 2):
                if s == t or float(vectors[a] @ vectors[b]) >= FAR:
                    same[a, b] = s == t
    by_id = {one.id: one for one in headlines}
    wording = {number: read(by_id[number]) for pair in same for number in pair}
    rows, verdicts, weeks = [], [], []
    for (a, b), verdict in same.items():
        one, other = sorted((wording[a], wording[b]), key=lambda each: each.at)
        if difference(one, other) is Difference.NONE and not copied(one, other):
            rarity = rarities_at(headlines, other.at)
            rows.append((*features(one, other, Memo(rarity)), float(vectors[a] @ vectors[b])))
            verdicts.append(verdict)
            # A pair that ends in a week that is held out belongs to the week in which it began.
            weeks.append(min((one.at, other.at), key=lambda at: (at.isocalendar().week % 2, at)).isocalendar().week)
    return np.array(rows, dtype=np.float32), np.array(verdicts), weeks


_RARITIES: dict[datetime, Rarities] = {}


def rarities_at(headlines: Sequence[Headline], at: datetime) -> Rarities:
    """As they stood at the last full hour."""
    hour = at.replace(minute=0, second=0)
    if hour not in _RARITIES:
        rarity = _RARITIES[hour] = Rarities()
        for one in headlines:
            if hour - WINDOW <= one.effective <= hour:
                rarity.add(read(one).body)
    return _RARITIES[hour]


def fit(rows: Vectors, verdicts: NDArray[np.bool_], weeks: Sequence[int]) -> None:
    """Weights, and what they reach in weeks that they were not fitted on."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    print(f"{len(verdicts)} pairs of the tuning half, {verdicts.sum()} of them one story")
    for name, width in (("by meaning", rows.shape[1]), ("by words", rows.shape[1] - 1)):
        line = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=3000))
        seen = rows[:, :width]
        odds = cross_val_predict(line, seen, verdicts, groups=weeks, cv=LeaveOneGroupOut(), method="decision_function")
        scale, model = line.fit(seen, verdicts)[0], line[-1]
        weights = model.coef_[0] / scale.scale_
        intercept = model.intercept_[0] - float(weights @ scale.mean_)
        print(f"{name}: ({', '.join(f'{w:.3f}' for w in (*weights, intercept))})")
        for least in np.arange(-0.5, 2.01, 0.25):
            joined = odds >= least
            print(f"  {least:5.2f}  P {verdicts[joined].mean():.3f}  R {verdicts[joined].sum() / verdicts.sum():.3f}")


def count(data: Path) -> None:
    texts = [json.loads(line)["text"] for line in (data / "sentiment" / "sentfin.jsonl").open(encoding="utf-8")]
    for name in ("sentiment/tfns.csv", "topic/tfnt.csv"):
        with (data / name).open(encoding="utf-8") as file:
            texts += [row["text"] for row in csv.DictReader(file)]
    counts = Counter(stem for text in texts for stem in stems(text))
    kept = sorted(((stem, held) for stem, held in counts.items() if held >= 12), key=lambda item: (-item[1], item[0]))
    path = Path(__file__).parents[1] / "monitor" / "news" / "word_counts.csv"
    head = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
    path.write_text("\n".join([*head, "stem,texts", *(f"{s},{n}" for s, n in kept), ""]), encoding="utf-8")
    print(f"{len(texts)} texts, {len(kept)} stems in {path}")


def timed(way: Callable[[], Assigned], size: int) -> tuple[Assigned, float]:
    """What a way found, and headlines in a second of one core; all ways run in one thread, embedding aside."""
    begun = time.process_time()
    found = way()
    return found, size / (time.process_time() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--fit", action="store_true", help="print the weights anew")
    parser.add_argument("--count", action="store_true", help="write the word counts anew")
    asked = parser.parse_args()
    if asked.count:
        count(asked.data)
        return
    headlines = replay(asked.data)
    judged = judgements(headlines)
    meanings = Meanings()
    vectors = dict(zip((h.id for h in headlines), meanings.embed([read(h).text for h in headlines]), strict=True))
    read_ones = sum(map(len, judged.windows.values()))
    print(f"{len(headlines)} headlines, {len(judged.pairs)} judged pairs, {read_ones} in windows")
    if asked.fit:
        fit(*samples(headlines, judged, vectors))
        return
    size = len(headlines)
    report_readers(judged)
    for least in (75.0, 80.0):
        report(f"sorted words (rapidfuzz) {least:.0f} %", judged, *timed(lambda: sorted_words(headlines, least), size))  # noqa: B023  # called at once
    for least in (0.4, 0.6):
        report(f"MinHash LSH (datasketch) {least}", judged, *timed(lambda: minhash(headlines, least), size))  # noqa: B023  # called at once
    for least in (0.7, 0.8, 0.85):
        report(f"embedding alone {least}", judged, *timed(lambda: embeddings(headlines, vectors, least), size))  # noqa: B023  # called at once
    report("Squall by words", judged, *timed(lambda: squall(headlines, None), size))
    fresh = Meanings()
    found, speed = timed(lambda: squall(headlines, fresh), size)
    report("Squall by meaning", judged, found, speed)
    report_readers(judged, found)
    print(f"embedded {fresh.asked} texts of {size} headlines, in {fresh.seconds:.1f} s")
    tracemalloc.start()
    stories = Stories(CompanyMatcher())
    stories.assign(headlines)
    print(f"memory {tracemalloc.get_traced_memory()[0] / len(stories):.0f} bytes a remembered title, without meanings")


if __name__ == "__main__":
    main()
