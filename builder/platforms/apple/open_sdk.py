"""An SDK of open parts: headers and symbol lists that others publish, and shims of our own.

It compiles and links C and C++ for iOS and its simulator on arm64, and nothing that needs
Objective-C or a framework. Nothing in it is of Apple's SDK. See docs/explanation/apple-linking.md.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import astuple
from pathlib import Path

from builder.formats.tbd import parse_stub, render_stub
from builder.platforms.apple.facts import OpenStubs, load_table
from builder.system.files import digest_file, write_atomically
from builder.system.listings import is_as_sealed, seal
from builder.system.locks import folder_lock
from builder.system.replace_folders import replacement_folder

_HEADERS = "third_party/darwin-headers/lib"
"""In the tree of the sources' feature `apple`."""
_INCLUDES = ("any-macos-any", "any-macos.13-any", "aarch64-macos.13-none")
"""The later ones are the more special."""
_LAYOUT = 1
"""Goes up when the same parts are put together in another way."""
_SYMBOLS = "libc/darwin/libSystem.13.tbd"
_FILES = ("include", "frameworks", "libc++.txt")
"""Of builder's own, below `cmake/apple`."""
_LIBRARY = "usr/lib/libc++.tbd"


def locate_open_sdk(tree: Path, own: Path, cache: Path) -> Path:
    """Returns the SDK's root in `cache`, assembled there if it is not, or was changed since.

    Args:
        tree: the source tree of the feature `apple`.
        own: builder's folder `cmake/apple`.
        cache: builder's cache folder.
    """
    root = cache / "apple" / f"open-{digest_parts(tree, own)}"
    listing, stamps = (root.with_name(f"{root.name}.{end}") for end in ("sha256", "stamps"))
    # Without the lock first: nearly always the SDK is there, and nobody has to wait.
    if is_as_sealed(root, listing, stamps):
        return root
    with folder_lock(root):
        if not is_as_sealed(root, listing, stamps):
            # An interruption from here on must not leave a listing without its folder.
            listing.unlink(missing_ok=True)
            with replacement_folder(root) as folder:
                _assemble(tree / _HEADERS, own, folder)
                sealed = seal(folder, stamps)
            write_atomically(listing, sealed)
    return root


def digest_parts(tree: Path, own: Path) -> str:
    """Returns what names the SDK that these parts make; the tree's own name holds its digest."""
    state = hashlib.sha256(f"{tree.name} {_LAYOUT}\n".encode())
    state.update(repr(astuple(load_table().stubs)).encode())
    for part in _FILES:
        paths = [own / part] if (own / part).is_file() else sorted((own / part).rglob("*"))
        for path in paths:
            if path.is_file():
                state.update(f"{path.relative_to(own).as_posix()} {digest_file(path)}\n".encode())
    return state.hexdigest()[:16]


def read_names(path: Path) -> tuple[str, ...]:
    """Returns the names in a list of ours, one on a line; `#` starts a comment."""
    lines = (line.strip() for line in path.read_text().splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


def _assemble(headers: Path, own: Path, root: Path) -> None:
    includes = root / "usr/include"
    # Later folders overwrite files of earlier ones.
    for name in _INCLUDES:
        shutil.copytree(headers / "libc/include" / name, includes, dirs_exist_ok=True)
    for library in ("libcxx", "libcxxabi"):
        shutil.copytree(headers / library / "include", includes / "c++/v1", dirs_exist_ok=True)
    # Our own headers come last, so they replace those of the same name.
    shutil.copytree(own / "include", includes, dirs_exist_ok=True)
    shutil.copytree(own / "frameworks", root / "System/Library/Frameworks")
    _write_stubs(headers, own, root, load_table().stubs)


def _write_stubs(headers: Path, own: Path, root: Path, facts: OpenStubs) -> None:
    accelerate = facts.accelerate
    system = parse_stub((headers / _SYMBOLS).read_text(), facts.read_for)
    stubs = {
        "usr/lib/libSystem.tbd": ("/usr/lib/libSystem.B.dylib", system),
        _LIBRARY: ("/usr/lib/libc++.1.dylib", read_names(own / "libc++.txt")),
        accelerate.path: (accelerate.install_name, accelerate.symbols),
    }
    for path, (install_name, symbols) in stubs.items():
        write_atomically(root / path, render_stub(install_name, symbols, facts.targets))
