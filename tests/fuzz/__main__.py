"""Attacks builder's readers with mutated files.

    python -m tests.fuzz --mutations 1000000 --seed 1            all formats, in turn
    python -m tests.fuzz --format elf --format macho --seed 2    100,000 mutations of two
    python -m tests.fuzz --format elf --repeat FILE              one file again, with its traceback
    python -m tests.fuzz --bombs                                 files that are made to be costly

Run it from the root of the project, in its environment. Each mutation is read in a child process
that may take 2 seconds of CPU and 256 MB more than before. A file that a reader does not stand (any
exception but BuilderError, or a limit) is stored in `--findings` and printed with the command that
repeats it. Exits with 1 when there are findings.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "unit")]

from tests.fuzz.bombs import BOMBS
from tests.fuzz.formats import FORMATS
from tests.fuzz.harness import BATCH, Finding, Limits, Run, Tally, judge


def main() -> int:
    """Runs the command line; returns its exit code."""
    options = _parse_arguments()
    names = options.format or sorted(FORMATS)
    if options.repeat:
        return _repeat(names[0], options.repeat)
    if options.bombs:
        return _explode()
    tallies = {name: Tally() for name in names}
    each = -(-options.mutations // len(names))
    for start in range(0, each, BATCH):
        for name in names:
            run = Run(name=name, kind=FORMATS[name], seed=options.seed)
            for tally in run.go(start, min(start + BATCH, each)):
                _add(tallies[name], tally)
                for finding in tally.findings:
                    _store(finding, name, options.seed, options.findings)
        if start // BATCH % 10 == 0:
            _print(tallies)
    _print(tallies)
    return int(any(tally.findings for tally in tallies.values()))


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--format", action="append", choices=sorted(FORMATS), help="all by default")
    parser.add_argument("--mutations", type=int, default=100_000, help="of all formats together")
    parser.add_argument("--seed", type=int, default=1, help="another seed gives other mutations")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"), metavar="DIR")
    parser.add_argument("--repeat", type=Path, metavar="FILE", help="a finding of one --format")
    parser.add_argument("--bombs", action="store_true", help="read those of tests/fuzz/bombs.py")
    return parser.parse_args()


def _explode() -> int:
    failed = 0
    for name, (kind, make) in BOMBS.items():
        data = make()
        tally = judge(FORMATS[kind], data, Limits())
        verdict = "read" if tally.read else "refused" if tally.refused else "FOUND"
        failed += len(tally.findings)
        cost = f"{tally.slowest:5.2f} s {tally.peak / 1e6:4.0f} MB"
        print(f"{name:42}{len(data):>12,} bytes {cost} {verdict}", flush=True)
        for finding in tally.findings:
            print(finding.what)
    return int(failed > 0)


def _repeat(name: str, path: Path) -> int:
    run = Run(name=name, kind=FORMATS[name], seed=0, limits=Limits())
    data = path.read_bytes()
    with tempfile.TemporaryDirectory() as scratch:
        try:
            run.kind.read(data, Path(scratch))
        except run.kind.refusals as error:
            print(f"refused: {error}")
            return 0
    print("read")
    return 0


def _add(total: Tally, tally: Tally) -> None:
    total.read += tally.read
    total.refused += tally.refused
    total.slowest = max(total.slowest, tally.slowest)
    total.peak = max(total.peak, tally.peak)
    total.findings += tally.findings


def _store(finding: Finding, name: str, seed: int, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{finding.name}"
    path.write_bytes(finding.data)
    print(f"{name}, seed {seed}, mutation {finding.number}: {finding.what.strip()}")
    print(f"  python -m tests.fuzz --format {name} --repeat {path}", flush=True)


def _print(tallies: dict[str, Tally]) -> None:
    print(time.strftime("%H:%M:%S"))
    for name, tally in sorted(tallies.items()):
        print(
            f"  {name:12}{tally.count:>9,} mutations {tally.read:>9,} read "
            f"{len(tally.findings):>5,} findings {tally.slowest:6.2f} s "
            f"{tally.peak / 1e6:6.0f} MB",
        )
    total = sum(tally.count for tally in tallies.values())
    print(
        f"  {total:,} mutations, {sum(len(t.findings) for t in tallies.values()):,} findings",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
