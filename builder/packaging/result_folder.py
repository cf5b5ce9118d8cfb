"""Writes folders of results; replaces a folder only if builder wrote everything in it."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from builder.core.runtime_manifest import (
    SCHEMA,
    Files,
    ManifestFile,
    Schema,
    parse_manifest,
    render_json,
)
from builder.core.typed import MAX_JSON, parse_json, to_json
from builder.errors import BuilderError, ConfigurationError, Hint, PackagingError, Use
from builder.system.files import digest_file, read_regular, write_atomically
from builder.system.outputs import is_full, no_space
from builder.system.replace_folders import replacement_folder
from builder.system.trees import walk_tree

LISTING = ".builder.json"
"""File name of the list of files in folders that have no other manifest."""
MANIFEST = "manifest.json"
"""File name of the manifest in the folder of a runtime."""
_HINT = Hint("move them away, or choose another folder with ", Use("output"))
_SHOWN = 5
"""Files that a message lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listing:
    """The content of `LISTING`."""

    files: Files
    schema: Schema = SCHEMA


@dataclass(frozen=True, slots=True, kw_only=True)
class _Owned:
    """What builder wrote into a folder besides the manifest."""

    files: Files = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def result_folder(path: Path, manifest: str = LISTING) -> Iterator[Path]:
    """Yields a new folder that replaces `path` at the end, as a whole or not at all.

    If `manifest` is `LISTING`, the list of files is written at the end.

    Raises:
        ConfigurationError: at the end, `path` has something that builder did not write.
        PackagingError: the folder cannot be written, for example because the disk is full.
    """
    try:
        with replacement_folder(
            path, refuse=lambda place: refuse_foreign_folder(place, manifest)
        ) as folder:
            yield folder
            if manifest == LISTING:
                _write_listing(folder)
    except OSError as error:
        raise _explain(path, error) from error


def refuse_foreign_folder(path: Path, manifest: str = LISTING) -> None:
    """Raises ConfigurationError when `path` has something that builder did not write there.

    Builder wrote a file if the manifest in the folder lists it with the contents that it has now.
    Folders without files are builder's if the manifest lists files in them.
    """
    # lexists: a link that leads nowhere is something that would be replaced.
    if not os.path.lexists(path):
        return
    if path.is_symlink() or not path.is_dir():
        raise ConfigurationError(f"{path} is not a folder that builder wrote", hint=_HINT)
    foreign = list(_find_foreign(path, _read_owned(path, manifest), manifest))
    if foreign:
        lines = [f"  {line}" for line in foreign[:_SHOWN]]
        if len(foreign) > _SHOWN:
            lines.append(f"  and {len(foreign) - _SHOWN} more")
        raise ConfigurationError(
            "\n".join(
                (f"{path} would be replaced, but it has files that builder did not write:", *lines)
            ),
            hint=_HINT,
        )


def is_whole(path: Path, manifest: str, sha256: str) -> bool:
    """Returns whether `path` has all files of its manifest and no others, as builder wrote them.

    `sha256` is the digest that the manifest itself must have.
    """
    try:
        # A pipe in its place would be read for ever.
        if path.is_symlink() or not (path / manifest).is_file():
            return False
        if digest_file(path / manifest) != sha256:
            return False
        owned = _read_owned(path, manifest)
        names = (*owned.files, *owned.links)
        return all((path / name).is_file() for name in names) and not any(
            _find_foreign(path, owned, manifest)
        )
    except OSError:
        return False


def digest_modes(path: Path) -> str:
    """Returns a digest of the permissions and names of all that is in a folder, and of itself.

    A manifest knows neither permissions nor empty folders.

    Raises:
        OSError: it cannot be read.
    """
    lines = []
    for parent, folders, files in os.walk(path, onerror=_refuse_unreadable):
        for name in ("", *folders, *files):
            found = Path(parent, name)
            mode = stat.filemode(found.lstat().st_mode)
            lines.append(f"{mode} {found.relative_to(path).as_posix()!r}\n")
    return hashlib.sha256("".join(sorted(set(lines))).encode()).hexdigest()


def _find_foreign(folder: Path, owned: _Owned, manifest: str) -> Iterator[str]:
    # Folders that have lost files of builder's.
    own = {str(above) for name in (*owned.files, *owned.links) for above in Path(name).parents}
    for path in walk_tree(folder, on_error=_refuse_unreadable, empty_folders=True):
        relative = path.relative_to(folder).as_posix()
        if path.is_dir() and not path.is_symlink():
            if relative not in own:
                yield f"an empty folder that is not builder's: {_printable(relative)}"
            continue
        # The manifest cannot list its own digest. Builder never makes it a link.
        if relative == manifest and owned.files and not path.is_symlink():
            continue
        if relative not in owned.files and relative not in owned.links:
            yield f"not written by builder: {_printable(relative)}"
        elif not _is_as_written(path, relative, owned):
            yield f"changed since then: {_printable(relative)}"


def _refuse_unreadable(error: OSError) -> None:
    raise error


def _printable(name: str) -> str:
    # Whoever put a file there chose its name, which may hold line breaks.
    return name if name.isprintable() else repr(name)


def _is_as_written(path: Path, relative: str, owned: _Owned) -> bool:
    if leads_to := owned.links.get(relative):
        if path.is_symlink():
            return path.readlink().as_posix() == leads_to
        # A copy of the folder may have followed the link, as archives of CI services do.
        relative = (Path(relative).parent / leads_to).as_posix()
    file = owned.files.get(relative)
    return (
        file is not None
        and path.is_file()
        and not path.is_symlink()
        and path.stat().st_size == file.size
        and digest_file(path) == file.sha256
    )


def _read_owned(folder: Path, manifest: str) -> _Owned:
    try:
        text = read_regular(folder / manifest, MAX_JSON).decode()
        if manifest != MANIFEST:
            return _Owned(files=parse_json(text, _Listing, LISTING, newest=SCHEMA).files)
        parsed = parse_manifest(text)
        return _Owned(files=parsed.files, links=parsed.links)
    except (OSError, ValueError):
        return _Owned()  # without a valid manifest, no file is known to be builder's


def _write_listing(folder: Path) -> None:
    files = {
        path.relative_to(folder).as_posix(): ManifestFile(
            size=path.stat().st_size, sha256=digest_file(path)
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    write_atomically(folder / LISTING, render_json(to_json(_Listing(files=files))))


def _explain(path: Path, error: OSError) -> BuilderError:
    if is_full(error):
        return no_space(
            path.parent, PackagingError, hint=Hint("choose another folder with ", Use("output"))
        )
    where = f": {error.filename}" if error.filename else ""
    return PackagingError(f"cannot write {path}: {error.strerror or error}{where}")
