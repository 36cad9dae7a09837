"""The library of adapters: copies that stay whole, champions and the way back, and adapters that cannot be used."""

from __future__ import annotations

import json
import math
import os
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from models.adapters import SHIPPED, find_adapter
from models.errors import AdapterDamaged, AdapterMissing
from models.library import Library, tier
from models.scorer import load_scorer


def test_the_shipped_adapter_is_the_champion_until_another_is_promoted(tmp_path: Path) -> None:
    library = Library(tmp_path / "library")
    assert library.champion() == find_adapter()
    with pytest.raises(AdapterMissing, match="nothing was promoted"):
        library.roll_back()
    other = tmp_path / "mine"
    shutil.copytree(SHIPPED, other)
    promoted = library.promote(find_adapter(other))
    assert promoted.model == find_adapter(other).model
    shutil.rmtree(other)
    assert library.champion() == promoted
    assert promoted.model in {one.model for one in library.adapters()}
    assert library.roll_back() == find_adapter()


def test_promoting_twice_and_rolling_back_walks_the_same_way(tmp_path: Path) -> None:
    library = Library(tmp_path / "library")
    models = []
    for name in ("one", "two"):
        shutil.copytree(SHIPPED, tmp_path / name)
        models.append(library.promote(find_adapter(tmp_path / name)).model)
    assert library.champion().model == models[1]
    assert library.roll_back().model == models[0]
    assert library.roll_back().model == find_adapter().model


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize("part", ["adapter_model.safetensors", "adapter_config.json"])
def test_a_damaged_copy_is_made_anew(tmp_path: Path, part: str) -> None:
    library, mine = Library(tmp_path / "library"), tmp_path / "mine"
    shutil.copytree(SHIPPED, mine)
    copy = library.promote(find_adapter(mine)).folder
    library.roll_back()
    cut(copy / part)
    again = library.promote(find_adapter(mine))
    assert (again.folder, again.model) == (copy, find_adapter(mine).model)
    assert (copy / part).read_bytes() == (mine / part).read_bytes()
    assert library.champion() == again
    assert {path.name for path in library.folder.iterdir()} == {"champion.json", copy.parent.name}


def test_a_whole_copy_is_not_made_twice(tmp_path: Path) -> None:
    library = Library(tmp_path / "library")
    shutil.copytree(SHIPPED, tmp_path / "mine")
    copy = library.promote(find_adapter(tmp_path / "mine")).folder
    before = (copy / "heads.safetensors").stat()
    library.promote(find_adapter(tmp_path / "mine"))
    library.promote(find_adapter(copy))
    after = (copy / "heads.safetensors").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_an_adapter_that_changed_since_it_was_found_is_not_the_champion(tmp_path: Path) -> None:
    library, mine = Library(tmp_path / "library"), tmp_path / "mine"
    shutil.copytree(SHIPPED, mine)
    found = find_adapter(mine)
    cut(mine / "adapter_model.safetensors")
    with pytest.raises(AdapterDamaged, match="changed while it was copied"):
        library.promote(found)
    assert library.champion() == find_adapter()
    assert library.adapters() == Library(tmp_path / "none").adapters()


def test_the_folder_one_stands_in_is_promoted_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even with the library inside it."""
    mine = tmp_path / "mine"
    shutil.copytree(SHIPPED, mine)
    (mine / "data").mkdir()
    model = find_adapter(mine).model
    monkeypatch.chdir(mine)
    assert find_adapter(Path()).model == model
    library = Library(Path("data") / "models")
    assert library.promote(find_adapter(Path())).model == model
    assert library.champion().model == model
    assert not (library.champion().folder / "data").exists()
    monkeypatch.chdir(mine / "data")
    assert find_adapter(Path("..")).model == model


def test_what_the_record_names_is_on_the_disk_before_the_record_and_both_outlive_a_loss_of_power(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    below = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(tmp_path).as_posix())
        below(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    library = Library(tmp_path / "library")
    shutil.copytree(SHIPPED, tmp_path / "mine")
    home = library.promote(find_adapter(tmp_path / "mine")).folder
    copies = {f"library/.{home.parent.name}.new/mine/{file.name}" for file in home.iterdir()}
    assert copies <= set(synced)
    assert synced[-3:] == [f"library/{home.parent.name}", "library/.champion.json.new", "library"]


def test_a_champion_that_is_gone_or_damaged_names_the_way_back(tmp_path: Path) -> None:
    library = Library(tmp_path / "library")
    shutil.copytree(SHIPPED, tmp_path / "mine")
    folder = library.promote(find_adapter(tmp_path / "mine")).folder
    cut(folder / "adapter_model.safetensors")
    with pytest.raises(AdapterDamaged, match="files have changed since; `squall models rollback`"):
        library.champion()
    (folder / "heads.safetensors").unlink()
    with pytest.raises(AdapterDamaged, match=r"lacks heads\.safetensors.*`squall models rollback`"):
        library.champion()
    shutil.rmtree(folder)
    with pytest.raises(AdapterMissing, match=r"no longer in .*`squall models rollback`"):
        library.champion()
    assert library.roll_back() == find_adapter()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sentiment_temperature", 0),
        ("topic_temperature", -1.0),
        ("company_temperature", math.nan),
        ("sentiment_temperature", "1.0"),
        ("longest", None),
        ("longest", 0),
        ("longest", True),
        ("topic_threshold", 1.5),
        ("abstain_below", math.nan),
        ("headline_share", None),
        ("encoder", None),
    ],
)
def test_settings_that_no_score_can_be_made_with_are_damage(tmp_path: Path, name: str, value: object) -> None:
    shutil.copytree(SHIPPED, tmp_path / "mine")
    file = tmp_path / "mine" / "squall.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {name: value}))
    with pytest.raises(AdapterDamaged, match=f"cannot be understood: {name} must be"):
        find_adapter(tmp_path / "mine")


def test_weights_that_are_no_numbers_are_damage(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED, tmp_path / "mine")
    file = tmp_path / "mine" / "heads.safetensors"
    weights = load_file(str(file))
    weights["tasks.topic.2.bias"][3] = math.nan
    save_file(weights, str(file))
    with pytest.raises(AdapterDamaged, match=r"no numbers, first in heads\.tasks\.topic\.2\.bias"):
        load_scorer(tmp_path / "mine", device="cpu", runtime="torch")


def test_a_shipped_adapter_is_called_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert tier(Path("fast")) == SHIPPED
    assert tier(Path("mine")) == Path("mine")
    (tmp_path / "fast").mkdir()
    assert tier(Path("fast")) == Path("fast")


def test_a_damaged_record_or_adapter_says_so(tmp_path: Path) -> None:
    library = Library(tmp_path)
    (tmp_path / "champion.json").write_text("{")
    with pytest.raises(AdapterDamaged, match="remove it to go back to the shipped one"):
        library.champion()
    (tmp_path / "abc" / "half").mkdir(parents=True)
    (shelved,) = [one for one in library.adapters() if one.folder.name == "half"]
    assert shelved.model == ""
    assert "there is no adapter" in shelved.fault
