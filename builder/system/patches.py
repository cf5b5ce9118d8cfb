"""Applies builder's patches strictly, without searching for another place that might fit.

Every byte of the unpatched tree is known. So a line that is not where the patch expects it is a
defect of the patch, and builder must not guess.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from builder.core.sources import SourcePatch
from builder.errors import ConfigurationError, Hint, Run, SourceError, Use
from builder.system.files import write_atomically

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunk:
    """One change: the lines `old`, from line `start` on, become the lines `new`."""

    start: int
    """Line number, counted from 1; for an insertion without context, the line before it."""
    old: tuple[str, ...]
    new: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePatch:
    """All changes of one file."""

    path: str
    creates: bool
    """Whether the patch creates the file, which must not exist before."""
    hunks: tuple[Hunk, ...]


def parse_patch(name: str, text: str) -> tuple[FilePatch, ...]:
    """Parses a unified diff; the text before the first `---` line is ignored.

    Raises:
        ConfigurationError: the text is not a unified diff that creates or changes files.
    """
    lines = text.splitlines()
    files: list[FilePatch] = []
    at = next((i for i, line in enumerate(lines) if line.startswith("--- ")), len(lines))
    while at < len(lines):
        if at + 1 >= len(lines) or not lines[at].startswith("--- "):
            raise ConfigurationError(f"patch {name}, line {at + 1}: expected `--- a/<path>`")
        if not re.fullmatch(r"\+\+\+ b/[^\s]+", lines[at + 1]):
            raise ConfigurationError(f"patch {name}, line {at + 2}: expected `+++ b/<path>`")
        # A patch that deletes a file is not supported, and none does.
        path, creates = lines[at + 1].removeprefix("+++ b/"), lines[at] == "--- /dev/null"
        if ".." in path.split("/") or path.startswith("/"):
            raise ConfigurationError(f"patch {name}: {path} leads out of the tree")
        hunks, at = _parse_hunks(name, lines, at + 2)
        files.append(FilePatch(path=path, creates=creates, hunks=hunks))
    if not files:
        raise ConfigurationError(f"patch {name} changes nothing")
    return tuple(files)


def apply_patch(patch: SourcePatch, root: Path) -> None:
    """Applies `patch` to the tree at `root`; all files are checked before the first is written.

    Raises:
        SourceError: a line is not what the patch expects; nothing is written in that case.
    """
    changed: dict[Path, str] = {}
    for change in parse_patch(patch.name, patch.text):
        path = root / change.path
        if change.creates:
            if path.exists():
                raise SourceError(f"patch {patch.name} would overwrite {change.path}")
            changed[path] = _apply_hunks(patch.name, change, "")
        elif not path.is_file():
            raise SourceError(f"patch {patch.name} changes {change.path}, which does not exist")
        else:
            changed[path] = _apply_hunks(patch.name, change, path.read_bytes().decode())
    # Nothing is written before every file fits, so a patch is applied completely or not at all.
    for path, text in changed.items():
        write_atomically(path, text)


def _parse_hunks(name: str, lines: list[str], at: int) -> tuple[tuple[Hunk, ...], int]:
    hunks: list[Hunk] = []
    while at < len(lines) and (header := _HUNK.match(lines[at])):
        # A count of one is left out in unified diffs (diffutils' manual, "Detailed Unified").
        counts = int(header[2] or 1), int(header[4] or 1)
        old: list[str] = []
        new: list[str] = []
        at += 1
        while (len(old), len(new)) != counts:
            if at >= len(lines) or lines[at][:1] not in (" ", "-", "+"):
                raise ConfigurationError(f"patch {name}, line {at + 1}: the hunk is too short")
            mark, line = lines[at][0], lines[at][1:]
            if mark != "+":
                old.append(line)
            if mark != "-":
                new.append(line)
            if len(old) > counts[0] or len(new) > counts[1]:
                raise ConfigurationError(f"patch {name}, line {at + 1}: the hunk is too long")
            at += 1
        hunks.append(Hunk(start=int(header[1]), old=tuple(old), new=tuple(new)))
    if not hunks:
        raise ConfigurationError(f"patch {name}, line {at + 1}: expected `@@ -N +N @@`")
    return tuple(hunks), at


def _apply_hunks(name: str, change: FilePatch, text: str) -> str:
    # Not splitlines, which also splits at form feeds and other characters.
    source = text.split("\n")
    ends_in_newline = source[-1] == ""
    if ends_in_newline:
        source.pop()
    result: list[str] = []
    done = 0
    for hunk in change.hunks:
        # An insertion names the line that it follows, a change names its first line.
        begin = hunk.start - 1 if hunk.old else hunk.start
        actual = tuple(source[begin : begin + len(hunk.old)])
        # Hunks have to be in order and apart, or one would change what another one wrote.
        if begin < done or begin > len(source) or actual != hunk.old:
            raise SourceError(
                f"patch {name} does not fit {change.path} at line {hunk.start}: "
                f"expected {list(hunk.old)}, found {list(actual)}",
                hint=Hint(
                    "the patch was made for other sources; check these: ",
                    Run("fetch", (Use("check"),)),
                ),
            )
        result += source[done:begin] + list(hunk.new)
        done = begin + len(hunk.old)
    result += source[done:]
    return "\n".join(result) + ("\n" if ends_in_newline else "")
