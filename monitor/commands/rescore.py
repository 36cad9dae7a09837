"""`squall rescore`: one model's opinion of everything that is stored."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from monitor.commands.opening import demand_store, keep_private, settings_of

# Headlines in hand at a time: each portion is one transaction, so a stopped run goes on where it was.
_PORTION = 5_000


@click.command()
@click.pass_context
def rescore(ctx: click.Context) -> None:
    """Score every stored headline that another model scored, then recount. The daemon must be stopped.

    What was alerted stays as it was; a run that is stopped goes on at the next call.
    """
    from monitor.news.companies import CompanyMatcher
    from monitor.news.own_companies import with_own
    from monitor.service.scoring import Scoring
    from monitor.storage.store import Store
    from monitor.watched import watched_themes

    settings = settings_of(ctx)
    keep_private()
    demand_store(settings.store.path)
    scoring = Scoring(settings.model, watched_themes(settings), companies=CompanyMatcher(with_own(settings.companies)))
    chosen = settings.store
    with Store.open(chosen.path, datetime.now(UTC), memory_limit=chosen.memory_limit, threads=chosen.threads) as store:
        model, done = scoring.load(), 0
        while headlines := store.outdated(model, _PORTION):
            store.replace_scores(scoring.score_all(headlines))
            done += len(headlines)
            click.echo(f"{done} headlines scored again", err=True)
        # Also after a run that was cut off between its last portion and the recount.
        store.rebuild_rollups()
    click.echo(f"{done} headlines scored again by {model}; counts are rebuilt")
