"""builder beside upstream's own selective builds: size, units, compile time, in one run.

    .venv/bin/python benchmarks/upstream.py model.ptl --abi linux-aarch64 --work DIR -o table.md

Upstream is configured as its scripts/build_mobile.sh does, with the same sources, compilers and
operators, twice: with the documented flat SELECTED_OP_LIST, and with TRACING_BASED and a YAML of
the root operators. Its libraries are linked as its documentation says (whole archive, sections
collected), with builder's C API in front, and stripped. CPU seconds are user and system time: for
builder of all processes of a build from nothing, for upstream of one compilation in 12 (--every),
times 12.
Wall time is simulated from the times of the compilations, the longest first: upstream's run all
together, those of builder in waves of which each waits for the one before, and what builder does
besides, its links among it, is taken to run alone. What upstream does besides is left out.
Latency is the quickest of many forward calls on one thread, with the inputs saved beside the model,
through the same C API and program; it is measured only where the processor is this machine's. It
takes about an hour on two cores; what is finished in DIR is not repeated, and upstream's builds
share a compiler cache there. With --costs, only what compiling costs is measured, which takes less:
nothing of upstream's is linked, and only the sample of its units is compiled.
"""

from __future__ import annotations

import argparse
import dataclasses
import heapq
import json
import os
import re
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from builder import api
from builder.cli.console import ConsoleProgress
from builder.core.plan import Flavour, Interface
from builder.core.sources import SourceTree
from builder.core.targets import Target
from builder.core.toolchain import Toolchain
from builder.native.interfaces import LIBRARIES
from builder.oplists.write import render_op_list
from builder.sources.releases import load_release
from builder.sources.trees import locate_sources
from builder.system.folders import data_folder
from builder.system.machine import host_abi
from tables import format_ratio, keep_row, print_table, time_models

