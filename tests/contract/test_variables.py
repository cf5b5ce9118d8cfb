"""Variables of the environment that change what clang writes change nothing in a build."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from builder import api
from builder.core.targets import parse_target
from builder.system.machine import host_abi
from builder.system.process import Runner

pytestmark = pytest.mark.host
CODE = """\
#if __has_include("given.h")
int given;
#endif
#ifdef GIVEN
int defined;
#endif
"""
DATE = "const char date[] = __DATE__;\n"


@pytest.fixture(scope="module")
def clang():
    return str(api.locate_toolchain(parse_target(host_abi())).cc.path)


@pytest.fixture
def folder(tmp_path):
    """What the variables name, which has a header and a linker, and what is compiled."""
    (tmp_path / "given.h").touch()
    (tmp_path / "ld").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "ld").chmod(0o755)
    (tmp_path / "code").mkdir()
    (tmp_path / "code/code.c").write_text(CODE)
    (tmp_path / "code/date.c").write_text(DATE)
    (tmp_path / "code/code.o").touch()
    return tmp_path


SHOW = "-###"  # prints the commands of the compiler and the linker, and runs nothing
CASES: dict[str, tuple[Callable[[Path], str], tuple[str, ...]]] = {
    "CPATH": (str, ("-E", "-P", "code.c")),
    "C_INCLUDE_PATH": (str, ("-E", "-P", "code.c")),
    "CPLUS_INCLUDE_PATH": (str, ("-E", "-P", "-x", "c++", "code.c")),
    "OBJC_INCLUDE_PATH": (str, ("-E", "-P", "-x", "objective-c", "code.c")),
    "OBJCPLUS_INCLUDE_PATH": (str, ("-E", "-P", "-x", "objective-c++", "code.c")),
    "SOURCE_DATE_EPOCH": (lambda _: "0", ("-E", "-P", "date.c")),
    "CCC_OVERRIDE_OPTIONS": (lambda _: "# +-DGIVEN", ("-E", "-P", "code.c")),
    "LIBRARY_PATH": (str, (SHOW, "code.o")),
    "COMPILER_PATH": (str, (SHOW, "code.o")),
    "SDKROOT": (str, (SHOW, "--target=arm64-apple-ios", "-c", "code.c")),
    "IPHONEOS_DEPLOYMENT_TARGET": (
        lambda _: "11.4",
        (SHOW, "--target=arm64-apple-darwin", "-c", "code.c"),
    ),
    "MACOSX_DEPLOYMENT_TARGET": (
        lambda _: "10.9",
        (SHOW, "--target=x86_64-apple-darwin", "-c", "code.c"),
    ),
}
"""Variable -> its value in a folder, and arguments of clang on which it has an effect."""


@pytest.mark.parametrize("name", CASES)
def test_what_changes_a_compilation_or_a_link_is_not_handed_on(name, clang, folder, monkeypatch):
    value, arguments = CASES[name]

    def run(runner):
        return runner.run((clang, *arguments), cwd=folder / "code").output

    monkeypatch.delenv(name, raising=False)
    clean = run(Runner.inherit_for_tools())
    monkeypatch.setenv(name, value(folder))
    assert run(Runner.inherit_for_tools()) == clean
    assert run(Runner.inherit()) != clean, "the variable has an effect, so the test can fail"
