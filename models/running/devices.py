"""Where a model runs, and in which numbers.

takes  names from the settings, `auto` among them
gives  a `Place`: runtime, device and precision that this machine has
never  loads a model
"""

from __future__ import annotations

import importlib.util
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import RuntimeMissing
from models.running.openvino_library import installed

if TYPE_CHECKING:
    import torch


def pick_device(name: str) -> torch.device:
    """`auto` takes CUDA, then Apple's MPS, then the CPU; anything else is torch's own name for a device.

    Raises:
        RuntimeMissing: when there is no such device here, or this torch cannot use it.
    """
    import torch

    if name != "auto":
        try:
            # A name that can be understood may still be of a device that is not there.
            return torch.empty(0, device=name).device
        except (RuntimeError, AssertionError) as error:
            why = str(error).strip().partition("\n")[0]
            raise RuntimeMissing(
                f"torch cannot run the model on {name!r} here: {why}; set model.device to 'auto' or 'cpu'"
            ) from error
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def pick_precision(name: str, device: torch.device) -> str:
    """`auto` takes bf16 where the device multiplies it in hardware, fp16 on older CUDA devices, else fp32."""
    import torch

    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if device.type == "cpu":
        return "bf16" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "fp32"
    return "fp32"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a model runs: `runtime` is `openvino` or `torch`; with torch, device and precision may still be `auto`.

    Attributes:
        fixed: whether the settings insist on the runtime; otherwise torch may step in where OpenVINO fails.
    """

    runtime: str
    device: str
    precision: str
    fixed: bool


def pick_place(runtime: str, device: str, precision: str) -> Place:
    """Choose between OpenVINO and torch, without importing either.

    Args:
        runtime: `auto` takes OpenVINO on a CPU where it is installed and the precision is `auto` or int8, else torch.
        device, precision: as in the settings; `auto` is resolved for OpenVINO: int8 where it can be made, else bf16.

    Raises:
        RuntimeMissing: when what is asked for is not installed, or does not go together.
    """
    if runtime == "openvino" and not installed("openvino"):
        raise RuntimeMissing("OpenVINO is not installed: pip install openvino nncf, or set model.runtime to 'auto'")
    if runtime == "openvino" and device not in {"auto", "cpu"}:
        raise RuntimeMissing(f"OpenVINO runs on the CPU, not on {device}; set model.device to 'cpu' or 'auto'")
    # Who asks for bf16 or fp32 wants torch's own figures, unless OpenVINO is named as well.
    rounds = precision in {"auto", "int8"}
    taken = runtime == "openvino" or (runtime == "auto" and rounds and installed("openvino") and surely_cpu(device))
    if not taken:
        if precision == "int8":
            raise RuntimeMissing("int8 needs OpenVINO on a CPU; set model.precision to 'auto'")
        return Place("torch", device, precision, fixed=True)
    if precision == "fp16":
        raise RuntimeMissing("OpenVINO computes in int8, bf16 or fp32 on a CPU; set model.precision to 'auto'")
    if precision == "int8" and not installed("nncf"):
        raise RuntimeMissing("int8 needs nncf, which makes it: pip install nncf, or set model.precision to 'auto'")
    if precision == "auto":
        precision = "int8" if installed("nncf") else "bf16"
    return Place("openvino", "cpu", precision, fixed=runtime == "openvino")


def surely_cpu(name: str) -> bool:
    """Whether `name` can only mean the CPU here; answered without importing torch, which takes seconds."""
    if name != "auto":
        return name.split(":")[0] == "cpu"
    if sys.platform == "darwin":
        return False
    return _torch_is_for_cpus() or not any(Path(node).exists() for node in ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg"))


def _torch_is_for_cpus() -> bool:
    """Whether the installed torch was built without CUDA and ROCm: its version file says so."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return True
    file = Path(spec.origin).with_name("version.py")
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    found = dict(re.findall(r"^(cuda|hip)\b[^=\n]*=\s*(\S+)", text, re.MULTILINE))
    return found.get("cuda") == "None" and found.get("hip", "None") == "None"
