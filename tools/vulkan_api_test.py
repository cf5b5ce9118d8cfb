"""Compiles upstream's own tests of its Vulkan kernels, and runs them on this machine's device.

    .venv/bin/python tools/vulkan_api_test.py --work FOLDER [--filter GLOB] [--precision fp16]

The library in FOLDER has `aten/src/ATen/test/vulkan_api_test.cpp` of the pinned sources and all
kernels for Vulkan, as builder builds them: with its patches and with direct calls. It needs the
sources of GoogleTest (`apt install googletest`); VK_ICD_FILENAMES names the driver. A test that
ends the process counts as failed, and another process goes on behind it.
docs/explanation/vulkan-tests.md explains the tests that fail; others make the exit code 1.
"""

from __future__ import annotations

import argparse
import fnmatch
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, fields, replace
from pathlib import Path

import click

from builder import api
from builder.api.link import make_native_build, plan_target
from builder.api.operator_choice import choose_operators
from builder.cli.console import ConsoleProgress
from builder.core.plan import BuildRequest, Flavour, Interface, VulkanPrecision
from builder.core.units import TranslationUnit, UnitGraph
from builder.native.build import link_runtime
from builder.native.flags import Tuning, load_tuning
from builder.native.job import NativeBuild
from builder.native.prepare_sources import prepare_units
from builder.native.together import run_together
from builder.sources.schemas import load_schemas
from builder.sources.vulkan_kernels import load_vulkan
from builder.system.locks import folder_lock
from builder.system.machine import host_abi

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/explanation/vulkan-tests.md"
GTEST = Path("/usr/src/googletest/googletest")
"""Where Debian's package `googletest` puts the sources."""
_TESTS = "aten/src/ATen/test/vulkan_api_test.cpp"
_UNIT = "vulkan-tests/tests.cpp"
_LIKE = "aten/src/ATen/native/vulkan/ops/Copy.cpp"
"""The tests call what this unit of the kernels sees."""
_SECONDS = 3600
"""That the tests may take."""
_DISABLED = "DISABLED_"
_BEGUN = re.compile(r"^\[ RUN      \] \w+\.(\w+)$", re.MULTILINE)
_WORDS = {"[       OK ]": "passed", "[  SKIPPED ]": "skipped", "[  FAILED  ]": "failed"}
"""How GoogleTest says what a test came to."""
_CALLED = re.compile(r'"(?P<name>(?:vulkan_)?prepack(?:ed)?::\w+)"')
_DECLARED = re.compile(r"^TEST_F\(\w+, (?P<name>\w+)\)", re.MULTILINE)
_REASON = re.compile(
    r"^(?:.*: Failure\n(?P<reason>.*(?:\n  .*)*)|C\+\+ exception (?P<thrown>.*))", re.M
)
_SOURCE = """\
// Upstream's tests and GoogleTest in one unit, with a function that the library exports.
#pragma clang optimize off
#include "src/gtest-all.cc"
#include "{tests}"

#define EXPORTED extern "C" __attribute__((visibility("default")))
EXPORTED int torchlite_vulkan_tests(int count, char** values) {{
  ::testing::InitGoogleTest(&count, values);
  return RUN_ALL_TESTS();
}}
"""
_CALL = """\
import ctypes, sys
values = [value.encode() for value in sys.argv[1:]]
library = ctypes.CDLL(sys.argv[1])
assert library.torchlite_set_seed(ctypes.c_uint64(5)) == 0
sys.exit(library.torchlite_vulkan_tests(len(values), (ctypes.c_char_p * len(values))(*values)))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one test came to."""

    name: str
    word: str
    """passed, skipped, disabled (by upstream) or failed."""
    said: str
    """All that it printed."""


class _Unoptimised(NativeBuild):
    """A build whose library is not linked a second time, by the optimiser."""

    @classmethod
    def of(cls, build: NativeBuild) -> NativeBuild:
        """Returns such a build with everything else as in `build`."""
        return cls(**{field.name: getattr(build, field.name) for field in fields(build)})

    @property
    def tuning(self) -> Tuning:
        """As for the objects, which other builds share."""
        plan = self.plan
        return replace(load_tuning(plan.flavour, self.toolchain, plan.static_dispatch), lto=False)


