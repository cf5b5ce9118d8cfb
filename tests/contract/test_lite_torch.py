"""Lite files that builder has read and written again, on torch's own interpreter."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from lite.alike import find_difference

from builder.core.model_facts import ModelFormat
from builder.lite.read import read_lite
from builder.lite.write import write_lite

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs torch")

from lite_modules import MODULES  # noqa: E402
from torch.jit.mobile import (  # noqa: E402
    _backport_for_mobile,
    _get_model_bytecode_version,
    _load_for_lite_interpreter,
)

KINDS = (ModelFormat.LITE_ZIP, ModelFormat.LITE_FLATBUFFER)
EXTRA = {"a b/ü.json": "{\n}", "x": ""}
NO_FLATBUFFER = {"named tuple", "writes"}
"""Flatbuffers have no form for named tuples; torch 1.13.1 crashes when code writes into a tensor of
a flatbuffer, also of its own ones."""


def same(one, other) -> bool:
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and one.shape == other.shape and torch.equal(one, other)
    if isinstance(one, Mapping):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


def make(name):
    torch.manual_seed(0)
    try:
        return MODULES[name]()
    except RuntimeError as error:
        if any(word in str(error).upper() for word in ("XNNPACK", "QNNPACK", "NOQENGINE")):
            pytest.skip(f"this torch was built without a library: {error}")
        raise


def run(path, inputs):
    torch.manual_seed(0)
    module = _load_for_lite_interpreter(str(path))
    # Twice, because some modules change their buffers.
    return [module(*inputs) for _ in range(2)]


@pytest.mark.parametrize("name", MODULES)
def test_a_file_is_the_same_after_reading_and_writing(name, tmp_path):
    module, inputs = make(name)
    before = tmp_path / "before.ptl"
    module._save_for_lite_interpreter(str(before), _extra_files=EXTRA)
    model = read_lite(before)
    wanted = run(before, inputs)
    for kind in KINDS:
        if kind is ModelFormat.LITE_FLATBUFFER and name in NO_FLATBUFFER:
            continue
        after = tmp_path / f"{kind}.ptl"
        write_lite(model, after, kind=kind)
        assert same(run(after, inputs), wanted)
        again = read_lite(after)
        flatbuffer = kind is ModelFormat.LITE_FLATBUFFER
        other = ("bytecode_version", "records") if flatbuffer else ()
        assert find_difference(model, again, leave_out=other) == ""
        assert {key: text.decode() for key, text in again.extra_files.items()} == EXTRA


@pytest.mark.parametrize("name", MODULES)
def test_torch_loads_the_sources_of_a_file_that_was_written(name, tmp_path):
    module, inputs = make(name)
    before, after = tmp_path / "before.ptl", tmp_path / "after.ptl"
    module._save_for_lite_interpreter(str(before))
    write_lite(read_lite(before), after, kind=ModelFormat.LITE_ZIP)
    wanted, found = (torch.jit.load(str(path)) for path in (before, after))
    assert same(found(*inputs), wanted(*inputs))


@pytest.mark.parametrize("name", [name for name in MODULES if name not in NO_FLATBUFFER])
def test_flatbuffers_of_torch(name, tmp_path):
    module, inputs = make(name)
    before = tmp_path / "before.ptl"
    try:
        module._save_for_lite_interpreter(str(before), _use_flatbuffer=True)
        wanted = run(before, inputs)
    except RuntimeError as error:
        pytest.skip(f"torch cannot: {str(error)[:200]}")
    model = read_lite(before)
    for kind in KINDS:
        after = tmp_path / f"{kind}.ptl"
        write_lite(model, after, kind=kind)
        assert same(run(after, inputs), wanted)
        # The objects in different pickles of a zip file are different ones.
        zipped = kind is ModelFormat.LITE_ZIP
        other = ("bytecode_version", "script_constants") if zipped else ()
        assert find_difference(model, read_lite(after), leave_out=other) == ""


@pytest.mark.parametrize("version", [4, 5, 6, 7])
@pytest.mark.parametrize("name", ["vision", "lstm", "flow", "lists", "quantised tensors"])
def test_older_versions_of_the_bytecode(name, version, tmp_path):
    module, inputs = make(name)
    newest, before, after = (tmp_path / one for one in ("newest.ptl", "before.ptl", "after.ptl"))
    module._save_for_lite_interpreter(str(newest))
    try:
        assert _backport_for_mobile(str(newest), str(before), version)
    except RuntimeError as error:
        pytest.skip(f"torch cannot: {str(error)[:200]}")
    model = read_lite(before)
    assert model.bytecode_version == version
    write_lite(model, after, kind=ModelFormat.LITE_ZIP)
    assert _get_model_bytecode_version(str(after)) == version
    assert same(run(after, inputs), run(before, inputs))
    assert find_difference(model, read_lite(after)) == ""


def test_debug_handles_and_maps_stay(tmp_path):
    module, inputs = make("vision scripted")
    before, after = tmp_path / "before.ptl", tmp_path / "after.ptl"
    module._c._save_for_mobile(str(before), {}, True)
    model = read_lite(before)
    assert any(function.debug_handles for function in model.functions)
    assert "callstack_debug_map.pkl" in model.records
    write_lite(model, after, kind=ModelFormat.LITE_ZIP)
    assert find_difference(model, read_lite(after)) == ""
    assert same(run(after, inputs), run(before, inputs))


def test_what_is_shared_stays_shared(tmp_path):
    module, _ = make("shared")
    path = tmp_path / "model.ptl"
    module._save_for_lite_interpreter(str(path))
    root = read_lite(path).root
    weights = [root.attributes[name].attributes["weight"] for name in ("first", "second")]
    assert root.attributes["weight"].storage is weights[0].storage is weights[1].storage
    assert root.attributes["whole"].storage is root.attributes["part"].storage
    part = root.attributes["part"]
    assert (part.sizes, part.strides, part.offset) == ((3, 2), (1, 3), 2)


def test_bundled_inputs_are_methods_that_still_work(tmp_path):
    module, _ = make("bundled")
    before, after = tmp_path / "before.ptl", tmp_path / "after.ptl"
    module._save_for_lite_interpreter(str(before))
    write_lite(read_lite(before), after, kind=ModelFormat.LITE_ZIP)
    found, wanted = (
        _load_for_lite_interpreter(str(path)).run_method("get_all_bundled_inputs")
        for path in (after, before)
    )
    assert len(found) == 2
    assert same(found, wanted)
