from __future__ import annotations

import os
from pathlib import Path

import pytest
from samples import FakeRunner, make_tool, make_toolchain, make_unit

from builder.core.toolchain import Bitcode, Launcher
from builder.errors import NativeBuildError
from builder.native.ninja import CompileFolder, Prefix, compile_units, render_ninja, write_ninja
from builder.system.process import Completed
from builder.system.progress import Silent

ROOT = Path("/cache/my native/0123")
FOLDER = CompileFolder(
    root=ROOT,
    ninja_file=Path("plans/k/build.ninja"),
    objects="objects/size",
    prefixes=(
        Prefix(ROOT / "configured", "configured", "generated"),
        Prefix(ROOT, "."),
        Prefix(Path("/cache/sources/2.6.0"), "pytorch"),
        Prefix(Path("/opt/builder/run time"), "torchlite"),
    ),
)
UNITS = (
    make_unit(
        "torchlite/registrations.cpp@k",
        source=f"{ROOT}/plans/k/registrations.cpp",
        flags=("-include", f"{ROOT}/limits/a.h", "-I/opt/builder/run time"),
    ),
    make_unit(
        "c10/core/Device.cpp",
        source="/cache/sources/2.6.0/c10/core/Device.cpp",
        flags=('-DNAME="a b"', "-DCASH=$HOME", "-I", "/cache/sources/2.6.0", "-Os"),
    ),
    make_unit(
        "generated/aten/Register CPU.cpp",
        source=f"{ROOT}/configured/aten/Register CPU.cpp",
        flags=("-isystem", f"{ROOT}/configured/aten/src"),
    ),
    make_unit("third_party/a.c", language="C", source="/cache/sources/2.6.0/third_party/a.c"),
    make_unit("third_party/b.S", language="ASM", source="/cache/sources/2.6.0/third_party/b.S"),
)
GOLDEN = Path(__file__).parents[2] / "golden" / "build.ninja"


def test_the_ninja_file(golden):
    toolchain = make_toolchain(system_flags=("--target=x86_64-linux-gnu",))
    golden(GOLDEN, render_ninja(UNITS, toolchain, FOLDER))


def test_bitcode_beside_an_object_is_what_the_object_is_made_of(tmp_path):
    units = (
        make_unit("c10/a.cpp", flags=("-flto=full",)),
        make_unit("c10/kept.cpp"),
        make_unit("x/b.S", language="ASM"),
    )
    text = render_ninja(units, make_toolchain(bitcode=Bitcode.BESIDE), FOLDER)
    rules = {rule.split()[0]: rule for rule in text.split("rule ")[1:]}
    assert "-c $in -o $out.bc && " in rules["CXX_BITCODE"]
    assert "-x ir -c $out.bc -o $out\n" in rules["C_BITCODE"]
    assert "$out.bc" not in rules["ASM"] + rules["CXX"]
    assert "build objects/size/c10/a.cpp.o: CXX_BITCODE" in text
    assert "build objects/size/c10/kept.cpp.o: CXX " in text
    assert "build objects/size/x/b.S.o: ASM " in text


def test_a_unit_without_bitcode_is_linked_as_it_is(tmp_path):
    folder = CompileFolder(root=tmp_path, ninja_file=Path("n"), objects="o", prefixes=())
    (tmp_path / "o").mkdir()
    (tmp_path / "o/a.cpp.o.bc").touch()
    assert folder.find_bitcode("a.cpp") == tmp_path / "o/a.cpp.o.bc"
    assert folder.find_bitcode("b.S") == tmp_path / "o/b.S.o"


def test_older_compilers_map_folders_as_they_can():
    toolchain = make_toolchain(cxx=make_tool("clang++", "Android clang version 9.0.8"))
    text = render_ninja(UNITS, toolchain, FOLDER)
    assert "-fdebug-prefix-map=configured=generated" in text
    assert "-ffile-prefix-map" not in text


DISTRIBUTED = Launcher(
    tools=(make_tool("ccache"), make_tool("distcc")),
    environment=(("CCACHE_PREFIX", "distcc"),),
    fallback="running locally",
)


def test_the_launcher_is_not_in_what_ninja_compares():
    text = render_ninja(UNITS, make_toolchain(launcher=DISTRIBUTED), FOLDER)
    assert text == render_ninja(UNITS, make_toolchain(), FOLDER)


def test_the_order_of_units_does_not_matter():
    toolchain = make_toolchain()
    assert render_ninja(UNITS, toolchain, FOLDER) == render_ninja(UNITS[::-1], toolchain, FOLDER)


def test_it_is_the_same_wherever_the_cache_is():
    def render(base: str) -> str:
        root = Path(base, "native/0123")
        source = Path(base, "sources/2.6.0")
        folder = CompileFolder(
            root=root,
            ninja_file=Path("build.ninja"),
            objects="objects",
            prefixes=(
                Prefix(root, "."),
                Prefix(source, "pytorch"),
            ),
        )
        unit = make_unit(
            "c10/a.cpp", source=f"{source}/c10/a.cpp", flags=(f"-I{source}", "-I", f"{root}/inc")
        )
        return render_ninja([unit], make_toolchain(), folder)

    assert render("/home/me/.cache/builder") == render("/tmp/another place/é")


