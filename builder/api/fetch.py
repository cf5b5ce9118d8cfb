"""Fetching the sources of a release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.sources import trees
from builder.sources.releases import load_release

if TYPE_CHECKING:
    from builder.core.sources import SourceTree
    from builder.sources.choice import FetchRequest
    from builder.system.progress import Progress


def fetch_sources(request: FetchRequest, *, progress: Progress) -> tuple[SourceTree, ...]:
    """Makes the pinned source trees, or compares them with their pins.

    Returns PyTorch's tree, followed by one tree for each of the features.

    Raises:
        ConfigurationError: a feature is unknown, or `source_folder` is not a folder.
        SourceError: a source cannot be fetched or differs from its pin, or a tree differs.
    """
    return trees.fetch_trees(request.pytorch or load_release(), request, progress=progress)
