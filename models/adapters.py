"""An adapter folder: what is in it, how it is read, and what it is called.

takes  a folder with adapter_model.safetensors, heads.safetensors, squall.json
gives  `Adapter`: its settings and its model id
never  unpickles: weights are safetensors, the rest is JSON
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import AdapterDamaged, AdapterMissing

if TYPE_CHECKING:
    from peft import PeftModel

    from models.metrics import Metrics
    from models.network import Heads

SHIPPED = Path(__file__).parent / "adapters" / "fast"
WEIGHTS = "adapter_model.safetensors"
HEADS = "heads.safetensors"
SETTINGS = "squall.json"
METRICS = "metrics.json"
CARD = "README.md"
_PARTS = (WEIGHTS, "adapter_config.json", HEADS, SETTINGS)


@dataclass(frozen=True, slots=True)
class AdapterSettings:
    """How scores are made with this adapter.

    Attributes:
        encoder: where the base encoder comes from (`embedded`, a folder or a hub id), with its name and hash.
        longest: tokens after which a text is truncated.
        sentiment_temperature, topic_temperature: divide the logits, fitted on validation data.
        topic_threshold: a topic at or above this probability is assigned.
        abstain_below: a sentiment less probable than this is an abstention.
    """

    encoder: str
    encoder_name: str
    encoder_sha256: str
    longest: int
    sentiment_temperature: float = 1.0
    topic_temperature: float = 1.0
    topic_threshold: float = 0.3
    abstain_below: float = 0.45


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter on disk; `model` is the id that every score carries."""

    folder: Path
    settings: AdapterSettings
    model: str


def find_adapter(folder: Path | None = None) -> Adapter:
    """Read an adapter folder's settings and derive its model id; loads no weights into memory.

    Raises:
        AdapterMissing: when the folder or its weights are not there.
        AdapterDamaged: when its settings cannot be understood.
    """
    folder = folder or SHIPPED
    if not (folder / SETTINGS).is_file():
        raise AdapterMissing(
            f"there is no adapter in {folder}; name a folder made by `squall train` under model.adapter, "
            "or leave model.adapter out to use the shipped one"
        )
    lacking = [part for part in _PARTS if not (folder / part).is_file()]
    if lacking:
        raise AdapterDamaged(
            f"the adapter in {folder} lacks {', '.join(lacking)}; restore the folder or train it again"
        )
    try:
        settings = AdapterSettings(**json.loads((folder / SETTINGS).read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise AdapterDamaged(f"{folder / SETTINGS} cannot be understood: {error}; restore it or train again") from error
    return Adapter(folder, settings, _model_id(folder, settings))


def save_adapter(
    folder: Path,
    adapted: PeftModel,
    heads: Heads,
    settings: AdapterSettings,
    recipe: Any,
    results: dict[str, Metrics],
) -> dict[str, Any]:
    """Write everything that `find_adapter` reads, and the metrics beside it.

    Returns:
        the metrics as written: model id, recipe, and figures by test set.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    adapted.save_pretrained(str(folder))
    save_file({name: p.detach().cpu().contiguous() for name, p in heads.state_dict().items()}, str(folder / HEADS))
    (folder / SETTINGS).write_text(_json(asdict(settings)))
    _forget_machine(folder / "adapter_config.json", settings.encoder_name)
    metrics = {
        "model": _model_id(folder, settings),
        "recipe": asdict(recipe),
        "test": {source: measured.as_dict() for source, measured in results.items()},
    }
    (folder / METRICS).write_text(_json(metrics))
    return metrics


def _model_id(folder: Path, settings: AdapterSettings) -> str:
    """`fast-1a2b3c4d5e`: folder name and a hash over encoder, weights and settings."""
    digest = hashlib.sha256(settings.encoder_sha256.encode())
    for part in (WEIGHTS, HEADS, SETTINGS):
        digest.update((folder / part).read_bytes())
    return f"{folder.name}-{digest.hexdigest()[:10]}"


def _forget_machine(config: Path, encoder_name: str) -> None:
    """peft notes the folder that the encoder was loaded from; the card needs its name, not a path of this machine."""
    values = json.loads(config.read_text())
    values["base_model_name_or_path"] = encoder_name
    config.write_text(_json(values))


def _json(values: object) -> str:
    return json.dumps(values, indent=2, sort_keys=True, default=str) + "\n"
