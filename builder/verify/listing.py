"""Whether a package holds the files that its manifest lists."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

from builder.core.manifest import ManifestFile
from builder.verify.policy import PolicyFinding, Verdict


def compare_contents(
    names: Collection[str],
    listed: Mapping[str, ManifestFile],
    digest: Callable[[str], str],
    *,
    manifest: str,
    package: str,
) -> Iterator[PolicyFinding]:
    """Yields the files that are not those which the manifest lists.

    Args:
        names: paths in the package.
        listed: paths that the manifest lists.
        digest: the SHA-256 of a file of the package.
        manifest: its own path, which it does not list.
        package: what to call the package.
    """
    there = set(names) - {manifest}
    for name in sorted(there | set(listed)):
        entry = listed.get(name)
        if name not in there:
            found = "missing"
        elif entry is None:
            found = "not listed"
        elif digest(name) != entry.sha256:
            found = "changed"
        else:
            continue
        yield PolicyFinding(
            rule="contents",
            file=name,
            verdict=Verdict.VIOLATED,
            found=found,
            wanted=f"the files that {manifest} lists, as they were when it was written",
            remedy=f"build the {package} again",
        )