def main() -> int:
    """Builds the library, runs the tests, and names those that fail; 1 if the page misses one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="library and outputs stay here")
    parser.add_argument("--filter", default="*", help="names of tests, with * and ?")
    parser.add_argument("--gtest", type=Path, default=GTEST, help="GoogleTest's sources")
    parser.add_argument("--precision", type=VulkanPrecision, default=VulkanPrecision.FP32)
    parser.add_argument("--jobs", type=int, default=2, help="compilations at once")
    parser.add_argument("--built", action="store_true", help="the library is in FOLDER already")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    tests = api.locate_sources(api.load_release(), progress=ConsoleProgress()).root / _TESTS
    library = options.work / "libtests.so"
    if not options.built:
        built = _build(tests, options)
        shutil.copyfile(built, library)
    names = fnmatch.filter(_DECLARED.findall(tests.read_text()), options.filter)
    outcomes = _run_all(names, library, options.work)
    click.echo(", ".join(f"{n} {word}" for word, n in Counter(o.word for o in outcomes).items()))
    explained = PAGE.read_text() if PAGE.is_file() else ""
    failed = [one for one in outcomes if one.word == "failed"]
    for one in failed:
        known = " (explained)" if f"`{one.name}`" in explained else ""
        click.echo(f"{one.name}{known}: {_shorten(one.said)}")
    return int(any(f"`{one.name}`" not in explained for one in failed))


def _build(tests: Path, options: argparse.Namespace) -> Path:
    """Returns the library with the tests and all kernels."""
    progress = ConsoleProgress()
    operators = options.work / "operators.txt"
    operators.write_text("".join(f"{name}\n" for name in _list_operators(tests.read_text())))
    request = BuildRequest(
        inputs=(operators,), flavour=Flavour(vulkan_precision=options.precision), jobs=options.jobs
    )
    target = api.locate_target(host_abi())
    planned = plan_target(request, target, Interface.C, progress=progress)
    build = _Unoptimised.of(
        make_native_build(planned.plan, planned.toolchain, progress=progress, jobs=options.jobs)
    )
    source = options.work / "tests.cpp"
    source.write_text(_SOURCE.format(tests=tests))
    with folder_lock(build.layout.root, timeout=-1, on_wait=progress.note):
        graph = prepare_units(build)
        served = choose_operators(build, graph, skip_unknown=False)
        like = graph.units[_LIKE]
        unit = TranslationUnit(
            id=_UNIT,
            library=like.library,
            language=like.language,
            source=str(source.resolve()),
            flags=(*like.flags, f"-I{options.gtest}", f"-I{options.gtest / 'include'}"),
        )
        graph = UnitGraph(units={**graph.units, unit.id: unit})
        selection = replace(served.selection, always=served.selection.always | {unit.id})
        (linked,) = run_together([link_runtime(build, graph, selection)], jobs=options.jobs)
        return linked.library


def _list_operators(text: str) -> list[str]:
    """Returns the operators with a kernel, and those that the tests call by their names."""
    schemas = load_schemas()
    kernels = {name for name in load_vulkan().kernels if schemas.find(name)}
    return sorted(kernels.union(_CALLED.findall(text)))


def _run_all(names: list[str], library: Path, work: Path) -> list[Outcome]:
    """Runs the tests, and keeps what they print in `work`."""
    outcomes: list[Outcome] = []
    with (work / "said.txt").open("w") as log:
        while len(outcomes) < len(names):
            wanted = [name for name in names[len(outcomes) :] if not name.startswith(_DISABLED)]
            text, ended = _run(wanted, library) if wanted else ("", "")
            log.write(text)
            said = dict(_split(text))
            for name in names[len(outcomes) :]:
                if name not in said and not name.startswith(_DISABLED):
                    break
                outcomes.append(_judge(name, said.get(name, ""), ended))
    return outcomes


def _run(names: list[str], library: Path) -> tuple[str, str]:
    """Returns what the tests print, and how the process ended if that was too early."""
    arguments = (str(library), "--gtest_filter=" + ":".join(f"*.{name}" for name in names))
    try:
        said = subprocess.run(
            (sys.executable, "-c", _CALL, *arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        text = error.stdout.decode(errors="replace") if error.stdout else ""
        return text, f"the tests took more than {_SECONDS} seconds"
    ended = f"ended by signal {-said.returncode}" if said.returncode < 0 else "ended the process"
    # A process in which no test has begun would be started for ever.
    if not _BEGUN.search(said.stdout):
        raise SystemExit(said.stdout)
    return said.stdout, ended


def _split(text: str) -> list[tuple[str, str]]:
    """Returns each test that has begun, and what was printed until the next one began."""
    _, *parts = _BEGUN.split(text)
    return list(zip(parts[::2], parts[1::2], strict=True))


def _judge(name: str, said: str, ended: str) -> Outcome:
    if name.startswith(_DISABLED):
        return Outcome(name=name, word="disabled", said=said)
    for mark, word in _WORDS.items():
        if mark in said:
            return Outcome(name=name, word=word, said=said)
    return Outcome(name=name, word="failed", said=f"{said.rstrip()}\n{ended}")


def _shorten(said: str) -> str:
    match = _REASON.search(said)
    if match is None:
        return said.strip().splitlines()[-1][:200] if said.strip() else "it said nothing"
    return " ".join((match["reason"] or match["thrown"]).split())[:300]


if __name__ == "__main__":
    sys.exit(main())