def test_flags_survive_ninja_and_the_shell():
    """Reads the text as ninja (`$$` is a dollar) and then as the shell would."""
    import shlex

    text = render_ninja(UNITS, make_toolchain(), FOLDER)
    (line,) = (line for line in text.splitlines() if "CASH" in line)
    read = shlex.split(line.partition(" = ")[2].replace("$$", "$"))
    assert read == ['-DNAME="a b"', "-DCASH=$HOME", "-I", "pytorch", "-Os"]


def test_objects_do_not_know_the_machine():
    text = render_ninja(UNITS, make_toolchain(), FOLDER)
    assert "-ffile-prefix-map=configured=generated" in text
    assert text.count("-ffile-prefix-map") == 3  # one for each language
    assert "/cache/" not in text.replace("/opt/builder", "")


def test_an_unchanged_file_is_not_touched(tmp_path):
    folder = CompileFolder(
        root=tmp_path, ninja_file=Path("p/build.ninja"), objects="objects", prefixes=()
    )
    write_ninja("one\n", folder)
    os.utime(tmp_path / "p/build.ninja", (1, 1))
    write_ninja("one\n", folder)
    assert (tmp_path / "p/build.ninja").stat().st_mtime == 1
    write_ninja("two\n", folder)
    assert (tmp_path / "p/build.ninja").read_text() == "two\n"


def compile_with(runner: FakeRunner, *, jobs=None, progress=None, launcher=None) -> int:
    return compile_units(
        ["b.cpp", "a.cpp"],
        make_toolchain(launcher=launcher),
        FOLDER,
        runner=runner,
        jobs=jobs,
        progress=progress or Silent(),
        log=Path("/logs/compile.log"),
    )


def test_progress_and_count_come_from_ninja():
    seen = []

    class Progress(Silent):
        def advance(self, done, total, what):
            seen.append((done, total, what))

    runner = FakeRunner.saying("[1/2] a.cpp\nwarning: x\n[2/2] b.cpp\n")
    assert compile_with(runner, jobs=3, progress=Progress()) == 2
    assert seen == [(1, 2, "a.cpp"), (2, 2, "b.cpp")]
    assert runner.commands == [
        (
            *("/usr/bin/ninja", "-f", "plans/k/build.ninja", "-j", "3"),
            *("objects/size/a.cpp.o", "objects/size/b.cpp.o"),
        )
    ]
    assert runner.folders == [ROOT]
    assert runner.extra == {"NINJA_STATUS": "[%f/%t] ", "BUILDER_COMPILE_WITH": ""}


def test_the_launcher_is_told_in_the_environment():
    runner = FakeRunner.saying("")
    compile_with(runner, launcher=DISTRIBUTED)
    assert runner.extra["BUILDER_COMPILE_WITH"] == "/usr/bin/ccache"
    assert runner.extra["CCACHE_PREFIX"] == "distcc"


@pytest.mark.parametrize(
    ("launcher", "noted"),
    [
        (
            DISTRIBUTED,
            ["this machine compiled 2 units, because no helper could; see /logs/compile.log"],
        ),
        (Launcher(tools=(make_tool("ccache"),)), []),
    ],
)
def test_units_that_no_helper_compiled_are_told(launcher, noted):
    notes = []

    class Progress(Silent):
        def note(self, text):
            notes.append(text)

    output = "[1/2] a.cpp\nrunning locally\n[2/2] b.cpp\nrunning locally\n"
    compile_with(FakeRunner.saying(output), launcher=launcher, progress=Progress())
    assert notes == noted


def test_nothing_to_do():
    runner = FakeRunner.saying("ninja: no work to do.\n")
    assert compile_with(runner) == 0
    assert "-j" not in runner.commands[0]


@pytest.mark.parametrize("failed", ["FAILED: objects/a.cpp.o ", "FAILED: [code=1] objects/a.cpp.o"])
def test_a_failure_names_the_unit_the_last_lines_and_the_log(failed):
    output = f"[1/2] b.cpp\n{failed}\nclang++ -c a.cpp\na.cpp:1:1: error: no\nninja: stopped.\n"
    with pytest.raises(NativeBuildError, match=r"compiling objects/a\.cpp\.o failed") as caught:
        compile_with(FakeRunner.saying(output, 1))
    assert "a.cpp:1:1: error: no" in caught.value.message
    assert "full log: /logs/compile.log" in caught.value.message


def test_a_full_disk_is_said_to_be_one():
    output = "FAILED: objects/a.cpp.o\nfatal error: No space left on device\n"
    with pytest.raises(NativeBuildError) as caught:
        compile_with(FakeRunner.saying(output, 1))
    assert "free some space" in caught.value.hint


def test_ninja_itself_may_fail():
    runner = FakeRunner(answer=lambda _: Completed(2, "ninja: error: build.ninja:3: bad"))
    with pytest.raises(NativeBuildError, match="compiling failed with exit code 2"):
        compile_with(runner)
