"""Reads and writes text stubs of Apple's libraries (.tbd): the symbols of a library per target.

Version 4 is YAML and version 5 is JSON. LLVM reads both (llvm/lib/TextAPI).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from builder.formats.plain_yaml import parse_documents

_DIRECTIVE = "$ld$"
"""Start of names that are instructions for the linker, about other versions of the system."""
_KINDS = ("symbols", "weak-symbols", "thread-local-symbols")
_JSON_KINDS = ("global", "weak", "thread_local")
_OBJECTIVE = {
    "class": ("_OBJC_CLASS_$_", "_OBJC_METACLASS_$_"),
    "eh-type": ("_OBJC_EHTYPE_$_",),
    "ivar": ("_OBJC_IVAR_$_",),
}
"""Kind of Objective-C names that stubs list -> prefixes of the symbols for such a name."""


def render_stub(install_name: str, symbols: Iterable[str], targets: Iterable[str]) -> str:
    """Returns a text stub, version 4, for one library."""
    listed = f"[ {', '.join(targets)} ]"
    names = ",\n                       ".join(f"'{name}'" for name in sorted(set(symbols)))
    return (
        f"--- !tapi-tbd\ntbd-version:     4\ntargets:         {listed}\n"
        f"install-name:    '{install_name}'\nexports:\n  - targets:         {listed}\n"
        f"    symbols:         [ {names} ]\n...\n"
    )


def parse_stub(text: str, target: str) -> frozenset[str]:
    """Returns the symbols for `target` (`arm64-ios`) in a stub and in the libraries inside it.

    Raises:
        ValueError: `text` is not a text stub.
    """
    try:
        # JSON starts with a brace; YAML stubs start with `---`.
        read = _read_json if text.lstrip().startswith("{") else _read_yaml
        symbols = frozenset(read(text, target))
    except (LookupError, TypeError, AttributeError, RecursionError, ValueError) as error:
        raise ValueError(f"the file is not a text stub library: {error!r:.300}") from error
    # Such names change what a symbol is for older systems, and define nothing themselves.
    return frozenset(name for name in symbols if not name.startswith(_DIRECTIVE))


def _read_yaml(text: str, target: str) -> Iterator[str]:
    plain = text.replace("--- !tapi-tbd", "---")  # the only tag that stubs have
    for library in parse_documents(plain, only_strings=True):
        if not isinstance(library, dict):
            raise ValueError("a document is not a mapping")  # noqa: TRY004 - as other damage
        # `reexports` lists the symbols of other libraries that this one passes on.
        for listed in (*library.get("exports", ()), *library.get("reexports", ())):
            if target in listed["targets"]:
                for kind in _KINDS:
                    yield from _names(listed.get(kind, ()))
                for kind in _OBJECTIVE:
                    # The keys of version 4 are objc-classes, objc-eh-types and objc-ivars.
                    plural = "es" if kind == "class" else "s"
                    yield from _spell(kind, listed.get(f"objc-{kind}{plural}", ()))


def _read_json(text: str, target: str) -> Iterator[str]:
    stub = json.loads(text)
    for library in (stub["main_library"], *stub.get("libraries", ())):
        # A list of symbols without targets of its own is for all targets of the library.
        everywhere = [info["target"] for info in library.get("target_info", ())]
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
    """Yields the names in a list; ValueError for anything but a list of strings."""
    if not isinstance(listed, list | tuple):
        raise ValueError("names are not a list")  # noqa: TRY004 - as other damage
    for name in listed:
        if not isinstance(name, str):
            raise ValueError(f"a name is not a string: {name!r:.60}")  # noqa: TRY004 - as other damage
        yield name
