"""Text stubs of Apple's libraries (.tbd): which symbols a library has, and for whom.

Version 4 is YAML, version 5 JSON; both as LLVM reads them (llvm/lib/TextAPI).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from builder.formats.plain_yaml import parse_documents

_DIRECTIVE = "$ld$"
"""Start of names that tell the linker of other versions of the system."""
_KINDS = ("symbols", "weak-symbols", "thread-local-symbols")
_JSON_KINDS = ("global", "weak", "thread_local")
_OBJECTIVE = {
    "class": ("_OBJC_CLASS_$_", "_OBJC_METACLASS_$_"),
    "eh-type": ("_OBJC_EHTYPE_$_",),
    "ivar": ("_OBJC_IVAR_$_",),
}
"""What stubs list by name alone -> how the symbols for it start."""


def render_stub(install_name: str, symbols: Iterable[str], targets: Iterable[str]) -> str:
    """Returns a text stub of version 4 with one library."""
    listed = f"[ {', '.join(targets)} ]"
    names = ",\n                       ".join(f"'{name}'" for name in sorted(set(symbols)))
    return (
        f"--- !tapi-tbd\ntbd-version:     4\ntargets:         {listed}\n"
        f"install-name:    '{install_name}'\nexports:\n  - targets:         {listed}\n"
        f"    symbols:         [ {names} ]\n...\n"
    )


def parse_stub(text: str, target: str) -> frozenset[str]:
    """Returns the symbols for `target` (`arm64-ios`) of a stub and of the libraries inside it.

    Raises:
        ValueError: it is no text stub.
    """
    try:
        read = _read_json if text.lstrip().startswith("{") else _read_yaml
        found = frozenset(read(text, target))
    except (LookupError, TypeError, AttributeError, RecursionError, ValueError) as error:
        raise ValueError(f"no text stub library: {error!r:.300}") from error
    return frozenset(name for name in found if not name.startswith(_DIRECTIVE))


def _read_yaml(text: str, target: str) -> Iterator[str]:
    plain = text.replace("--- !tapi-tbd", "---")
    for library in parse_documents(plain, only_strings=True):
        if not isinstance(library, dict):
            raise ValueError("a document that is no mapping")  # noqa: TRY004 - as other damage
        for listed in (*library.get("exports", ()), *library.get("reexports", ())):
            if target in listed["targets"]:
                for kind in _KINDS:
                    yield from _names(listed.get(kind, ()))
                for kind in _OBJECTIVE:
                    plural = "es" if kind == "class" else "s"
                    yield from _spell(kind, listed.get(f"objc-{kind}{plural}", ()))


def _read_json(text: str, target: str) -> Iterator[str]:
    stub = json.loads(text)
    for library in (stub["main_library"], *stub.get("libraries", ())):
        everywhere = [one["target"] for one in library.get("target_info", ())]
        for key in ("exported_symbols", "reexported_symbols"):
            for listed in library.get(key, ()):
                if target in listed.get("targets", everywhere):
                    yield from _list_names(listed)


def _list_names(listed: Mapping[str, Any]) -> Iterator[str]:
    for part in ("text", "data"):
        for kind in _JSON_KINDS:
            yield from _names(listed.get(part, {}).get(kind, ()))
        for kind in _OBJECTIVE:
            key = f"objc_{kind.replace('-', '_')}"
            yield from _spell(kind, listed.get(part, {}).get(key, ()))


def _spell(kind: str, names: Iterable[object]) -> Iterator[str]:
    """Yields the symbols of classes, exception types or instance variables."""
    return (f"{start}{name}" for name in _names(names) for start in _OBJECTIVE[kind])


def _names(listed: object) -> Iterator[str]:
    """Yields the names of a list; ValueError when it is none, or holds other things."""
    if not isinstance(listed, list | tuple):
        raise ValueError("names that are no list")  # noqa: TRY004 - as other damage
    for name in listed:
        if not isinstance(name, str):
            raise ValueError(f"a name that is none: {name!r:.60}")  # noqa: TRY004 - as other damage
        yield name
