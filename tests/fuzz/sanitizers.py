"""Compilers that build a runtime with AddressSanitizer and UndefinedBehaviorSanitizer.

`python -m tests.fuzz.sanitizers FOLDER` writes `clang` and `clang++` into FOLDER: scripts that call
the newest clang with the sanitizers' flags added. builder takes them as any other compiler:

    CC=FOLDER/clang CXX=FOLDER/clang++ builder build MODEL... --profile debug -o OUT

They report a version of their own, so that their objects get a folder of their own in the cache. It
takes the compiler's runtime library (Debian: libclang-rt-19-dev).
"""

from __future__ import annotations

import argparse
import hashlib
import shlex
import stat
import subprocess
import sys
from pathlib import Path

from builder.api.toolchains import locate_target, locate_toolchain

CHECKS = (
    "address",
    # Of UBSan, what leads to wrong memory: indexes, sizes, shifts, null, impossible values.
    *("bounds", "object-size", "null", "pointer-overflow", "return", "unreachable", "vla-bound"),
    *("signed-integer-overflow", "shift", "integer-divide-by-zero", "bool", "enum", "builtin"),
)
"""Left out of `undefined`:

alignment -- lite files are read where they lie in memory, which both supported CPUs take;
function -- the dispatcher keeps kernels as pointers of another type;
vptr -- it needs type information of classes that this build hides;
nonnull-attribute -- ATen calls memcpy with null for tensors without elements.
"""
_FLAGS = (
    f"-fsanitize={','.join(CHECKS)}",
    "-fno-omit-frame-pointer",
    "-fno-optimize-sibling-calls",
    # An index outside of a vector is noticed also where the memory behind it is the vector's own.
    "-D_GLIBCXX_ASSERTIONS",
)
_IGNORED = """\
# Arithmetic on the values of tensors and of numbers in a model wraps around as the hardware does;
# sizes, offsets and indexes are checked everywhere else.
[signed-integer-overflow|shift]
src:*/aten/src/ATen/native/cpu/*
src:*/aten/src/ATen/native/quantized/cpu/*
src:*/aten/src/ATen/cpu/vec/*
src:*/torch/csrc/jit/runtime/register_prim_ops*
src:*/third_party/*
src:*/XNNPACK/*
src:*/c10/util/hash.h
"""
_SCRIPT = """\
#!/bin/bash
# Written by tests/fuzz/sanitizers.py.
compiler={compiler}
if [ "$1" = --version ]; then
  "$compiler" --version | sed '1s/$/, sanitized {digest}/'
  exit
fi
kept=() linked=(-shared-libsan -Wl,-rpath,{runtime})
for argument in "$@"; do
  case "$argument" in
    # The sanitizer's runtime looks for the exceptions' functions among shared libraries.
    -static-libstdc++ | -static-libgcc) ;;
    -c | -E | -S | -M | -MM) kept+=("$argument") linked=() ;;
    *) kept+=("$argument") ;;
  esac
done
exec "$compiler" "${{kept[@]}}" {flags} "${{linked[@]}}"
"""


def write_compilers(folder: Path) -> tuple[Path, Path]:
    """Writes the scripts; returns the C and the C++ one."""
    folder.mkdir(parents=True, exist_ok=True)
    toolchain = locate_toolchain(locate_target("linux-x86_64"))
    runtime = find_runtime(toolchain.cc.path)
    ignored = folder / "ignored.txt"
    _write(ignored, _IGNORED)
    flags = (*_FLAGS, f"-fsanitize-ignorelist={ignored.resolve()}")
    digest = hashlib.sha256("\n".join((*_FLAGS, _IGNORED)).encode()).hexdigest()[:8]
    made = []
    for name, tool in (("clang", toolchain.cc), ("clang++", toolchain.cxx)):
        script = _SCRIPT.format(
            compiler=shlex.quote(str(tool.path)),
            digest=digest,
            runtime=shlex.quote(str(runtime)),
            flags=shlex.join(flags),
        )
        _write(folder / name, script)
        (folder / name).chmod(0o755 | stat.S_IXUSR)
        made.append(folder / name)
    return made[0], made[1]


def find_runtime(compiler: Path) -> Path:
    """Returns the folder of the compiler's own shared libraries; SystemExit without a sanitizer."""
    said = subprocess.run(
        [compiler, "-print-file-name=libclang_rt.asan-x86_64.so"],
        capture_output=True,
        text=True,
        check=True,
    )
    library = Path(said.stdout.strip())
    if not library.is_file():
        sys.exit(f"{compiler} has no AddressSanitizer (Debian: apt install libclang-rt-19-dev)")
    return library.parent


def _write(path: Path, text: str) -> None:
    """Leaves an equal file alone: compiler caches go by its time."""
    if not path.is_file() or path.read_text() != text:
        path.write_text(text)


def main() -> None:
    """Writes the scripts and says how to use them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where to write the scripts")
    cc, cxx = write_compilers(parser.parse_args().folder)
    sys.stdout.write(f"CC={shlex.quote(str(cc))} CXX={shlex.quote(str(cxx))}\n")


if __name__ == "__main__":
    main()
