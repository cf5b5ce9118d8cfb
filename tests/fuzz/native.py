"""Runs mutated lite files on a runtime, each in a process of its own, and counts what happens.

    python -m tests.fuzz.native --runtime OUT --mutations 20000 --seed 1

mutates the models of tests/data and those that torch makes (--no-torch: only the former), which the
runtime must have been built for:

    python -m tests.fuzz.native --write-models FOLDER     # prints what to give to `builder build`
    builder build ... -o OUT

With --core own, here and there, the models are those that builder's own core can run.

A runtime with sanitizers is built as tests/fuzz/sanitizers.py says, and tried with

    python -m tests.fuzz.native --runtime OUT --mutations 3000 --seed 1 --asan

Files that crash, do not end or give other outputs each time are kept in --keep. The exit code is 1
when there are some. --replay FILE... runs kept files again.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.api.toolchains import locate_target, locate_toolchain
from tests.fuzz import models, sanitizers
from tests.fuzz.mutators import lite_runtime

HERE = Path(__file__).parent
GOOD = ("ran", "refused", "failed")
BATCH = 250
"""Files written at once: they do not fill the disk, and one start of the host serves them all."""
STEPS = 1_000_000
"""Instructions that a model may take; the longest of the models takes some thousand."""
_ASAN = (
    "exitcode=99:detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=2048"
    ":handle_abort=1:handle_sigfpe=1:handle_sigill=1:detect_odr_violation=0:symbolize=0"
)
_UBSAN = "halt_on_error=1:exitcode=99:print_stacktrace=1:symbolize=0"
_FRAME = re.compile(r"libtorchlite\.so(?:\.\d+)?\+0x[0-9a-f]+")
_NO_MEMORY = (
    "AddressSanitizer: requested allocation size",
    "AddressSanitizer: out of memory",
    "AddressSanitizer: allocation-size-too-big",
)
"""Where the plain runtime gets std::bad_alloc, which a sanitizer's operator new cannot throw."""


@dataclass(frozen=True)
class Outcome:
    """What became of one file."""

    verdict: str
    milliseconds: int
    kilobytes: int
    path: Path
    detail: str
    report: str = ""
    """What a sanitizer said."""

    @property
    def is_good(self) -> bool:
        """Whether the file ended as a file may end."""
        return self.verdict in GOOD

    @property
    def place(self) -> str:
        """Where it crashed, for telling causes apart: the innermost places in the library."""
        if self.report:
            return " ".join(_FRAME.findall(self.report)[:3]) or self.report[:200]
        places = [word for word in self.detail.split() if _FRAME.fullmatch(word)]
        return " ".join(places[:3]) or self.detail


@dataclass(frozen=True)
class Host:
    """The program of host.c, compiled for a runtime."""

    program: Path
    library: Path
    asan: bool = False

    def run(self, inputs: Path, files: Sequence[Path]) -> list[Outcome]:
        """Returns what became of each of `files`."""
        said = self.say(inputs, files)
        reports = _split_reports(said.stderr)
        return [_parse(line, reports) for line in said.stdout.splitlines()]

    def say(self, inputs: Path, files: Sequence[Path]) -> subprocess.CompletedProcess[str]:
        """Returns what the program prints, one line for each of `files`, and its errors."""
        environment = {**os.environ, "HOST_STEPS": str(STEPS)}
        if self.asan:
            environment |= {
                "ASAN_OPTIONS": _ASAN,
                "UBSAN_OPTIONS": _UBSAN,
                "HOST_KEEP_SIGNALS": "1",
            }
        said = subprocess.run(
            [self.program, self.library, inputs],
            input="".join(f"{path}\n" for path in files),
            capture_output=True,
            text=True,
            errors="replace",
            env=environment,
        )
        if said.returncode != 0:
            sys.exit(f"the host ended with {said.returncode}: {said.stderr[-2000:]}")
        return said


def compile_host(folder: Path, include: Path, library: Path, *, asan: bool = False) -> Host:
    """Compiles the host into `folder`."""
    if asan:
        compiler, _ = sanitizers.write_compilers(folder / "sanitizers")
    else:
        compiler = locate_toolchain(locate_target(f"linux-{os.uname().machine}")).cc.path
    program = folder / "host"
    source = HERE / "host.c"
    flags = ("-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", f"-I{include}")
    subprocess.run([compiler, *flags, source, "-ldl", "-o", program], check=True)
    return Host(program, library, asan)


