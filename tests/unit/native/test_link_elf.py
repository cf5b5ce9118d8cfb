from __future__ import annotations

from pathlib import Path

import pytest
from samples import FakeRunner, make_toolchain

from builder.core.plan import Interface
from builder.errors import NativeBuildError
from builder.native.interfaces import LIBRARIES
from builder.native.link_elf import link_library, link_program, parse_undefined, strip_library
from builder.system.process import Completed

LLD_14 = """\
ld.lld: error: undefined symbol: c10::Foo::bar(int)
>>> referenced by a.cpp
>>>               a.o:(torchlite_x)

ld.lld: error: undefined hidden symbol: c10::H::f()
>>> referenced by a.cpp
>>>               a.o:(torchlite_x)
>>> referenced 3 more times

ld.lld: error: undefined symbol: void (*c10::get<float>(float))(int)
>>> referenced by a.cpp:12 (src/a.cpp:12)
>>>               a.o:(torchlite_x) in archive libc10.a

ld.lld: error: undefined symbol: vtable for c10::Pure
>>> referenced by a.cpp
>>>               a.o:(c10::Pure::Pure())
>>> the vtable symbol may be undefined because the class is missing its key function

ld.lld: error: undefined symbol: c10::Foo::bar(int)
>>> referenced by b.cpp
clang: error: linker command failed with exit code 1 (use -v to see invocation)
"""
NAMES = (
    "c10::Foo::bar(int)",
    "c10::H::f()",
    "void (*c10::get<float>(float))(int)",
    "vtable for c10::Pure",
)


def test_undefined_symbols_of_lld():
    assert parse_undefined(LLD_14) == NAMES


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("ld.lld-19: error: undefined symbol: cfunc", "cfunc"),
        ("ld.lld: error: undefined protected symbol: at::x[abi:cxx11]", "at::x[abi:cxx11]"),
        ("/opt/my llvm/ld.lld: error: undefined symbol: a b(c: d)\r", "a b(c: d)"),
    ],
)
def test_other_spellings(line, name):
    assert parse_undefined(line) == (name,)


@pytest.mark.parametrize(
    "line",
    [
        "ld.lld: error: duplicate symbol: c10::Foo::bar(int)",
        "ld.lld: warning: undefined symbol: x",
        ">>> did you mean: c10::Foo::bar(long)",
        "",
    ],
)
def test_other_messages_are_no_undefined_symbols(line):
    assert parse_undefined(line) == ()


def link(tmp_path, completed):
    runner = FakeRunner(answer=lambda _: completed)
    output = tmp_path / "lib, with space" / "libx.so"
    output.parent.mkdir(exist_ok=True)
    objects = [Path("/o/a b.o"), Path("/o/c.o")]
    log = tmp_path / "link.log"
    outcome = link_library(
        objects,
        output,
        make_toolchain(),
        flags=("-Wl,--icf=safe",),
        soname="libx.so",
        version_script=LIBRARIES[Interface.C].version_script,
        runner=runner,
        log=log,
    )
    return outcome, output, runner.commands[0]


def test_a_link_keeps_what_is_reached_and_shows_only_the_c_api(tmp_path):
    outcome, output, command = link(tmp_path, Completed(0, ""))
    assert outcome.undefined == ()
    assert {
        "-Wl,--icf=safe",
        "-Wl,--gc-sections",
        "-Wl,--no-undefined",
        "-Wl,--error-limit=0",
    } <= set(command)
    assert f"-Map={output}.map" in command
    assert "--ld-path=/usr/bin/ld.lld" in command
    (response,) = (part[1:] for part in command if part.startswith("@"))
    assert Path(response).read_text() == '"/o/a b.o"\n"/o/c.o"\n'
    script = next(part for part in command if part.startswith("--version-script="))
    assert command[command.index(script) - 1] == "-Xlinker"
    exports = Path(script.partition("=")[2]).read_text()
    assert "global: torchlite_*;" in exports
    assert "local: *;" in exports


def test_undefined_symbols_are_an_outcome_and_other_failures_are_errors(tmp_path):
    assert link(tmp_path, Completed(1, LLD_14))[0].undefined == NAMES
    duplicate = "ld.lld: error: duplicate symbol: c10::Foo::bar(int)"
    with pytest.raises(NativeBuildError, match=r"linking libx\.so failed") as caught:
        link(tmp_path, Completed(1, duplicate))
    assert duplicate in caught.value.message


def test_the_runner_finds_the_library_beside_it(tmp_path):
    runner = FakeRunner.saying("")
    arguments = ([Path("/o/r.o")], Path("/l/libx.so"), Path("/p/run"), make_toolchain())
    link_program(*arguments, runner=runner, log=tmp_path / "l.log")
    assert "-Wl,-rpath,$ORIGIN/../lib" in runner.commands[0]
    failing = FakeRunner.saying("no", 1)
    with pytest.raises(NativeBuildError, match="linking run failed"):
        link_program(*arguments, runner=failing, log=tmp_path / "l.log")


def test_a_failing_strip_is_named(tmp_path):
    paths = (tmp_path / "a.so", tmp_path / "b.so")
    with pytest.raises(NativeBuildError, match=r"stripping b\.so failed"):
        strip_library(*paths, make_toolchain(), runner=FakeRunner.saying("no", 1))
