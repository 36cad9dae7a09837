"""How well companies are linked: judged headlines of the replay, by half and stratum, and the matcher's speed.

    python benchmarks/companies.py --data ../shared/data

Of the first 450 headlines the half follows from the first digit of the hash: even ones tune, odd ones are held out. The
`later` ones were drawn and read when rules and gazetteer stood: 90 in which something was linked, 90 of the business
feeds. `listed` counts only companies that the gazetteer knows; `all` also those that it lacks, which nothing can link.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import time
from collections import Counter
from pathlib import Path

from monitor.news.companies import CompanyMatcher, gazetteer
from monitor.news.headlines import LONGEST_TITLE, clean

JUDGED = Path(__file__).parents[1] / "tests" / "judged" / "companies.csv"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    asked = parser.parse_args()
    with (asked.data / "replay" / "finance_2023q1.csv").open(encoding="utf-8") as file:
        titles = [clean(row["title"], LONGEST_TITLE) for row in csv.DictReader(file)]
    by_digest = {hashlib.sha256(title.encode()).hexdigest(): title for title in titles}
    matcher, known = CompanyMatcher(), {company.ticker for company in gazetteer()}
    counts: Counter[tuple[str, str, str]] = Counter()
    with JUDGED.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            title = by_digest[row["title_sha256"]]
            odd = int(row["title_sha256"][0], 16) % 2
            half = "later" if row["stratum"].startswith("later") else "held out" if odd else "tuning"
            named, unclear = set(row["companies"].split()), set(row["unclear"].split())
            found = set(matcher.match(title)) - unclear
            for stratum in (row["stratum"], "both"):
                counts[half, stratum, "headlines"] += 1
                counts[half, stratum, "right"] += len(found & named)
                counts[half, stratum, "wrong"] += len(found - named)
                counts[half, stratum, "missed"] += len((named & known) - found)
                counts[half, stratum, "unknown"] += len(named - known)
    for half, strata in (
        ("tuning", ("random", "enriched", "both")),
        ("held out", ("random", "enriched", "both")),
        ("later", ("later-linked", "later-business", "both")),
    ):
        for stratum in strata:
            headlines, right, wrong, missed, unknown = (
                counts[half, stratum, what] for what in ("headlines", "right", "wrong", "missed", "unknown")
            )
            print(
                f"{half:<9}{stratum:<15} {headlines} headlines, {right + missed + unknown} companies   "
                f"precision {right / (right + wrong):.3f}   recall listed {right / (right + missed):.3f} "
                f"all {right / (right + missed + unknown):.3f}"
            )
    begun = time.process_time()
    for title in titles:
        matcher.match(title)
    spent = time.process_time() - begun
    names = sum(len(company.names) + len(company.contextual) for company in gazetteer())
    print(f"{len(known)} companies, {names} names: {spent / len(titles) * 1e6:.1f} microseconds a headline")


if __name__ == "__main__":
    main()
