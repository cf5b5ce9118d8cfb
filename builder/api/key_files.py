"""Which of builder's own files decide the bytes of a runtime: the plan's key covers these, by name.

What the user chooses, the sources of a release and the toolchain are values of the plan. The files
here turn them into bytes: modules of builder, its C++, and files in the folder of the release. A
module that they import either decides bytes too, and is listed, or stands in `NOT_DECIDING`;
tests/unit/api/test_key_files.py holds both lists against the imports.
"""

from __future__ import annotations

import hashlib
import io
import tokenize
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from builder.core.release import Release
from builder.core.targets import Platform, Target
from builder.system.files import digest_file
from builder.system.folders import data_folder, package_folder

DECIDING = (
    "api/operator_choice.py",
    *(
        f"core/{name}.py"
        for name in (
            *("backends", "dtypes", "operators", "plan", "release", "selection"),
            *("targets", "toolchain", "units"),
        )
    ),
    *(
        f"native/{name}"
        for name in (
            *("backend_units.py", "build.py", "build_units.py", "closure.py"),
            *("cmake_file_api.py", "configure.py"),
            *("flags.py", "generated.py", "index.py", "interfaces.py", "job.py"),
            *("layout.py", "link_elf.py", "link_macho.py", "names.py", "ninja.py", "prepare.py"),
            *("profiles.toml", "rounds.py", "run_time_dispatch.py", "slices.py"),
        )
    ),
    *(
        f"selection/{name}"
        for name in (
            *("catalogue.py", "choose.py", "devices.py", "registrations.py"),
            *("rules.py", "static_dispatch.py", "upgraders.py"),
        )
    ),
    *(f"sources/{name}.py" for name in ("backends", "facts", "releases")),
)
"""Below `builder/`."""
DECIDING_OF_RELEASE = ("backends", "facts.toml", "rules.toml")
"""Files and folders of a release, besides its symbol indexes, pins and patches."""
_APPLE = tuple(f"platforms/apple/{n}" for n in ("clang.py", "facts.toml", "frameworks.py"))
DECIDING_FOR = {
    Platform.ANDROID: ("platforms/android/toolchain.py",),
    Platform.IOS: _APPLE,
    Platform.IOS_SIMULATOR: _APPLE,
    Platform.LINUX: ("platforms/linux/toolchain.py",),
}
"""What decides bytes for one platform only: flags and variables for upstream's CMake."""
NOT_DECIDING = {
    "core/artifacts.py": "says what was made",
    "core/known.py": "what could be built, for the command line",
    "core/model.py": "what models hold: what a build takes of it is in the plan",
    "core/settings.py": "describes settings for people",
    "core/sources.py": "the digest of the sources is in the plan",
    "core/typed.py": "checks files that are listed, and changes nothing in them",
    "errors.py": "words for people",
    "native/dependencies.py": "lists what was read, for the bill of materials",
    "native/ledger.py": "tells damaged objects from sound ones",
    "platforms/android/ndk.py": "what it finds is in the toolchain's fingerprint or its flags",
    "platforms/apple/facts.py": "reads facts.toml, which is listed",
    "sources/lockfile.py": "reads pins and patches, whose digest is in the plan",
    "toolchains": "what they find is in the toolchain's fingerprint or its flags",
    "system": "runs programs and writes files, and decides nothing in them",
}
"""Modules and packages that the listed ones import, and why no byte hangs on them."""
_NATIVE = ("apple", "runtime")
"""Folders of `cmake/` with C++, headers and CMake files."""


def digest_deciding_files(target: Target, release: Release) -> str:
    """Returns a digest of the files that decide the bytes of a runtime.

    Comments, docstrings and blank lines of Python modules do not count.

    Args:
        target: what is built for.
        release: the release of PyTorch that is built; of its symbol indexes, those count by which
            translation units for `target` are chosen.
    """
    state = hashlib.sha256()
    for name, content in _list_contents(target, release):
        state.update(f"{name} {content}\n".encode())
    return state.hexdigest()


def _list_contents(target: Target, release: Release) -> Iterator[tuple[str, str]]:
    # Sorted, so that the order of the lists above does not matter.
    for name in sorted((*DECIDING, *DECIDING_FOR[target.platform])):
        path = package_folder(".") / name
        # A reworded comment must not make everybody compile again.
        if path.suffix == ".py":
            code = strip_comments(path.read_text(encoding="utf-8"))
            yield name, hashlib.sha256(code.encode()).hexdigest()
        else:
            yield name, digest_file(path)
    for folder in _NATIVE:
        yield from _digest_below(data_folder("cmake"), folder)
    for name in DECIDING_OF_RELEASE:
        yield from _digest_below(release.folder, name)
    for path in release.list_indexes(target):
        yield path.name, digest_file(path)


def _digest_below(root: Path, name: str) -> Iterator[tuple[str, str]]:
    """Yields name and digest of a file in `root`, or of every file in a folder there, sorted."""
    paths = [root / name] if (root / name).is_file() else sorted((root / name).rglob("*"))
    for path in paths:
        if path.is_file():
            yield path.relative_to(root).as_posix(), digest_file(path)


def strip_comments(source: str) -> str:
    """Returns Python source without comments, docstrings and blank lines.

    The text is cut, not written again from its tokens, which differ between versions of Python.
    """
    lines: list[str | None] = [*source.splitlines()]
    # From the end, so that positions before it stay right.
    for (row, start), (last, end) in reversed(_find_comments(source)):
        kept = (lines[row - 1] or "")[:start] + (lines[last - 1] or "")[end:]
        lines[row - 1 : last] = [kept.rstrip() or None]
    return "\n".join(line for line in lines if line is not None)


def _find_comments(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Returns start and end, as (row from 1, column), of what says nothing to the interpreter."""
    found, before = [], tokenize.NEWLINE
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    ends_statement = {tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    for token, following in pairwise(tokens):
        # A string that is a whole statement has no effect, as a docstring has none on bytes.
        is_statement = before in ends_statement and following.type == tokenize.NEWLINE
        is_docstring = token.type == tokenize.STRING and is_statement
        is_blank = token.type == tokenize.NL and not token.line.strip()
        if token.type == tokenize.COMMENT or is_docstring or is_blank:
            found.append((token.start, (token.start[0], token.end[1]) if is_blank else token.end))
        if token.type not in {tokenize.COMMENT, tokenize.NL}:
            before = token.type
    return found
