"""The keys of what a job of CI keeps between its runs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from builder.api.products import Configuration
from builder.errors import ConfigurationError
from builder.sources.releases import load_release
from builder.system.files import describe_unreadable, digest_file
from builder.system.machine import host_abi
from builder.system.own_files import digest_own_files

_LENGTH = 20
"""Characters of a digest in a key."""


def list_cache_keys(configuration: Configuration) -> Mapping[str, str]:
    """Returns the keys for the caches of a release; every name and value is one plain word.

    `downloads-key` changes only with the pins of the sources. `objects-key` is for a compiler's
    cache and changes with builder, the file and its models; older ones, which begin with
    `objects-restore-key`, are of use too. `report-key` begins the keys of reports to compare with.
    """
    pins = sorted(pin.sha256 for pin in load_release().lock.pins)
    name = _digest([configuration.path.as_posix()])
    models = [
        model
        for product in configuration.products
        for model in configuration.make_settings(product, {}, absent=True).request.inputs
    ]
    contents = _digest(
        [
            digest_own_files(),
            digest_file(configuration.path),
            *(_digest_model(model) for model in models),
        ]
    )
    prefix = f"builder-objects-{host_abi()}-{name}-"
    return {
        "downloads-key": f"builder-downloads-{_digest(pins)}",
        "objects-key": prefix + contents,
        "objects-restore-key": prefix,
        "report-key": f"builder-report-{name}-",
    }


def _digest_model(path: Path) -> str:
    """Returns the digest of a model; "" where there is none, as for those that are made later.

    Raises:
        ConfigurationError: it cannot be read.
    """
    try:
        # Files of the system have no size, and some of them no end.
        return digest_file(path) if path.is_file() and path.stat().st_size else ""
    except OSError as error:
        raise ConfigurationError(f"{path} {describe_unreadable(path, error)}") from None


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:_LENGTH]
