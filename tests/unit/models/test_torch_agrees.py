"""Our reading of fresh files beside what the installed torch says of them."""

from __future__ import annotations

import importlib.util
import io
from contextlib import contextmanager
from pathlib import Path

import pytest

from builder.errors import ModelError
from builder.export.convert import convert_torchscript
from builder.models.read import read_model

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch", reason="needs torch")
TESTS = Path(__file__).parents[2]


def _load_make_models():
    spec = importlib.util.spec_from_file_location("make_models", TESTS / "data" / "make_models.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make_models = _load_make_models()


def make_mobilenet():
    models = pytest.importorskip("torchvision.models", reason="needs torchvision")
    from torch.utils.mobile_optimizer import optimize_for_mobile

    torch.manual_seed(0)
    model = torch.jit.trace(models.mobilenet_v2().eval(), torch.zeros(1, 3, 224, 224))
    return optimize_for_mobile(model)


MODELS = {**make_models.MODELS, "mobilenet_v2": make_mobilenet}


@contextmanager
def skip_without_library():
    try:
        yield
    except RuntimeError as error:
        if any(word in str(error).upper() for word in ("XNNPACK", "QNNPACK", "NOQENGINE")):
            pytest.skip(f"this torch was built without a library: {error}")
        raise


@pytest.fixture(scope="module", params=sorted(MODELS))
def module(request):
    with skip_without_library():
        return MODELS[request.param]()


@pytest.mark.parametrize("flatbuffer", [False, True])
def test_operators_are_exactly_what_torch_reports(module, flatbuffer, tmp_path):
    path = tmp_path / "a model.ptl"
    module._save_for_lite_interpreter(str(path), _use_flatbuffer=flatbuffer)
    info = read_model(path)
    assert [str(operator) for operator in info.operators] == make_models.list_operators(path)
    assert info.bytecode_version == torch.jit.mobile._get_model_bytecode_version(str(path))
    for method in info.methods:
        assert torch._C._load_for_lite_interpreter(str(path), None).find_method(method)


def test_debug_records_and_extra_files_do_not_matter(module, tmp_path):
    path = tmp_path / "model.ptl"
    module._save_for_lite_interpreter(
        str(path), _extra_files={"bytecode.pkl": "mine"}, _save_mobile_debug_info=True
    )
    assert [str(operator) for operator in read_model(path).operators] == (
        make_models.list_operators(path)
    )


def test_torchscript_that_torch_cannot_load_is_a_model_error(data):
    content = (data / "control.pt").read_bytes()
    with pytest.raises(ModelError, match="cannot turn"):
        convert_torchscript(content.replace(b"torch.sigmoid", b"torch.sigmoib"))


def test_recorded_files_still_load(data, recorded_name, recorded_operators):
    from torch.jit.mobile import _export_operator_list, _load_for_lite_interpreter

    content = io.BytesIO((data / recorded_name).read_bytes())
    with skip_without_library():
        loaded = _load_for_lite_interpreter(content)
    assert sorted(_export_operator_list(loaded)) == recorded_operators[recorded_name]
