"""Objects are linked only as the compiler wrote them.

The digest of each object is written down when ninja says that it is compiled. Before objects are
used they are read again, once in a run; one that is truncated, that a disk or a hand has changed,
or that a power loss has torn is dropped, and ninja makes it anew. Reading 300 objects takes
a tenth of a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from builder.native.ninja import CompileFolder
from builder.system.files import digest_file, write_atomically
from builder.system.listings import parse_listing, render_listing
from builder.system.trees import make_folders

_KEPT = (".o", ".bc")
"""Endings of what compilers leave on purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """Units whose objects were removed."""

    damaged: tuple[str, ...]
    """They are not what was compiled."""
    unknown: tuple[str, ...]
    """A run was killed before it wrote down what was compiled."""


class Ledger:
    """What is known of the objects of one compile folder."""

    def __init__(self, folder: CompileFolder) -> None:
        """Reads what runs before have written down; lines that are torn say nothing."""
        self._folder = folder
        self._file = folder.root / f"{folder.objects}.sha256"
        self._right: set[str] = set()
        self._known = self._read()

    def drop_wrong(self, unit_ids: Iterable[str]) -> Dropped:
        """Removes those objects of units that are not as they were compiled."""
        damaged: list[str] = []
        unknown: list[str] = []
        for unit_id in unit_ids:
            # Once in a run is enough: only compilers of this run write objects afterwards.
            if unit_id in self._right or not self._folder.find_object(unit_id).is_file():
                continue
            found = {name: digest_file(path) for name, path in self._list(unit_id)}
            if found == self._look_up(unit_id):
                self._right.add(unit_id)
                continue
            (damaged if self._look_up(unit_id) else unknown).append(unit_id)
            for _, path in self._list(unit_id):
                path.unlink()
        return Dropped(damaged=tuple(damaged), unknown=tuple(unknown))

    def record(self, unit_id: str) -> None:
        """Writes down what a compiler has just made; nothing where it failed."""
        found = {name: digest_file(path) for name, path in self._list(unit_id)}
        if not found:
            return
        # An object that had bitcode beside it may have none now.
        self._forget(unit_id)
        self._known |= found
        self._right.add(unit_id)
        # Appending is cheap, and a kill tears the last line at most.
        with self._file.open("a") as stream:
            stream.write(render_listing(found))

    def record_rest(self, unit_ids: Iterable[str]) -> None:
        """Writes down those of units just compiled that nobody has named."""
        for unit_id in set(unit_ids) - self._right:
            self.record(unit_id)

    def _read(self) -> dict[str, str]:
        try:
            text = self._file.read_text(errors="replace")
        except FileNotFoundError:
            make_folders(self._file.parent)
            return {}
        # A line without its end was being written when a run was killed.
        known = parse_listing(text[: text.rfind("\n") + 1])
        tidy = render_listing(known)
        if tidy != text:  # later lines have replaced earlier ones, or the last is torn
            write_atomically(self._file, tidy)
        return known

    def _list(self, unit_id: str) -> Iterator[tuple[str, Path]]:
        """Yields the names and paths of the files that there are of a unit."""
        compiled = self._folder.find_object(unit_id)
        for path in (compiled, compiled.with_name(f"{compiled.name}.bc")):
            if path.is_file():
                yield path.relative_to(self._folder.root / self._folder.objects).as_posix(), path

    def _look_up(self, unit_id: str) -> dict[str, str]:
        name = f"{unit_id}.o"
        return {n: self._known[n] for n in (name, f"{name}.bc") if n in self._known}

    def _forget(self, unit_id: str) -> None:
        for name in self._look_up(unit_id):
            del self._known[name]


def sweep_objects(folder: Path) -> None:
    """Removes what killed compilers have left beside objects."""
    for path in folder.rglob("*"):
        # The ledgers themselves are files in `folder`.
        if path.is_file() and path.parent != folder and not path.name.endswith(_KEPT):
            path.unlink()
