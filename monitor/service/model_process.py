"""The model in a process of its own: what kills it, kills nothing else.

takes  questions, over a socket to the child
gives  its answers, or `ModelLost` when it died or did not answer in time
never  unpickles, and never waits for ever: a child that is late is ended

A crash of native code, the kernel's out-of-memory killer, and a GPU whose context is lost (after which a process
can never use it again) all end one process. Run as `python -m monitor.service.model_process FD` it is that process.
Messages are JSON behind four bytes of length.
"""

from __future__ import annotations

import base64
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import ModelError
from models.score import Abstention, CompanyScore, Score
from models.themes import Theme
from monitor.errors import ModelLost
from monitor.series import Scored
from monitor.service.opinions import LoadedModel, Question
from monitor.service.trimming import trim
from monitor.settings import LogSettings, ModelSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# The first load on a machine quantises the model, which takes minutes on a slow one.
LOAD_SECONDS = 900.0
_LENGTH = struct.Struct("!I")
_LARGEST = 256 * 2**20
_GOING_SECONDS = 2.0
# Between two times that free memory goes back to the system: it takes milliseconds.
_TRIM_SECONDS = 60.0
# oneDNN below OpenVINO keeps what it made for each shape of batch, by default 1,024 of them: in weeks hundreds of
# megabytes. With 128 memory settles at once; whoever sets it otherwise is heeded.
_FRUGAL = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "128"}
# Linux: between 0 and 1000; who needs memory badly takes the model before the daemon, which can begin it anew.
_EXPENDABLE = "500"


