"""Which files of the source trees the objects of a library were compiled from.

ninja has recorded them (https://ninja-build.org/manual.html#ref_headers); compilers named them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from builder.core.toolchain import Tool
from builder.errors import NativeBuildError
from builder.native.ninja import CompileFolder
from builder.system.process import Runner

_AT_ONCE = 64
"""Objects; each names about a thousand files."""


def list_inputs(
    unit_ids: Sequence[str],
    folder: CompileFolder,
    trees: Collection[str],
    *,
    ninja: Tool,
    runner: Runner,
) -> tuple[str, ...]:
    """Returns the files in `trees` that were read to compile units, relative to their tree, sorted.

    Args:
        unit_ids: compiled already.
        folder: where their objects are.
        trees: what links to the source trees are called in `folder`.
        ninja: the one that ran.
        runner: runs it.

    Raises:
        NativeBuildError: ninja has no record of one of the objects.
    """
    read: set[str] = set()
    # One command line for all objects would be longer than systems allow.
    for start in range(0, len(unit_ids), _AT_ONCE):
        targets = [folder.object_path(unit_id) for unit_id in unit_ids[start : start + _AT_ONCE]]
        command = (str(ninja.path), "-f", str(folder.ninja_file), "-t", "deps", *targets)
        said = runner.check(command, step="asking ninja for headers", cwd=folder.root)
        read.update(parse_inputs(said))
    split = (path.partition("/") for path in read)
    # What does not begin with a tree is a header of the toolchain, or builder's own.
    return tuple(sorted({path for tree, _, path in split if tree in trees}))


def parse_inputs(output: str) -> Iterator[str]:
    """Yields the paths in the output of `ninja -t deps`.

    Raises:
        NativeBuildError: it says that there is no record of an object.
    """
    for line in output.splitlines():
        if line.startswith("    "):
            yield line[4:]
        # Without this, a file would silently be missing from the bill of materials.
        elif line.endswith("deps not found"):
            raise NativeBuildError(
                f"ninja does not know what this was compiled from: {line}",
                hint="delete the objects in the cache (docs/reference/cache.md), and build again",
            )
