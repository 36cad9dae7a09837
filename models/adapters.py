"""An adapter folder: what is in it, how it is read, and what it is called.

takes  a folder with adapter_model.safetensors, heads.safetensors, squall.json
gives  `Adapter`: its settings and its model id
never  unpickles: weights are safetensors, the rest is JSON
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import AdapterDamaged, AdapterMissing

if TYPE_CHECKING:
    from torch import Tensor, nn


SHIPPED = Path(__file__).parent / "adapters" / "fast"
WEIGHTS = "adapter_model.safetensors"
HEADS = "heads.safetensors"
CONFIG = "adapter_config.json"
# The kind of adapter, in the same place as peft's own kinds, that holds every weight of the encoder.
FULL = "FULL"
SETTINGS = "squall.json"
METRICS = "metrics.json"
CARD = "README.md"
_PARTS = (WEIGHTS, CONFIG, HEADS, SETTINGS)


@dataclass(frozen=True, slots=True)
class AdapterSettings:
    """How scores are made with this adapter.

    Attributes:
        encoder: where the base encoder comes from (`embedded`, a folder or a hub id), with its name and hash.
        longest: tokens after which a text is truncated.
        sentiment_temperature, topic_temperature, company_temperature: divide the logits, fitted on validation data.
        topic_threshold: a topic at or above this probability is assigned.
        abstain_below: a sentiment less probable than this is an abstention.
        headline_share: of what is said of a company that a headline names alone, the share that is the sentiment of
            the headline itself; the rest is the reading towards the company. 0 to 1.
    """

    encoder: str
    encoder_name: str
    encoder_sha256: str
    longest: int
    sentiment_temperature: float = 1.0
    topic_temperature: float = 1.0
    company_temperature: float = 1.0
    topic_threshold: float = 0.3
    abstain_below: float = 0.45
    headline_share: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no score can be made with.

        Raises:
            ValueError: naming the first value that is absurd.
        """
        for name in ("encoder", "encoder_name", "encoder_sha256"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} must be text")
        # Not isinstance: true is an int to Python.
        if type(self.longest) is not int or self.longest < 1:
            raise ValueError(f"longest must be a whole number above 0, not {self.longest!r}")
        for name in ("sentiment_temperature", "topic_temperature", "company_temperature"):
            if not 0 < _number(getattr(self, name)) < math.inf:
                raise ValueError(f"{name} must be a number above 0, not {getattr(self, name)!r}")
        for name in ("topic_threshold", "abstain_below", "headline_share"):
            if not 0 <= _number(getattr(self, name)) <= 1:
                raise ValueError(f"{name} must be a number from 0 to 1, not {getattr(self, name)!r}")


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter on disk; `model` is the id that every score carries."""

    folder: Path
    settings: AdapterSettings
    model: str


def find_adapter(folder: Path | None = None, encoder: str = "") -> Adapter:
    """Read an adapter folder's settings and derive its model id; loads no weights into memory.

    Args:
        folder: made by `save_adapter`; the shipped adapter when None.
        encoder: where the base encoder lies, instead of the place that the adapter names; it must be the same weights.

    Raises:
        AdapterMissing: when the folder or its weights are not there.
        AdapterDamaged: when its settings cannot be understood.
    """
    folder = folder or SHIPPED
    if folder.name in ("", ".."):
        # `.` and `..` are names that no model can be called by.
        folder = folder.resolve()
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
        settings = AdapterSettings(**json.loads((folder / SETTINGS).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise AdapterDamaged(f"{folder / SETTINGS} cannot be understood: {error}; restore it or train again") from error
    try:
        model = _model_id(folder, settings)
    except OSError as error:
        raise AdapterDamaged(f"the adapter in {folder} cannot be read: {error}; restore the folder") from error
    return Adapter(folder, replace(settings, encoder=encoder) if encoder else settings, model)


def tasks_of(adapter: Adapter) -> frozenset[str]:
    """The tasks that the adapter has heads for, from the names in its heads' file; the weights are not read.

    Raises:
        AdapterDamaged: when the file is no safetensors.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(adapter.folder / HEADS), framework="numpy") as file:
            return frozenset(name.split(".")[1] for name in file.keys() if name.startswith("tasks."))  # noqa: SIM118 - safe_open is no mapping
    except (OSError, SafetensorError) as error:
        raise AdapterDamaged(
            f"the adapter in {adapter.folder} cannot be loaded: {error}; restore the folder or train it again"
        ) from error


def save_adapter(folder: Path, encoder: nn.Module, heads: nn.Module, settings: AdapterSettings) -> Adapter:
    """Write everything that `find_adapter` reads; metrics and card come from models/training/report.py.

    Args:
        encoder: with an adapter of peft's in it, of which only the adapter is written; or trained as a whole.
    """
    from peft import PeftModel
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(encoder, PeftModel):
        encoder.save_pretrained(str(folder))
    else:
        save_file(_tensors(encoder), str(folder / WEIGHTS))
        (folder / CONFIG).write_text(_json({"peft_type": FULL}))
    save_file(_tensors(heads), str(folder / HEADS))
    for part in (WEIGHTS, HEADS):
        # safetensors writes files that only their owner may read; an adapter is there to be shipped.
        (folder / part).chmod(0o644)
    (folder / SETTINGS).write_text(_json(asdict(settings)))
    _forget_machine(folder / CONFIG, settings.encoder_name)
    return find_adapter(folder)


def put_in_place(made: Path, folder: Path) -> None:
    """Move a whole adapter to where it is looked for; what else lies there stays.

    Whoever looks meanwhile, or after a kill, finds no adapter there, and never parts of two.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SETTINGS).unlink(missing_ok=True)
    for file in sorted(made.iterdir(), key=lambda one: one.name == SETTINGS):
        file.replace(folder / file.name)


def _number(value: object) -> float:
    """NaN for what is none: no range holds it."""
    return value if isinstance(value, float | int) and not isinstance(value, bool) else math.nan


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().cpu().contiguous() for name, p in module.state_dict().items()}


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
