"""Finds out what the installed torch can do. All facts about torch versions stand here."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import importlib.util
import io
from dataclasses import dataclass
from types import ModuleType
from typing import assert_never

import numpy as np

from builder.errors import Hint, Run, ToolchainError, Use
from builder.export.request import MobileBackend, Optimisation
from builder.system.torch_packages import OTHER_ENVIRONMENT, how_to_install

_PREPACKING = {
    MobileBackend.METAL: "metal_prepack::conv2d_prepack",
}
"""Operators that the passes write into the model; if torch lacks one, its pass fails an
assertion."""
_NEEDED = {
    MobileBackend.METAL: f"Metal's operators ({_PREPACKING[MobileBackend.METAL]}; macOS, "
    "USE_PYTORCH_METAL=1)",
    MobileBackend.NNAPI: "torch.backends._nnapi",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchCapabilities:
    """What an installed torch can do for an export."""

    version: str
    xnnpack: bool
    """torch can run layers that are packed for XNNPACK."""
    lite_interpreter: bool
    """torch can save for the lite interpreter and run the result."""
    numpy: bool = True
    """torch can share tensors with the installed NumPy."""
    backends: frozenset[MobileBackend] = frozenset({MobileBackend.CPU, MobileBackend.VULKAN})
    """The backends for which torch can rewrite a model."""


def probe_torch() -> TorchCapabilities:
    """Imports the installed torch and returns what it can do.

    Raises:
        ToolchainError: torch is not installed, or cannot be imported.
    """
    # By name, so that this module can be imported without torch.
    torch = _import("torch")
    try:
        xnnpack = bool(torch._C._is_xnnpack_enabled())  # noqa: SLF001 - torch.backends.xnnpack
    except AttributeError:
        xnnpack = False
    module = torch.jit.ScriptModule
    return TorchCapabilities(
        version=str(torch.__version__),
        xnnpack=xnnpack,
        lite_interpreter=hasattr(module, "_save_to_buffer_for_lite_interpreter")
        # Two parts are needed: C++ writes the file, and this Python module runs it.
        and importlib.util.find_spec("torch.jit.mobile") is not None,
        numpy=_shares_with_numpy(torch),
        backends=frozenset(backend for backend in MobileBackend if _has_backend(torch, backend)),
    )


def check_capabilities(found: TorchCapabilities, wanted: Optimisation) -> None:
    """Raises ToolchainError when a torch with the capabilities `found` cannot do the export."""
    if not found.lite_interpreter:
        raise ToolchainError(
            f"torch {found.version} cannot save models for the lite interpreter",
            hint=OTHER_ENVIRONMENT,
        )
    if not found.numpy:
        raise ToolchainError(
            f"torch {found.version} was built for an older NumPy than {np.__version__}, which is "
            "installed",
            hint="install an older one beside it: pip install 'numpy<2'",
        )
    # Without a rewrite, nothing of a backend is needed.
    if not wanted.enabled:
        return
    if wanted.backend not in found.backends:
        raise ToolchainError(
            f"torch {found.version} cannot export for {wanted.backend}: it is built without "
            f"{_NEEDED[wanted.backend]}",
            hint=Hint(
                "build PyTorch from source with it, or export for the CPU: ",
                Use("optimisation.backend", MobileBackend.CPU),
            ),
        )


def _shares_with_numpy(torch: ModuleType) -> bool:
    # torch up to 2.2 is built for NumPy 1. NumPy 2 writes a long traceback when it is asked.
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            torch.from_numpy(np.zeros(1))
        except RuntimeError:
            return False
    return True


def _has_backend(torch: ModuleType, backend: MobileBackend) -> bool:
    match backend:
        case MobileBackend.CPU | MobileBackend.VULKAN:
            return True
        case MobileBackend.NNAPI:
            return importlib.util.find_spec("torch.backends._nnapi") is not None
        case MobileBackend.METAL:
            operator = _PREPACKING[backend]
            return bool(torch._C._jit_get_schemas_for_operator(operator))  # noqa: SLF001
        case _:
            assert_never(backend)


def import_torchvision() -> ModuleType:
    """Returns the module torchvision; ToolchainError when it is missing or does not fit torch."""
    torchvision = _import("torchvision")
    # Before 0.14 there is no registry of models, only functions.
    if not hasattr(importlib.import_module("torchvision.models"), "get_model"):
        raise ToolchainError(
            f"torchvision {torchvision.__version__} cannot look models up by name: "
            "that needs version 0.14 or newer",
            hint=Hint(
                "write a function that returns the model, and export it: ",
                Run("export", ("package.module:function",)),
            ),
        )
    return torchvision


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # The package exists, but something that it imports does not.
        if error.name != name:
            raise _unusable(name, error) from error
        raise ToolchainError(f"{name} is not installed", hint=how_to_install(name)) from error
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        raise _unusable(name, error) from error


def _unusable(name: str, error: Exception) -> ToolchainError:
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        version = "of unknown version"
    return ToolchainError(
        f"{name} {version} is installed but cannot be imported: {error}",
        hint="if its libraries do not fit each other, install them again, or use a virtual "
        "environment of its own"
        if name == "torch"
        else f"install the version that fits the installed torch: {how_to_install(name)}",
    )
