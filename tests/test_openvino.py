"""OpenVINO on the CPU: the same labels as torch, prepared once, and silent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from models.adapters import find_adapter
from models.encoder import find_encoder
from models.errors import GraphUnusable, RuntimeMissing
from models.running.devices import Place, pick_place
from models.running.doubt import doubtful
from models.running.networks import open_networks
from models.running.openvino_library import installed, usable_cores
from models.scorer import Scorer, load_scorer
from models.themes import default_themes

needs_openvino = pytest.mark.skipif(
    not (installed("openvino") and installed("nncf")), reason="openvino is not installed"
)

TEXTS = [text for theme in default_themes() for text in theme.examples][::2]


@pytest.fixture(scope="module")
def fast() -> Scorer:
    return load_scorer(device="cpu", runtime="openvino", precision="int8")


@pytest.fixture(scope="module")
def exact() -> Scorer:
    return load_scorer(device="cpu", runtime="torch", precision="fp32")


@needs_openvino
def test_labels_are_those_of_torch_in_full_precision(fast: Scorer, exact: Scorer) -> None:
    sentiment, topic = fast.probabilities(TEXTS)
    expected, expected_topic = exact.probabilities(TEXTS)
    # One text in a hundred may tip over; these are a hundred.
    assert (sentiment.argmax(1) != expected.argmax(1)).sum() <= 1
    assert (topic.argmax(1) != expected_topic.argmax(1)).mean() <= 0.02
    assert np.abs(sentiment - expected).mean() < 0.02


@needs_openvino
def test_long_short_and_padded_texts_come_out_as_they_do_alone(fast: Scorer) -> None:
    texts = ["Oil", "Bank collapses after depositors withdraw billions", "Shares plunge " * 40, "", "市场恐慌"]
    together, _ = fast.probabilities(texts)
    alone = np.concatenate([fast.probabilities([text])[0] for text in texts])
    assert np.abs(together - alone).max() < 0.03


# Threads that hand over to each other as often as they can, at their first calls.
_HASTY = """
import sys
sys.setswitchinterval(1e-6)
from models.scorer import load_scorer
scorer = load_scorer(device="cpu", runtime="openvino")
scorer.score([f"Bank {n} collapses after savers leave " * (1 + n % 9) for n in range(300)])
"""


@needs_openvino
def test_first_calls_of_many_threads_do_not_wait_for_each_other(fast: Scorer) -> None:
    """Without the call ahead of all others about one process in eight stood still here for ever."""
    for _ in range(3):
        subprocess.run([sys.executable, "-c", _HASTY], check=True, timeout=100)


@needs_openvino
def test_vectors_are_those_of_torch(fast: Scorer, exact: Scorer) -> None:
    vectors, expected = fast.embed(TEXTS[:20]), exact.embed(TEXTS[:20])
    assert ((vectors * expected).sum(axis=1) > 0.999).all()


@needs_openvino
def test_a_second_start_needs_neither_torch_nor_telemetry(fast: Scorer) -> None:
    """The graphs were prepared by `fast`: starting again imports OpenVINO alone, and not what reports its use."""
    script = """
import sys
from models.scorer import load_scorer
scorer = load_scorer(device="cpu", runtime="openvino")
scorer.score(["Bank collapses"])
scorer.embed(["Bank collapses"])
print(scorer.runtime, sorted({"torch", "transformers", "nncf"} & set(sys.modules)), sys.modules["openvino_telemetry"])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "openvino int8 on cpu [] None", done.stderr


@needs_openvino
def test_a_damaged_graph_is_made_anew(tmp_path: Path) -> None:
    place = Place("openvino", "cpu", "fp32", fixed=True)
    open_networks(place, find_adapter(), find_encoder(), tmp_path)
    (kept,) = tmp_path.iterdir()
    (kept / "fast.xml").write_text("no graph")
    networks = open_networks(place, find_adapter(), find_encoder(), tmp_path)
    assert networks.scoring()[0].name == "openvino fp32 on cpu"
    assert (kept / "fast.xml").read_text() != "no graph"


