"""Tests skip where what they are marked with is missing, and fail where the run expects it.

BUILDER_EXPECT names, separated by commas, what has to be there: `torch`, `host`, `ccache`,
`distcc`, `jdk`, `maven`, `vulkan`, `gradle`, `ndk`, `androidroot`, `apple`, `swift`.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from collections.abc import Callable, Generator, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis
import pytest

LAVAPIPE = Path("/usr/share/vulkan/icd.d")
"""Where Mesa's package puts a file for each of its drivers."""
CLANG_SUFFIXES = ("", *(f"-{major}" for major in range(14, 22)))


def has_torch() -> bool:
    return importlib.util.find_spec("torch") is not None


def has_host_compilers() -> bool:
    return all(
        any(shutil.which(f"{name}{suffix}") for suffix in CLANG_SUFFIXES)
        for name in ("clang", "ld.lld")
    )


# A busy machine draws examples slowly; that is no finding.
hypothesis.settings.register_profile(
    "patient", suppress_health_check=[hypothesis.HealthCheck.too_slow], deadline=None
)
hypothesis.settings.load_profile("patient")


def has_ndk() -> bool:
    from builder.errors import ToolchainError
    from builder.platforms.android.ndk import locate_ndk
    from builder.system.process import Runner

    try:
        return bool(locate_ndk(Runner.inherit()))
    except ToolchainError:
        return False


def has_apple() -> bool:
    from builder.sources.releases import load_release
    from builder.sources.trees import find_sources

    linkers = (f"ld64.lld{suffix}" for suffix in CLANG_SUFFIXES)
    headers = find_sources(load_release(), "apple")
    return any(map(shutil.which, linkers)) and headers is not None


def has_android_root() -> bool:
    roots = os.environ.get("BUILDER_ANDROID_ROOT")  # tests/native/android_roots.py reads it
    return bool(roots) and all(map(shutil.which, ("qemu-aarch64", "qemu-arm", "qemu-i386")))


def has_vulkan() -> bool:
    """Says whether shaders can be compiled, and run on the CPU by Mesa's lavapipe."""
    headers = Path("/usr/include/vulkan/vulkan.h")
    return bool(shutil.which("glslc")) and headers.is_file() and bool(list(LAVAPIPE.glob("lvp_*")))


def has_gradle() -> bool:
    plugin = Path("/usr/share/maven-repo/com/android/tools/build/gradle/2.2.2")
    needed = (plugin, Path("/usr/share/java/jaxb-runtime.jar"), Path("/usr/lib/android-sdk"))
    found = all(path.exists() for path in needed)
    return found and all(map(shutil.which, ("gradle", "dexdump", "zipalign")))


def has_programs(*names: str) -> Callable[[], bool]:
    return lambda: all(map(shutil.which, names))


NEEDS: dict[str, Callable[[], bool]] = {
    "torch": has_torch,
    "host": has_host_compilers,
    "ccache": has_programs("ccache"),
    "jdk": has_programs("java", "javac"),
    "maven": has_programs("mvn"),
    "gradle": has_gradle,
    "ndk": has_ndk,
    "androidroot": has_android_root,
    "apple": has_apple,
    "distcc": has_programs("distcc", "distccd"),
    "vulkan": has_vulkan,
    "kotlin": lambda: os.environ.get("BUILDER_KOTLIN") == "1",
    "swift": lambda: bool(os.environ.get("BUILDER_SWIFT") or shutil.which("swiftc")),
}


@cache
def is_there(need: str) -> bool:
    return NEEDS[need]()


def expected() -> frozenset[str]:
    return frozenset(filter(None, os.environ.get("BUILDER_EXPECT", "").split(",")))


def pytest_configure(config: pytest.Config) -> None:
    del config
    unknown = expected().difference(NEEDS)
    if unknown:
        raise pytest.UsageError(
            f"BUILDER_EXPECT names {', '.join(sorted(unknown))}; known are {', '.join(NEEDS)}"
        )


def pytest_runtest_setup(item: pytest.Item) -> None:
    for need in NEEDS:
        if item.get_closest_marker(need) is None or is_there(need):
            continue
        if need in expected():
            pytest.fail(f"BUILDER_EXPECT names {need}, which is not there", pytrace=False)
        pytest.skip(f"needs {need}")


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turns the skip of a whole module (importorskip) into a failure where its need is expected."""
    del collector
    report = yield
    missing = sorted(need for need in expected() if not is_there(need))
    if report.skipped and missing:
        report.outcome = "failed"
        report.longrepr = f"BUILDER_EXPECT names {', '.join(missing)}, which is not there"
    return report


@pytest.fixture(scope="session", autouse=True)
def _json_follows_its_schema() -> Iterator[None]:
    """Holds all JSON that a command prints in this process to the schema of the command."""
    from builder.cli import console
    from tests.json_schemas import make_validator

    render = console.render_json

    def render_checked(command: str, value: Mapping[str, Any]) -> str:
        text = render(command, value)
        make_validator(command).validate(json.loads(text))
        return text

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(console, "render_json", render_checked)
        yield


@pytest.fixture(scope="session")
def golden() -> Callable[[Path, str], None]:
    """Compares text with a recorded file; BUILDER_UPDATE_GOLDEN=1 records it anew."""

    def compare(path: Path, text: str) -> None:
        if os.environ.get("BUILDER_UPDATE_GOLDEN"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert path.is_file(), f"{path} is missing: record it with BUILDER_UPDATE_GOLDEN=1"
        assert text == path.read_text()

    return compare
