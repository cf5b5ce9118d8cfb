"""Links small shared libraries for Android with the installed clang and lld, without an NDK."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

NAME = "libpytorch_jni_lite.so"
TRIPLES = {
    "arm64-v8a": "aarch64-linux-android",
    "armeabi-v7a": "armv7a-linux-androideabi",
    "x86": "i686-linux-android",
    "x86_64": "x86_64-linux-android",
}
STUBS = {**TRIPLES, "armeabi-v7a": "arm-linux-androideabi"}
SOURCE = """\
extern void *malloc(__SIZE_TYPE__);
__attribute__((visibility("default"))) int JNI_OnLoad(void) { return malloc(1) != 0; }
static int value; __attribute__((used)) static int *pointer = &value;
"""
SOUND = (
    *("-Wl,-soname,libpytorch_jni_lite.so", "-Wl,--build-id=sha1", "-Wl,--hash-style=both"),
    *("-Wl,-z,relro,-z,now", "-Wl,-z,noexecstack", "-Wl,-z,max-page-size=16384", "-Wl,-s"),
)
"""Options of a library that keeps every rule."""


def find_clang() -> str:
    """Returns the newest clang that has an lld of its own release."""
    suffixes = (*(f"-{major}" for major in range(21, 13, -1)), "")
    both = (s for s in suffixes if shutil.which(f"clang{s}") and shutil.which(f"ld.lld{s}"))
    return f"clang{next(both)}"


def link(
    output: Path,
    abi: str,
    *options: str,
    source: str = SOURCE,
    needed: tuple[Path, ...] = (),
    api: int = 21,
) -> Path:
    """Links `source` for an ABI; `options` follow those of clang."""
    output.parent.mkdir(parents=True, exist_ok=True)
    code = output.with_suffix(".c")
    code.write_text(source)
    clang = find_clang()
    subprocess.run(
        (
            *(clang, f"--target={TRIPLES[abi]}{api}", "-nostdlib", "-shared", "-fPIC", "-O1"),
            *(
                "-fvisibility=hidden",
                "-fno-builtin",
                f"-ffile-prefix-map={output.parent}=.",
                *options,
            ),
            f"--ld-path={shutil.which(clang.replace('clang', 'ld.lld'))}",
            *(str(code), *map(str, needed), "-o", str(output)),
        ),
        check=True,
        capture_output=True,
    )
    code.unlink()
    return output


def make_stubs(folder: Path, api: int = 21) -> Path:
    """Makes the folders of an NDK with a libc that has malloc and nothing else."""
    sysroot = folder / "toolchains/llvm/prebuilt/any/sysroot/usr/lib"
    source = '__attribute__((visibility("default"))) void *malloc(unsigned long s) { return 0; }'
    for abi, triple in STUBS.items():
        link(sysroot / triple / str(api) / "libc.so", abi, "-Wl,-soname,libc.so", source=source)
    return folder


def stub(ndk: Path, abi: str, name: str = "libc.so", api: int = 21) -> Path:
    return next(ndk.glob(f"toolchains/llvm/prebuilt/*/sysroot/usr/lib/{STUBS[abi]}/{api}/{name}"))
