"""What the installed torch can do; the only facts about torch versions in builder."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from dataclasses import dataclass
from types import ModuleType

from builder.errors import ToolchainError

OPTIMISING_TORCHES = "Debian 12's python3-torch 1.13.1, and the 2.6.0 wheel"
"""Known to have XNNPACK; the first is the one the tests run with."""

INSTALL = (
    "pip install torch==2.6.0 torchvision==0.21.0, or on Debian 12: "
    "apt install python3-torch python3-torchvision"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchCapabilities:
    """What one installed torch can do for an export."""

    version: str
    xnnpack: bool
    """`optimize_for_mobile` rewrites convolutions to XNNPACK's, and such files run."""
    lite_interpreter: bool
    """It can save for the lite interpreter and run the result."""


def probe_torch() -> TorchCapabilities:
    """Returns what the installed torch can do; imports it.

    Raises:
        ToolchainError: torch is not installed, or cannot be imported.
    """
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
        and importlib.util.find_spec("torch.jit.mobile") is not None,
    )


def check_capabilities(found: TorchCapabilities, *, optimize: bool) -> None:
    """Raises ToolchainError when `found` cannot make the file that is wanted."""
    if not found.lite_interpreter:
        raise ToolchainError(
            f"torch {found.version} has no lite interpreter to save for", hint=INSTALL
        )
    if optimize and not found.xnnpack:
        raise ToolchainError(
            f"torch {found.version} cannot optimise for mobile: it is built without XNNPACK",
            hint=f"these can: {OPTIMISING_TORCHES}. Install one ({INSTALL}), "
            "or export with --no-optimize",
        )


def import_torchvision() -> ModuleType:
    """Returns torchvision; ToolchainError when it is missing or does not fit torch."""
    torchvision = _import("torchvision")
    if not hasattr(importlib.import_module("torchvision.models"), "get_model"):
        raise ToolchainError(
            f"torchvision {torchvision.__version__} cannot look models up by name: "
            "0.14 was the first that can",
            hint=INSTALL,
        )
    return torchvision


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise _unusable(name, error) from error
        raise ToolchainError(f"{name} is not installed", hint=INSTALL) from error
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        raise _unusable(name, error) from error


def _unusable(name: str, error: Exception) -> ToolchainError:
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        version = "of unknown version"
    return ToolchainError(
        f"{name} {version} is installed, but cannot be imported: {error}",
        hint=f"install versions that belong together: {INSTALL}",
    )