SCRIPT_OPTIONS = (
    *("BUILD_CUSTOM_PROTOBUF=OFF", "BUILD_SHARED_LIBS=OFF", "BUILD_TEST=OFF", "BUILD_BINARY=OFF"),
    *("BUILD_LITE_INTERPRETER=ON", "USE_LIGHTWEIGHT_DISPATCH=OFF", "USE_ROCM=OFF", "USE_CUDA=OFF"),
    *("USE_ITT=OFF", "USE_GFLAGS=OFF", "USE_MPI=OFF", "USE_OPENMP=OFF", "USE_MKLDNN=OFF"),
    *("USE_NNPACK=OFF", "USE_NUMPY=OFF", "USE_BLAS=OFF", "CMAKE_BUILD_TYPE=Release"),
)
"""What scripts/build_mobile.sh passes."""
HERE_OPTIONS = (
    *("BUILD_PYTHON=OFF", "USE_KINETO=OFF", "USE_XPU=OFF", "USE_VULKAN=OFF", "USE_CCACHE=ON"),
    *("USE_LITE_INTERPRETER_PROFILER=OFF", "USE_DISTRIBUTED=OFF", "CXX_HAS_SVE256=OFF"),
    *("USE_PYTORCH_QNNPACK=ON", "USE_XNNPACK=ON", "CMAKE_POLICY_VERSION_MINIMUM=3.5"),
)
"""What the pinned sources, without kineto and SLEEF, need besides."""
ARCHIVES = ("libtorch_cpu.a", "libtorch.a")
OURS = {
    "builder": Flavour(),
    "builder --strip-error-messages": Flavour(strip_error_messages=True),
}
TITLE = "builder's builds beside upstream's"
JOBS = (2, 8, 16)
"""Compilations at once, of which the wall time is simulated."""
_COSTS = ("units", "compile CPU, ratio", *(f"wall, {jobs} jobs" for jobs in JOBS))
COSTS = ("build", *_COSTS)
COLUMNS = (
    *("build", "stripped bytes", "ratio", "compressed", "ratio", *_COSTS),
    "latency, ratio",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One build."""

    name: str
    size: int
    compressed: int
    units: int
    cpu_seconds: float | None
    waves: Sequence[Sequence[float]] = ()
    """Seconds of each compilation, by wave; nothing where they were not measured."""

    def simulate(self, jobs: int) -> float | None:
        """Returns the seconds that all takes with so many jobs."""
        if self.cpu_seconds is None or not self.waves:
            return None
        besides = self.cpu_seconds - sum(map(sum, self.waves))
        return besides + sum(simulate_wave(wave, jobs) for wave in self.waves)


def simulate_wave(seconds: Sequence[float], jobs: int) -> float:
    """Returns when the last of some jobs ends, which are begun longest first."""
    ends = [0.0] * jobs
    for one in sorted(seconds, reverse=True):
        heapq.heapreplace(ends, ends[0] + one)
    return max(ends)


def run(command: list[str], log: Path, *, env: dict[str, str], cwd: Path | None = None) -> float:
    """Runs `command` to its end and returns the CPU seconds of all its processes."""
    with log.open("ab") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, env=env, cwd=cwd)
        _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"failed, see {log}: {' '.join(command)[:200]}")
    return usage.ru_utime + usage.ru_stime


def copy_sources(folder: Path) -> SourceTree:
    """Returns the sources in a folder that upstream's build may write to, as it does."""
    tree = locate_sources(load_release(), progress=ConsoleProgress())
    if not folder.is_dir():
        shutil.copytree(tree.root, folder, symlinks=True)
    return dataclasses.replace(tree, root=folder)


def write_lists(model: Path, work: Path) -> dict[str, Path]:
    """Writes the operators as a flat list, and as YAML like that of tracing, of roots only.

    A real trace names operators that these call too, so the second is a lower bound: its library
    does not run the model.
    """
    listed = api.list_operators(api.OperatorsRequest(models=(model,)))
    flat, traced = work / "flat.yaml", work / "traced.yaml"
    flat.write_text("".join(f"- {operator}\n" for operator in listed.operators))
    # tools/code_analyzer/gen_oplist.py wants provenance of another kind than builder's, or none.
    without = re.sub(r"(?m)^debug_info:\n(- .*\n)*", "", render_op_list(listed))
    traced.write_text(without)
    return {"flat": flat, "traced": traced}


def build_upstream(
    name: str, operators: Path, tree: SourceTree, toolchain: Toolchain, work: Path, every: int
) -> Row:
    """Configures, compiles and links upstream; returns what it gave."""
    log = work / f"{name}.log"
    ninja, environment = configure_upstream(name, operators, tree, toolchain, work)
    binary = work / name
    run([*ninja, "torch_cpu", "torch"], log, env=environment)
    library = link_upstream(binary, tree, toolchain, work / f"{name}.so")
    wave = sample_compilations(ninja, binary, log, every) if name == "flat" else []
    return Row(
        name=name,
        size=library.stat().st_size,
        compressed=len(zlib.compress(library.read_bytes(), 9)),
        units=sum(1 for _ in binary.rglob("*.o")),
        cpu_seconds=sum(wave) or None,
        waves=(wave,),
    )


def cost_upstream(
    operators: Path, tree: SourceTree, toolchain: Toolchain, work: Path, every: int
) -> Row:
    """Configures upstream and compiles a sample of the documented path; links nothing."""
    name = "flat"
    log = work / f"{name}.log"
    ninja, environment = configure_upstream(name, operators, tree, toolchain, work)
    listed = subprocess.run(
        [*ninja, "-t", "targets", "rule", "CUSTOM_COMMAND"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    # Units need what torchgen writes.
    written = re.findall(r"^.*\.(?:h|c|cpp|inc)$", listed, re.MULTILINE)
    run([*ninja, *written], log, env=environment)
    wave = sample_compilations(ninja, work / name, log, every)
    return Row(
        name=name,
        size=0,
        compressed=0,
        units=len(wave),
        cpu_seconds=sum(wave),
        waves=(wave,),
    )


def configure_upstream(
    name: str, operators: Path, tree: SourceTree, toolchain: Toolchain, work: Path
) -> tuple[list[str], dict[str, str]]:
    """Configures upstream; returns the call of ninja for it, and the environment to call it in."""
    binary, log = work / name, work / f"{name}.log"
    environment = {
        **os.environ,
        "BUILD_PYTORCH_MOBILE_WITH_HOST_TOOLCHAIN": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "CCACHE_DIR": str(work / "ccache"),
        "PATH": f"{toolchain.ninja.path.parent}:{os.environ['PATH']}",
    }
    settings = {
        **dict(option.split("=", 1) for option in (*SCRIPT_OPTIONS, *HERE_OPTIONS)),
        **dict(toolchain.configuration),
        "CMAKE_MAKE_PROGRAM": str(toolchain.ninja.path),
        "CMAKE_C_COMPILER": str(toolchain.cc.path),
        "CMAKE_CXX_COMPILER": str(toolchain.cxx.path),
        "Python_EXECUTABLE": str(toolchain.python.path),
        "SELECTED_OP_LIST": str(operators),
        "TRACING_BASED": "ON" if name == "traced" else "OFF",
    }
    cmake = [str(toolchain.cmake.path), "-S", str(tree.root), "-B", str(binary), "-G", "Ninja"]
    run([*cmake, *(f"-D{k}={v}" for k, v in settings.items())], log, env=environment)
    mend_ninja_file(binary / "build.ninja", tree)
    return [str(toolchain.ninja.path), "-C", str(binary)], environment


def mend_ninja_file(ninja_file: Path, tree: SourceTree) -> None:
    """Makes two units compile with what the pinned sources have.

    The FFT kernels find the header that builder keeps as a source of its own. A file of the
    profiler that wants kineto, which is not there, is empty.
    """
    real = locate_sources(load_release(), progress=ConsoleProgress(), feature="pocketfft").root
    header, profiler = "third_party/pocketfft", tree.root / "torch/csrc/profiler/util.cpp"
    empty = ninja_file.parent / "empty.cpp"
    empty.touch()
    statements = ninja_file.read_text().split("\n\n")
    for index, statement in enumerate(statements):
        if "/SpectralOps.cpp" in statement:
            statements[index] = statement.replace(f"{tree.root}/{header}", f"{real}/{header}")
        elif f" {profiler} " in statement:
            statements[index] = statement.replace(f" {profiler} ", f" {empty} ")
    ninja_file.write_text("\n\n".join(statements))


def sample_compilations(ninja: list[str], binary: Path, log: Path, every: int) -> list[float]:
    """Returns the CPU seconds of all compilations; one in `every` stands for those behind it."""
    listed = subprocess.run(
        [*ninja, "-t", "commands", "torch_cpu", "torch"], check=True, capture_output=True, text=True
    ).stdout
    compilations = [line for line in listed.splitlines() if " -c " in line]
    environment = {**os.environ, "CCACHE_DISABLE": "1"}
    sample = [
        run(["sh", "-c", line], log, env=environment, cwd=binary) for line in compilations[::every]
    ]
    return [sample[place // every] for place in range(len(compilations))]


def read_waves(cache: Path) -> list[list[float]]:
    """Returns the seconds of each compilation of a build from nothing, by call of ninja."""
    (path,) = cache.glob("native/*/.ninja_log")
    waves: list[list[float]] = []
    last = sys.maxsize
    for line in path.read_text().splitlines()[1:]:
        start, end = map(int, line.split("\t")[:2])
        # Each call counts from its own start, and notes what ends in the order in which it ends.
        if end < last:
            waves.append([])
        last = end
        waves[-1].append((end - start) / 1000)
    return waves


def link_upstream(binary: Path, tree: SourceTree, toolchain: Toolchain, output: Path) -> Path:
    """Links upstream's archives behind the C API, and strips the library."""
    runtime = data_folder("cmake") / "runtime"
    nothing = output.with_suffix(".names.cpp")
    nothing.write_text(
        '#include "selected_operators.h"\n'
        "const char* const torchlite::selected_operators[] = {nullptr};\n"
    )
    exports = output.with_suffix(".map")
    exports.write_text(LIBRARIES[Interface.C].version_script)
    compiler = [str(toolchain.cxx.path), *toolchain.system_flags, "-std=gnu++17", "-fPIC", "-O2"]
    folders = (
        *(binary, binary / "aten/src", tree.root, tree.root / "aten/src"),
        *(tree.root / "torch/csrc/api/include", runtime),
    )
    defines = ("-DC10_MOBILE", "-DBUILD_LITE_INTERPRETER", '-DTORCHLITE_PYTORCH_VERSION="2.6.0"')
    includes = [f"-I{folder}" for folder in folders]
    sources = [nothing, *(runtime / unit for unit in LIBRARIES[Interface.C].units)]
    objects = [output.with_suffix(f".{place}.o") for place in range(len(sources))]
    for source, target in zip(sources, objects, strict=True):
        subprocess.run(
            [*compiler, *defines, *includes, "-w", "-c", str(source), "-o", str(target)], check=True
        )
    archives = {path.name: path for path in binary.rglob("*.a")}
    whole = [str(archives.pop(name)) for name in ARCHIVES if name in archives]
    unstripped = output.with_suffix(".unstripped.so")
    subprocess.run(
        [
            *(*compiler, "-shared", f"--ld-path={toolchain.linker.path}"),
            *("-static-libgcc", "-static-libstdc++", "-Wl,--gc-sections", "-Wl,--no-undefined"),
            *(f"-Wl,--version-script,{exports}", *map(str, objects)),
            *("-Wl,--whole-archive", *whole, "-Wl,--no-whole-archive", "-Wl,--start-group"),
            *(*map(str, archives.values()), "-Wl,--end-group", "-pthread", "-ldl", "-lm"),
            *("-o", str(unstripped)),
        ],
        check=True,
    )
    subprocess.run(
        [str(toolchain.strip.path), "--strip-all", str(unstripped), "-o", str(output)], check=True
    )
    return output


def build_ours(model: Path, toolchain: Toolchain, work: Path, flavour: Flavour, name: str) -> Row:
    """Builds with builder, from a cache that holds the sources only."""
    cache = work / f"cache-{name}"
    shutil.rmtree(cache, ignore_errors=True)
    sources = locate_sources(load_release(), progress=ConsoleProgress()).root
    shutil.copytree(sources, cache / "sources" / sources.name, symlinks=True)
    environment = {**os.environ, "BUILDER_CACHE": str(cache), "BUILDER_LAUNCHER": "none"}
    command = [sys.executable, "-m", "builder.cli.main", "build", str(model), "--json"]
    command += ["--abi", toolchain.target.abi, "-o", str(work / name)]
    command += ["--profile", str(flavour.profile)]
    command += ["--strip-error-messages"] if flavour.strip_error_messages else []
    log = work / f"{name}.log"
    log.unlink(missing_ok=True)
    seconds = run(command, log, env=environment)
    found = re.search(r"^\{.*^\}", log.read_text(), re.MULTILINE | re.DOTALL)
    assert found is not None
    (said,) = json.loads(found[0])["runtimes"]
    waves = read_waves(cache)
    shutil.rmtree(cache)
    return Row(
        name=name,
        size=said["size"],
        compressed=said["compressed_size"],
        units=said["units_compiled"],
        cpu_seconds=seconds,
        waves=waves,
    )


def build_all_ours(
    model: Path, toolchain: Toolchain, work: Path, names: Sequence[str] = tuple(OURS)
) -> list[Row]:
    """Returns what builder's builds gave."""
    return [
        keep_row(
            work / f"{name}.json",
            Row,
            partial(build_ours, model, toolchain, work, OURS[name], name),
        )
        for name in names
    ]


def stand_in(package: Path, library: Path, output: Path, target: Target) -> Path:
    """Lays out the runtime `package` with another library in the place of its own."""
    shutil.copytree(package, output, dirs_exist_ok=True)
    shutil.copyfile(library, output / "lib" / LIBRARIES[Interface.C].name_for(target))
    return output


def format_rows(rows: Sequence[Row], latencies: Mapping[str, float]) -> Iterator[tuple[str, ...]]:
    """Yields the table's lines; ratios are to the first row."""
    base = rows[0]
    for row in rows:
        yield (
            row.name,
            f"{row.size:,}",
            f"1/{base.size / row.size:.1f}",
            f"{row.compressed:,}",
            f"1/{base.compressed / row.compressed:.1f}",
            f"{row.units:,}",
            *_list_costs(row, base),
            format_ratio(latencies.get(row.name), latencies.get(base.name)),
        )


def format_costs(rows: Sequence[Row]) -> Iterator[tuple[str, ...]]:
    """Yields the same without what has to be linked."""
    for row in rows:
        yield (row.name, f"{row.units:,}", *_list_costs(row, rows[0]))


def _list_costs(row: Row, base: Row) -> Iterator[str]:
    yield _format_part(row.cpu_seconds, base.cpu_seconds)
    yield from (_format_part(row.simulate(jobs), base.simulate(jobs)) for jobs in JOBS)


def _format_part(seconds: float | None, base: float | None) -> str:
    return f"1/{base / seconds:.1f}" if seconds and base else "-"


def main() -> None:
    """Runs all builds and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--abi", default=host_abi())
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument(
        "--every", type=int, default=12, help="of upstream's compilations, one in N"
    )
    parser.add_argument("--costs", action="store_true", help="measure compilations only")
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    work, model = arguments.work.absolute(), arguments.model.absolute()
    work.mkdir(parents=True, exist_ok=True)
    toolchain = api.locate_toolchain(api.locate_target(arguments.abi))
    lists = write_lists(model, work)
    tree = copy_sources(work / "pytorch")
    upstream_needs = tree, toolchain, work, arguments.every
    if arguments.costs:
        kept = work / "costs.json"
        upstream = keep_row(kept, Row, partial(cost_upstream, lists["flat"], *upstream_needs))
        compared = (upstream, *build_all_ours(model, toolchain, work, ("builder",)))
        print_table(TITLE, model, toolchain, COSTS, format_costs(compared), arguments.output)
        return
    rows = [
        keep_row(
            work / f"{name}.json",
            Row,
            partial(build_upstream, name, operators, *upstream_needs),
        )
        for name, operators in lists.items()
    ]
    rows += build_all_ours(model, toolchain, work)
    roots = {name: work / name / toolchain.target.abi for name in OURS}
    for name in lists:
        roots[name] = stand_in(
            roots["builder"], work / f"{name}.so", work / f"{name}-runtime", toolchain.target
        )
    latencies = time_models(roots, model, toolchain)
    rendered = format_rows(rows, latencies)
    print_table(TITLE, model, toolchain, COLUMNS, rendered, arguments.output)


if __name__ == "__main__":
    main()