def _split_reports(text: str) -> dict[str, str]:
    """Returns what stands before each line `== file`."""
    reports, lines = {}, []
    for line in text.splitlines():
        if line.startswith("== ") and line[3:].startswith("/"):
            reports[line[3:]] = "\n".join(lines)
            lines = []
        else:
            lines.append(line)
    return reports


def _parse(line: str, reports: dict[str, str]) -> Outcome:
    verdict, milliseconds, kilobytes, path, detail = line.split("\t", 4)
    report = reports.get(path, "")
    if verdict == "sanitizer" and any(mark in report for mark in _NO_MEMORY):
        verdict, detail, report = "failed", "no memory", ""
    return Outcome(verdict, int(milliseconds), int(kilobytes), Path(path), detail, report)


@dataclass(frozen=True)
class Attempt:
    """A share of the mutations of one model."""

    target: models.Target
    seed: str
    count: int


def run_attempt(
    attempt: Attempt, host: Host, operators: Sequence[str], keep: Path | None
) -> list[Outcome]:
    """Mutates, runs, and keeps what is not good."""
    data = attempt.target.path.read_bytes()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name)
        inputs = folder / "inputs.txt"
        inputs.write_text(attempt.target.inputs)
        files = []
        for number in range(attempt.count):
            rng = random.Random(f"{attempt.seed}/{number}")
            path = folder / f"{attempt.target.name}-{attempt.seed.replace('/', '-')}-{number}.ptl"
            path.write_bytes(lite_runtime.mutate(data, rng, operators))
            files.append(path)
        outcomes = host.run(inputs, files)
        if keep is not None:
            for outcome in outcomes:
                if not outcome.is_good:
                    _keep(outcome, keep)
    return outcomes


def _keep(outcome: Outcome, keep: Path) -> None:
    keep.mkdir(parents=True, exist_ok=True)
    kept = keep / outcome.path.name
    kept.write_bytes(outcome.path.read_bytes())
    said = f"{outcome.verdict}\t{outcome.detail}\n{outcome.report}\n"
    kept.with_suffix(".txt").write_text(said)


def plan(
    targets: Sequence[models.Target], mutations: int, seed: int, batch: int = BATCH
) -> list[Attempt]:
    """Returns the attempts: each model gets the same share."""
    attempts = []
    for place, target in enumerate(targets):
        share = mutations // len(targets) + (place < mutations % len(targets))
        attempts += [
            Attempt(target, f"{seed}/{start}", min(batch, share - start))
            for start in range(0, share, batch)
        ]
    return attempts


def run_all(
    attempts: Iterable[Attempt],
    host: Host,
    operators: Sequence[str],
    *,
    keep: Path | None = None,
    jobs: int = 1,
) -> list[Outcome]:
    """Runs attempts side by side; the order of outcomes is that of the attempts."""
    with concurrent.futures.ProcessPoolExecutor(jobs) as pool:
        futures = [pool.submit(run_attempt, one, host, operators, keep) for one in attempts]
        return [outcome for future in futures for outcome in future.result()]


def check_unharmed(targets: Sequence[models.Target], host: Host, folder: Path) -> None:
    """SystemExit unless every model runs as it is: else a run would find nothing, and look fine."""
    for target in targets:
        inputs = folder / "inputs.txt"
        inputs.write_text(target.inputs)
        (outcome,) = host.run(inputs, [target.path])
        if outcome.verdict != "ran":
            sys.exit(f"{target.name} does not run unharmed: {outcome.verdict} {outcome.detail}")