@needs_openvino
def test_torch_steps_in_where_openvino_cannot_take_the_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: object) -> None:
        raise GraphUnusable("no such operation")

    monkeypatch.setattr("models.running.openvino_graphs.scoring_graphs", refuse)
    networks = open_networks(Place("openvino", "cpu", "int8", fixed=False), find_adapter(), find_encoder(), tmp_path)
    assert networks.scoring()[0].name.startswith("torch ")
    with pytest.raises(GraphUnusable, match="no such operation"):
        open_networks(Place("openvino", "cpu", "int8", fixed=True), find_adapter(), find_encoder(), tmp_path)


@needs_openvino
def test_without_a_place_for_graphs_it_runs_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    scorer = load_scorer(device="cpu", runtime="openvino", precision="fp32", cache=tmp_path / "file")
    assert scorer.score(["Bank collapses after depositors withdraw billions"])[0].counts_as_negative


def test_only_close_calls_are_looked_at_again() -> None:
    sure, close = [5.0, 0.0, 0.0], [1.0, 1.1, 0.0]
    logits = {
        "sentiment": np.array([sure, close, sure, sure, close], dtype=np.float32),
        "topic": np.array([sure, sure, close, sure, close], dtype=np.float32),
        "company": np.array([close, sure, sure, close, sure], dtype=np.float32),
    }
    # Three texts, then two pairs: what the heads for texts make of a pair is nobody's label, and the other way round.
    assert doubtful(logits, 3).tolist() == [False, True, True, True, False]


@needs_openvino
def test_the_second_look_replaces_what_the_first_rounded(fast: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = next(fast._read(TEXTS[:10], None)).ids
    assert fast._sure is not None
    expected = fast._forward(fast._sure, ids)["sentiment"]
    rounded = fast._forward(fast._net, ids)["sentiment"]
    monkeypatch.setattr("models.scorer.doubtful", lambda found, _: np.arange(len(found["sentiment"])) < 5)
    found = fast._logits(ids, counted=10)["sentiment"]
    assert np.abs(found[:5] - expected[:5]).max() < 0.05
    assert np.abs(found[5:] - rounded[5:]).max() < 0.05
    assert np.abs(expected - rounded).max() > 0.05


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (("openvino", "cuda", "auto"), "runs on the CPU, not on cuda"),
        (("torch", "cpu", "int8"), "int8 needs OpenVINO"),
        (("auto", "cuda", "int8"), "int8 needs OpenVINO"),
        (("openvino", "cpu", "fp16"), "int8, bf16 or fp32"),
    ],
)
def test_what_does_not_go_together_is_refused(asked: tuple[str, str, str], reason: str) -> None:
    if asked[0] == "openvino" and not installed("openvino"):
        pytest.skip("openvino is not installed")
    with pytest.raises(RuntimeMissing, match=reason):
        pick_place(*asked)


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.running.devices.installed", lambda name: name != "nncf")
    assert pick_place("auto", "cpu", "auto") == Place("openvino", "cpu", "bf16", fixed=False)
    with pytest.raises(RuntimeMissing, match="pip install nncf"):
        pick_place("auto", "cpu", "int8")
    monkeypatch.setattr("models.running.devices.installed", lambda name: False)
    assert pick_place("auto", "cpu", "auto") == Place("torch", "cpu", "auto", fixed=True)
    with pytest.raises(RuntimeMissing, match="pip install openvino"):
        pick_place("openvino", "cpu", "auto")


def test_who_names_a_precision_of_torch_gets_torch() -> None:
    assert pick_place("auto", "cpu", "fp32").runtime == "torch"
    assert pick_place("auto", "cuda:1", "auto") == Place("torch", "cuda:1", "auto", fixed=True)


def test_a_shared_machine_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert usable_cores() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "nonsense")
    assert usable_cores() >= 1
