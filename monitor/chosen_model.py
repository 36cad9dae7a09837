"""Which model scores: the adapter that the settings name, else the champion of the library, else the shipped one.

takes  the [model] table of the settings
gives  an adapter, or the scorer of it
never  decides which model is better
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from models.adapters import Adapter, find_adapter
from models.encoder import find_encoder
from models.library import Library, tier
from monitor.settings import ModelSettings

if TYPE_CHECKING:
    from models.scorer import Scorer


def chosen_folder(settings: ModelSettings) -> Path:
    """Where the adapter lies that scores by these settings, now: a promotion changes the answer.

    Raises:
        AdapterDamaged: when the library's record cannot be understood.
    """
    return tier(settings.adapter) if settings.adapter else Library(settings.library).champion_folder()


def chosen_adapter(settings: ModelSettings) -> Adapter:
    """The adapter that scores by these settings.

    Raises:
        AdapterMissing, AdapterDamaged: see `find_adapter` and `Library.champion`.
    """
    if settings.adapter:
        return find_adapter(tier(settings.adapter), settings.encoder)
    return Library(settings.library).champion(settings.encoder)


def adapter_in(folder: Path, settings: ModelSettings) -> Adapter:
    """The adapter in a folder, upon the settings' encoder where that is the one it was trained on.

    Raises:
        AdapterMissing, AdapterDamaged: see `find_adapter`.
        EncoderMissing, EncoderDamaged: when the settings name an encoder that is none.
    """
    found = find_adapter(folder)
    if settings.encoder and find_encoder(settings.encoder).sha256 == found.settings.encoder_sha256:
        return find_adapter(folder, settings.encoder)
    return found


def scorer_of(settings: ModelSettings, adapter: Adapter | None = None) -> Scorer:
    """The loaded model of these settings, or another adapter run as they say.

    Raises:
        ModelError: when it cannot be found or loaded.
    """
    from models.scorer import Scorer

    return Scorer(
        adapter or chosen_adapter(settings),
        device=settings.device,
        precision=settings.precision,
        runtime=settings.runtime,
        budget=settings.token_budget,
        cache=settings.cache,
    )


def embedder_for(scorer: Scorer) -> Scorer:
    """What embeds texts for themes and stories: the embedded encoder, with which their thresholds were set.

    Raises:
        ModelError: when it cannot be found or loaded.
    """
    shipped = find_adapter()
    if scorer.adapter.settings.encoder_sha256 == shipped.settings.encoder_sha256:
        return scorer
    return scorer.beside(shipped)
