"""Compares the files in a package with those that its manifest lists."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

from builder.core.runtime_manifest import ManifestFile
from builder.verify.policy import PolicyFinding, Verdict


def compare_contents(
    names: Collection[str],
    listed: Mapping[str, ManifestFile],
    digest: Callable[[str], str],
    *,
    manifest: str,
    package: str,
) -> Iterator[PolicyFinding]:
    """Yields a finding for each file that is missing, changed, or not listed in the manifest.

    Args:
        names: paths of the files in the package.
        listed: paths of the files that the manifest lists.
        digest: returns the SHA-256 of a file in the package, in hexadecimal.
        manifest: path of the manifest in the package, which does not list itself.
        package: how messages call the package, such as `AAR`.
    """
    # A manifest cannot hold its own digest.
    present = set(names) - {manifest}
    for name in sorted(present | set(listed)):
        entry = listed.get(name)
        if name not in present:
            problem = "missing"
        elif entry is None:
            problem = "not listed"
        elif digest(name) != entry.sha256:
            problem = "changed"
        else:
            continue
        yield PolicyFinding(
            rule="contents",
            file=name,
            verdict=Verdict.VIOLATED,
            found=problem,
            wanted=f"the files that {manifest} lists, as they were when it was written",
            remedy=f"build the {package} again",
        )
