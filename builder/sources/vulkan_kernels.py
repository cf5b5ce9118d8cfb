"""Reads what the Vulkan kernels of a release compute."""

from __future__ import annotations

from builder.core.typed import parse_toml
from builder.core.vulkan import VulkanKernels
from builder.errors import ConfigurationError, Hint, Use
from builder.sources.release_facts import locate_release, read_own

_NAME = "vulkan.toml"


def load_vulkan(version: str | None = None) -> VulkanKernels:
    """Returns the contents of `vulkan.toml` of a release.

    Args:
        version: e.g. `2.6.0`; builder's default release when None.

    Raises:
        ConfigurationError: there is no such release, or it has no such file, or a malformed one.
    """
    path = locate_release(version) / _NAME
    if not path.is_file():
        raise ConfigurationError(
            f"builder cannot export for Vulkan with PyTorch {path.parent.name}: there is no {path}",
            hint=Hint("choose another release with ", Use("pytorch")),
        )
    try:
        return parse_toml(read_own(path), VulkanKernels, str(path))
    except ValueError as error:
        raise ConfigurationError(
            str(error),
            hint='CONTRIBUTING.md, under "Add a release of PyTorch", says what the file has',
        ) from error
