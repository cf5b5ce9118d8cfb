"""Which of builder's own files decide the bytes of a runtime: the plan's key covers these, by name.

What the user chooses, the sources of a release and the toolchain are values of the plan. The files
here turn them into bytes: modules of builder, its C++, and files in the folder of the release. A
module that they import either decides bytes too, and is listed, or stands in `NOT_DECIDING`;
tests/unit/api/test_key_files.py holds both lists against the imports.
"""

from __future__ import annotations

import hashlib
import io
import json
import tokenize
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from builder.core.release import Release
from builder.core.targets import Platform, Target
from builder.errors import ConfigurationError
from builder.system.files import digest_file
from builder.system.folders import data_folder, package_folder

DECIDING = (
    *("api/link.py", "api/operator_choice.py"),
    *(
        f"core/{name}.py"
        for name in (
            *("backends", "cores", "cxx_source", "dtypes", "operator_schemas", "operators", "plan"),
            *("release", "selection"),
            *("registration_names", "targets", "toolchain", "units"),
        )
    ),
    *(
        f"native/{name}"
        for name in (
            *("backend_units.py", "build.py", "build_units.py", "closure.py"),
            *("cmake_file_api.py", "configure.py"),
            *("flags.py", "generated.py", "index.py", "interfaces.py", "job.py"),
            *("kernel_calls.py", "shaders.py"),
            *("build_folders.py", "link_elf.py", "link_macho.py", "symbol_names.py"),
            *("ninja.py", "preludes.py", "prepare_sources.py", "profiles.toml", "rounds.py"),
            *("run_time_dispatch.py", "slices.py", "static_elf.py"),
        )
    ),
    *(
        f"selection/{name}"
        for name in (
            *("catalogue.py", "choose.py", "devices.py", "own_core.py", "registrations.py"),
            *("release_rules.py", "static_dispatch.py", "upgraders.py"),
        )
    ),
    "system/variables.py",
)
"""Below `builder/`."""
DECIDING_OF_RELEASE = ("backends/*.toml", "facts.toml", "rules.toml", "schemas.txt")
"""Files of a release, besides its symbol indexes, pins and patches, which shaders have too."""
_APPLE = tuple(
    f"platforms/apple/{name}"
    for name in ("clang.py", "facts.toml", "frameworks.py", "toolchain.py", "xcode.py")
)
DECIDING_FOR = {
    Platform.ANDROID: ("platforms/android/toolchain.py",),
    Platform.IOS: _APPLE,
    Platform.IOS_SIMULATOR: _APPLE,
    Platform.LINUX: ("platforms/linux/toolchain.py",),
}
"""What decides bytes for one platform only: flags and variables for upstream's CMake."""
NOT_DECIDING = {
    "api/core_choice.py": "chooses the core, which is in the plan, and compares lists",
    "api/first_build.py": "words for people",
    "api/plans.py": "makes the plan, whose values are in the key",
    "api/toolchains.py": "hands on the toolchain that a platform finds",
    "core/artifacts.py": "says what was made",
    "core/counts.py": "words for people",
    "core/known.py": "what could be built, for the command line",
    "core/model_facts.py": "what models hold: what a build takes of it is in the plan",
    "core/near_names.py": "finds similar names for hints",
    "core/setting_fields.py": "describes settings for people",
    "core/sources.py": "the digest of the sources is in the plan",
    "core/typed.py": "checks files that are listed, and changes nothing in them",
    "errors.py": "words for people",
    "formats/elf.py": "reads names that are exported; link_elf.py, which decides them, is listed",
    "formats/macho.py": "renames as link_macho.py says, which is listed",
    "native/dependencies.py": "lists what was read, for the bill of materials",
    "native/ledger.py": "tells damaged objects from sound ones",
    "native/together.py": "says when things are compiled and linked, and not what",
    "platforms/android/ndk.py": "what it finds is in the toolchain's fingerprint or its flags",
    "platforms/apple/facts.py": "reads facts.toml, which is listed",
    "platforms/apple/open_sdk.py": "the SDK's name has a digest of its parts, and is in the plan",
    "platforms/apple/sdk.py": "what it finds is in the toolchain's fingerprint or its flags",
    "platforms/registry.py": "hands on what a platform finds",
    "selection/gains.py": "notes for people",
    "sources/releases.py": "reads files that are listed, and changes nothing in them",
    "sources/schemas.py": "reads schemas.txt, which is listed",
    "sources/trees.py": "finds sources, whose digest is in the plan",
    "toolchains": "what they find is in the toolchain's fingerprint or its flags",
    "system": "runs programs and writes files; variables.py, which decides, is listed",
}
"""Modules and packages that the listed ones import, and why they do not change a runtime."""
_NATIVE = ("apple", "runtime")
"""Folders of `cmake/` with C++, headers and CMake files."""


def digest_deciding_files(target: Target, release: Release) -> str:
    """Returns a digest of the files that decide the bytes of a runtime.

    Comments do not count in Python modules, TOML files and symbol indexes, nor do docstrings, blank
    lines and the order of keys. In C++ and CMake files every character counts: line numbers are in
    messages and, with the checksum of the whole file, in debug information. So it does in patches,
    which are a part of the sources.

    Args:
        target: what is built for.
        release: the release of PyTorch that is built; only those of its symbol
            indexes count that serve `target`.

    Raises:
        ConfigurationError: a file of the release is missing or is not TOML.
    """
    state = hashlib.sha256()
    for name, content in _list_contents(target, release):
        state.update(f"{name} {content}\n".encode())
    return state.hexdigest()


def _list_contents(target: Target, release: Release) -> Iterator[tuple[str, str]]:
    # Sorted, so that the order of the lists above does not matter.
    for name in sorted((*DECIDING, *DECIDING_FOR[target.platform])):
        yield name, _digest(package_folder(".") / name)
    for folder in _NATIVE:
        root = data_folder("cmake")
        for path in sorted((root / folder).rglob("*")):
            if path.is_file():
                yield path.relative_to(root).as_posix(), digest_file(path)
    for pattern in DECIDING_OF_RELEASE:
        # A missing file is an error, like one that cannot be read.
        for path in sorted(release.folder.glob(pattern)) or [release.folder / pattern]:
            yield path.relative_to(release.folder).as_posix(), _digest(path)
    for path in release.list_indexes(target):
        yield path.name, _digest(path)


def _digest(path: Path) -> str:
    """Returns a digest of what a file says; a reworded comment must not compile everything anew."""
    try:
        text = path.read_text(encoding="utf-8")
        return hashlib.sha256(_CONTENTS[path.suffix](text).encode()).hexdigest()
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error


def read_values(source: str) -> str:
    """Returns the values of a TOML document as text that does not depend on the order of keys.

    The order of lists counts, since flags of compilers stand in lists.

    Raises:
        ValueError: it is not TOML.
    """
    return json.dumps(tomllib.loads(source), sort_keys=True, default=repr)


def read_names(source: str) -> str:
    """Returns a symbol index without comments and blank lines."""
    return "\n".join(line for line in source.splitlines() if line and not line.startswith("#"))


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


_CONTENTS = {".py": strip_comments, ".toml": read_values, ".txt": read_names}
"""Suffix of a file -> what returns its text without what decides nothing."""