class ModelProcess:
    """A model in a child process. Not safe for several threads at once, except `close`.

    Args:
        settings: the [model] table; its `answer_seconds` bound every answer.
        themes: to match.

    Raises:
        ModelError: when the model cannot be found or loaded, in the child's words.
        ModelLost: when the child died meanwhile, or took too long.
    """

    def __init__(self, settings: ModelSettings, themes: Sequence[Theme]) -> None:
        self._seconds = settings.answer_seconds
        ours, theirs = socket.socketpair()
        with theirs:
            self._socket = ours
            self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
                [sys.executable, "-m", "monitor.service.model_process", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                env={**_FRUGAL, **os.environ},
                # Ctrl-C is for the daemon, which ends its helpers itself.
                start_new_session=True,
            )
        told = {
            "settings": settings.model_dump(mode="json"),
            "themes": [theme.model_dump(mode="json") for theme in themes],
        }
        try:
            loaded = self._ask(told, LOAD_SECONDS)
        except BaseException:
            self.close()
            raise
        self._id, self._runtime = str(loaded["model"]), str(loaded["runtime"])
        self._folder = Path(loaded["folder"])

    @property
    def id(self) -> str:
        """See `monitor.service.opinions.Model`."""
        return self._id

    @property
    def runtime(self) -> str:
        """See `monitor.service.opinions.Model`."""
        return self._runtime

    @property
    def folder(self) -> Path:
        """See `monitor.service.opinions.Model`."""
        return self._folder

    @property
    def pid(self) -> int:
        """Of the child."""
        return self._process.pid

    def answer(self, questions: Sequence[Question]) -> list[Scored]:
        """See `monitor.service.opinions.Model`.

        Raises:
            ModelLost: when the child died, or did not answer in time.
            ModelError: when it failed and says so.
        """
        asked = [[one.title, dict(one.named)] for one in questions]
        rows = self._ask({"score": asked}, self._seconds)["scored"]
        return [_scored(*row) for row in rows]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `monitor.service.opinions.Model`; raises as `answer` does."""
        import numpy as np

        told = self._ask({"embed": list(texts)}, self._seconds)
        vectors: NDArray[np.float32] = np.frombuffer(base64.b64decode(told["vectors"]), dtype="<f4")
        return vectors.reshape(len(texts), told["width"])

    def close(self) -> None:
        """End the child; who waits for its answer learns that it is lost."""
        with suppress(OSError):
            # Not `close`, which would take the socket from under a thread that waits on it.
            self._socket.shutdown(socket.SHUT_RDWR)
        # It holds nothing that it would have to put away.
        self._process.kill()
        self._process.wait()
        self._socket.close()

    def _ask(self, told: dict[str, Any], seconds: float) -> dict[str, Any]:
        until = time.monotonic() + seconds
        try:
            _send(self._socket, told, until)
            answered = _receive(self._socket, until)
        except TimeoutError as error:
            self._process.kill()
            raise ModelLost(
                f"the model's process did not answer within {seconds:g} s and was ended; it is begun anew. On a slow "
                "machine raise model.answer_seconds"
            ) from error
        except (OSError, ValueError, EOFError) as error:
            raise ModelLost(f"the model's process {self._end()}; it is begun anew") from error
        if "error" in answered:
            raise ModelError(str(answered["error"]))
        return answered

    def _end(self) -> str:
        """How the child ended, in words."""
        try:
            code = self._process.wait(_GOING_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return "spoke nonsense and was ended"
        if code == -signal.SIGKILL:
            return "was killed (by the system, where memory was short, or by somebody)"
        return f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


def _send(to: socket.socket, told: dict[str, Any], until: float | None = None) -> None:
    body = json.dumps(told).encode()
    if until is not None:
        to.settimeout(max(0.001, until - time.monotonic()))
    to.sendall(_LENGTH.pack(len(body)) + body)


def _receive(source: socket.socket, until: float | None = None) -> dict[str, Any]:
    (size,) = _LENGTH.unpack(_exactly(source, _LENGTH.size, until))
    if size > _LARGEST:
        raise ValueError(f"a message of {size} bytes is none of ours")
    told = json.loads(_exactly(source, size, until))
    if not isinstance(told, dict):
        raise ValueError("a message must be an object")  # what is said is wrong, not our use of it
    return told


def _exactly(source: socket.socket, size: int, until: float | None) -> bytes:
    parts, missing = [], size
    while missing:
        if until is not None:
            source.settimeout(max(0.001, until - time.monotonic()))
        part = source.recv(min(missing, 2**20))
        if not part:
            raise EOFError
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _row(scored: Scored) -> list[Any]:
    return [asdict(scored.score), scored.themes, [(ticker, asdict(one)) for ticker, one in scored.towards]]


def _scored(score: dict[str, Any], themes: list[str], towards: list[tuple[str, dict[str, Any]]]) -> Scored:
    companies = tuple(CompanyScore(**one) for one in score.pop("companies"))
    topics = tuple((str(name), float(share)) for name, share in score.pop("topics"))
    made = Score(**{**score, "abstention": Abstention(score["abstention"])}, topics=topics, companies=companies)
    return Scored(made, tuple(themes), tuple((ticker, CompanyScore(**one)) for ticker, one in towards))


# In the child


def _answered(model: LoadedModel, asked: dict[str, Any]) -> dict[str, Any]:
    if "embed" in asked:
        vectors = model.embed(asked["embed"]).astype("<f4")
        return {"vectors": base64.b64encode(vectors.tobytes()).decode(), "width": vectors.shape[1]}
    questions = [Question(title, named) for title, named in asked["score"]]
    return {"scored": [_row(one) for one in model.answer(questions)]}


def _serve(parent: socket.socket) -> None:
    """Load, then answer one message after the other until nobody asks any more; end after an error of the device."""
    told = _receive(parent)
    try:
        themes = [Theme.model_validate(one) for one in told["themes"]]
        model = LoadedModel(ModelSettings.model_validate(told["settings"]), themes)
        _send(parent, {"model": model.id, "runtime": model.runtime, "folder": str(model.folder)})
        trimmed = time.monotonic()
        while True:
            _send(parent, _answered(model, _receive(parent)))
            if time.monotonic() - trimmed > _TRIM_SECONDS:
                trim()
                trimmed = time.monotonic()
    except (ModelError, RuntimeError, MemoryError, OSError, ImportError) as error:
        # Also of a parent that is gone; then nobody hears it.
        _send(parent, {"error": str(error) or type(error).__name__})


def _leave_with(parent: socket.socket) -> None:
    """End this process when the daemon is gone, also in the middle of loading or of a portion."""
    gone = select.poll()
    # Nothing is asked of it but what is always told: that the other side hung up.
    gone.register(parent, 0)
    gone.poll()
    os._exit(0)


def _main() -> None:
    from monitor.logs import set_up_logs

    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_EXPENDABLE)
    # What libraries print is no answer to anybody.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    set_up_logs(LogSettings(level="warning"))
    with socket.socket(fileno=int(sys.argv[1])) as parent, suppress(EOFError, BrokenPipeError, ConnectionError):
        threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()
        _serve(parent)


if __name__ == "__main__":
    _main()
