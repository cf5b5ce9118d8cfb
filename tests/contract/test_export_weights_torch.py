"""`builder export --weights`: what fits is loaded, what does not is named, nothing is executed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from builder.errors import ModelError

pytestmark = pytest.mark.torch


def load(path: Path) -> None:
    import torch

    from builder.export.checkpoints import load_weights

    torch.manual_seed(1)
    module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    load_weights(module, path)
    assert module[0].weight.tolist() == [[1.0, 1.0]] * 3


def state(**changes: object) -> dict[str, object]:
    import torch

    module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    torch.nn.init.ones_(module[0].weight)
    return {**module.state_dict(), **changes}


def saved(path: Path, value: object, **options: object) -> Path:
    import torch

    torch.save(value, path, **options)
    return path


def test_a_damaged_archive_is_refused(tmp_path):
    path = saved(tmp_path / "w.pt", state())
    content = path.read_bytes()
    # The list of entries, but not where it ends: a reader that trusts the end looks into the list.
    path.write_bytes(content.replace(b"PK\x01\x02", b"PK\x01\x07"))
    with pytest.raises(ModelError, match="damaged or truncated"):
        load(path)


@pytest.mark.parametrize("zipped", [True, False])
def test_state_dicts_are_loaded_however_they_are_wrapped(tmp_path: Path, zipped: bool) -> None:
    plain = state()
    parallel = {f"module.{name}": value for name, value in plain.items()}
    older = {name: value for name, value in plain.items() if not name.endswith("tracked")}
    for value in (plain, parallel, older, {"state_dict": plain, "epoch": 3}, {"model": parallel}):
        load(saved(tmp_path / "w.pt", value, _use_new_zipfile_serialization=zipped))


def test_safetensors_are_loaded(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file(state(), tmp_path / "w.safetensors")
    load(tmp_path / "w.safetensors")
    (tmp_path / "w.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="not a valid safetensors"):
        load(tmp_path / "w.safetensors")


def test_safetensors_that_are_cut_while_they_are_used_were_read_whole(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    from builder.export import checkpoints

    path = tmp_path / "w.safetensors"
    save_file({"w": torch.ones(1 << 20)}, path)
    read = checkpoints._read(path)
    os.truncate(path, 0)
    assert read["w"].sum() == 1 << 20


def test_names_that_do_not_fit_are_told(tmp_path: Path) -> None:
    renamed = state()
    renamed["0.weights"] = renamed.pop("0.weight")
    with pytest.raises(ModelError, match=r"1 missing: .*; 1 unexpected: 0\.weights") as caught:
        load(saved(tmp_path / "w.pt", renamed))
    assert "0.weights in the file looks like 0.weight" in (caught.value.hint or "")


def test_shapes_that_do_not_fit_are_told(tmp_path: Path) -> None:
    import torch

    wrong = state(**{"0.weight": torch.zeros(5, 2)})
    with pytest.raises(ModelError, match=r"0\.weight: \(5, 2\) in the file, \(3, 2\) in the model"):
        load(saved(tmp_path / "w.pt", wrong))


@pytest.mark.parametrize("value", [3, {}, {"state_dict": {}}, {"a": 1}, [1, 2]])
def test_what_is_no_state_dict(tmp_path: Path, value: object) -> None:
    with pytest.raises(ModelError, match="not a state dict"):
        load(saved(tmp_path / "w.pt", value))


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_checkpoint_is_not_executed(tmp_path: Path, zipped: bool) -> None:
    witness = tmp_path / "executed"

    class Hostile:
        def __reduce__(self) -> object:
            return (open, (str(witness), "w"))

    path = saved(
        tmp_path / "w.pt", state(**{"0.bias": Hostile()}), _use_new_zipfile_serialization=zipped
    )
    with pytest.raises(ModelError, match="read safely"):
        load(path)
    assert not witness.exists()


def test_other_containers_are_refused(tmp_path: Path) -> None:
    import tarfile

    import torch

    with pytest.raises(ModelError, match="no such file"):
        load(tmp_path / "absent.pt")
    torch.jit.script(torch.nn.Linear(2, 3)).save(str(tmp_path / "s.pt"))
    with pytest.raises(ModelError, match="TorchScript, not a state dict"):
        load(tmp_path / "s.pt")
    with tarfile.open(tmp_path / "t.pt", "w") as archive:
        archive.add(tmp_path / "s.pt", "storages")
    with pytest.raises(ModelError, match="tar archive"):
        load(tmp_path / "t.pt")
    (tmp_path / "e.pt").write_bytes(b"")
    with pytest.raises(ModelError, match="read safely"):
        load(tmp_path / "e.pt")
