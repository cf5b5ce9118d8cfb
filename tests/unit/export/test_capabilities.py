import importlib
import sys
from types import ModuleType, SimpleNamespace

import pytest

from builder.errors import ToolchainError
from builder.export import capabilities
from builder.export.capabilities import (
    TorchCapabilities,
    check_capabilities,
    import_torchvision,
    probe_torch,
)
from builder.export.request import MobileBackend, Optimisation
from builder.system.torch_packages import how_to_install


def torch_like(*, xnnpack: bool = True, lite: bool = True, numpy: bool = True) -> TorchCapabilities:
    return TorchCapabilities(version="2.13.0", xnnpack=xnnpack, lite_interpreter=lite, numpy=numpy)


def test_torch_without_xnnpack_saves_and_optimises() -> None:
    check_capabilities(torch_like(xnnpack=False), Optimisation(enabled=False))
    check_capabilities(torch_like(xnnpack=False), Optimisation())


def test_torch_without_lite_interpreter_is_refused() -> None:
    with pytest.raises(ToolchainError, match="lite interpreter") as caught:
        check_capabilities(torch_like(lite=False), Optimisation(enabled=False))
    assert "environment of its own" in (caught.value.hint or "")
    check_capabilities(torch_like(), Optimisation())


def test_torch_that_was_built_for_another_numpy_is_refused() -> None:
    with pytest.raises(ToolchainError, match="built for an older NumPy than") as caught:
        check_capabilities(torch_like(numpy=False), Optimisation(enabled=False))
    assert "pip install 'numpy<2'" in (caught.value.hint or "")


def test_a_torch_that_refuses_arrays_does_not_share_with_numpy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(array: object) -> None:
        sys.stderr.write("A module that was compiled using NumPy 1.x")
        raise RuntimeError("Numpy is not available")

    old = ModuleType("torch")
    old.__version__ = "1.13.1"
    old.jit = SimpleNamespace(ScriptModule=object)
    old.from_numpy = refuse
    monkeypatch.setitem(sys.modules, "torch", old)
    monkeypatch.setattr(capabilities, "_has_backend", lambda torch, backend: False)
    assert not probe_torch().numpy
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("backend", [MobileBackend.METAL, MobileBackend.NNAPI])
def test_backends_that_torch_lacks_are_named_with_what_is_missing(backend: MobileBackend) -> None:
    with pytest.raises(ToolchainError, match=f"for {backend}: it is built without") as caught:
        check_capabilities(torch_like(), Optimisation(backend=backend))
    assert "optimisation.backend=cpu" in (caught.value.hint or "")
    check_capabilities(torch_like(), Optimisation(backend=backend, enabled=False))


def test_any_torch_exports_for_vulkan() -> None:
    check_capabilities(torch_like(xnnpack=False), Optimisation(backend=MobileBackend.VULKAN))


def test_missing_torch_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib, "import_module", _raise(ModuleNotFoundError("no", name="torch")))
    with pytest.raises(ToolchainError, match="torch is not installed") as caught:
        probe_torch()
    assert caught.value.hint == how_to_install("torch")


@pytest.mark.parametrize(
    "error",
    [
        ModuleNotFoundError("No module named 'numpy'", name="numpy"),
        OSError("libcudart.so: cannot open"),
        RuntimeError("operator torchvision::nms does not exist"),
    ],
)
def test_torchvision_that_does_not_import_is_told_from_a_missing_one(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(importlib, "import_module", _raise(error))
    with pytest.raises(ToolchainError, match="cannot be imported"):
        import_torchvision()


def test_old_torchvision_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    old = ModuleType("torchvision")
    old.__version__ = "0.13.1"
    monkeypatch.setitem(sys.modules, "torchvision", old)
    monkeypatch.setitem(sys.modules, "torchvision.models", ModuleType("torchvision.models"))
    with pytest.raises(ToolchainError, match=r"0\.13\.1") as caught:
        import_torchvision()
    assert "pip install" not in (caught.value.hint or "")


def _raise(error: Exception):
    def fail(name: str) -> None:
        raise error

    return fail