def list_operators(library: Path) -> list[str]:
    """Returns the operators of the runtime that `library` belongs to."""
    said = subprocess.run(
        [library.parents[1] / "bin/torchlite-run", "--operators"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"},
    )
    return said.stdout.split()


def name_places(places: Iterable[str], library: Path) -> dict[str, str]:
    """Returns the functions at places like `libtorchlite.so+0x12`, where a symbolizer is there."""
    program = shutil.which("llvm-symbolizer") or shutil.which("llvm-symbolizer-19")
    places = sorted(set(places))
    if program is None or not places:
        return {}
    said = subprocess.run(
        [program, f"--obj={library}", "--no-inlines", "--basenames", "--output-style=GNU", "-C"],
        input="".join(f"{place.partition('+')[2]}\n" for place in places),
        capture_output=True,
        text=True,
    )
    lines = said.stdout.splitlines()
    names = (f"{name[:70]} ({line})" for name, line in zip(lines[::2], lines[1::2], strict=False))
    return dict(zip(places, names, strict=False))


def describe(outcomes: Sequence[Outcome], library: Path) -> str:
    """Returns counts by verdict, the costs, and the causes of what is not good."""
    counts = collections.Counter(outcome.verdict for outcome in outcomes)
    lines = [f"{len(outcomes)} files: {dict(sorted(counts.items()))}"]
    slowest = max(outcomes, key=lambda outcome: outcome.milliseconds)
    largest = max(outcomes, key=lambda outcome: outcome.kilobytes)
    lines.append(
        f"longest {slowest.milliseconds} ms ({slowest.path.name}), "
        f"largest {largest.kilobytes // 1024} MiB ({largest.path.name})"
    )
    bad = [outcome for outcome in outcomes if not outcome.is_good]
    causes = collections.defaultdict(list)
    for outcome in bad:
        causes[outcome.verdict, outcome.place].append(outcome)
    names = name_places((part for _, place in causes for part in place.split()), library)
    for (verdict, place), found in sorted(causes.items(), key=lambda item: -len(item[1])):
        lines.append(f"{len(found):5} {verdict} {place} e.g. {found[0].path.name}")
        lines += [f"          {names.get(part, part)}" for part in place.split() if part in names]
    return "\n".join(lines)


def main() -> None:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runtime", type=Path, help="what builder build wrote, or its <abi>/")
    parser.add_argument("--library", type=Path, help="another libtorchlite.so, e.g. unstripped")
    parser.add_argument("--models", nargs="*", help="names; all when not given")
    parser.add_argument("--mutations", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--asan", action="store_true", help="the runtime has sanitizers")
    parser.add_argument("--core", choices=("upstream", "own"), default="upstream")
    parser.add_argument("--no-torch", action="store_true", help="only the models of tests/data")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-kept"))
    parser.add_argument("--replay", type=Path, nargs="*", help="run these files instead")
    parser.add_argument("--write-models", type=Path, metavar="FOLDER")
    asked = parser.parse_args()
    if asked.write_models:
        targets = (*models.list_committed(), *models.export_models(asked.write_models))
        zips = [str(target.path) for target in _choose(targets, asked.core)]
        sys.stdout.write(" ".join(zips) + "\n")
        return
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        sys.exit(_run(asked, Path(name)))


def _choose(
    targets: Iterable[models.Target], core: str, *, flatbuffers: bool = False
) -> Iterable[models.Target]:
    """Yields the models that a runtime with this core can run."""
    for target in targets:
        if core == "own" and target.name.removesuffix("_flatbuffer") in models.NOT_OWN:
            continue
        if not target.is_flatbuffer or (flatbuffers and core != "own"):
            yield target


def _run(asked: argparse.Namespace, folder: Path) -> int:
    abi = f"linux-{os.uname().machine}"
    root = asked.runtime / abi if (asked.runtime / abi).is_dir() else asked.runtime
    packaged = root / "lib/libtorchlite.so"
    host = compile_host(folder, root / "include", asked.library or packaged, asan=asked.asan)
    targets = models.list_committed()
    if not asked.no_torch:
        targets += models.export_models(folder / "models")
    targets = [*_choose(targets, asked.core, flatbuffers=True)]
    if asked.models:
        targets = [target for target in targets if target.name in asked.models]
    if asked.replay:
        outcomes = list(_replay(asked.replay, targets, host, folder))
    else:
        check_unharmed(targets, host, folder)
        attempts = plan(targets, asked.mutations, asked.seed)
        operators = list_operators(packaged)
        outcomes = run_all(attempts, host, operators, keep=asked.keep, jobs=asked.jobs)
    sys.stdout.write(describe(outcomes, host.library) + "\n")
    return 0 if all(outcome.is_good for outcome in outcomes) else 1


def _replay(
    files: Sequence[Path], targets: Sequence[models.Target], host: Host, folder: Path
) -> Iterable[Outcome]:
    """Yields what becomes of kept files; the part of a name before the first `-` is the model's."""
    by_name = {target.name: target for target in targets}
    for file in files:
        inputs = folder / "inputs.txt"
        inputs.write_text(by_name[file.name.partition("-")[0]].inputs)
        for outcome in host.run(inputs, [file.resolve()]):
            sys.stdout.write(f"{outcome.verdict}\t{outcome.path.name}\t{outcome.detail}\n")
            sys.stdout.write(f"{outcome.report}\n" * bool(outcome.report))
            yield outcome


if __name__ == "__main__":
    main()
