"""builder's runtime beside those of others: the same networks with the same weights, in one run.

    .venv/bin/python benchmarks/peers.py --work DIR [--environment DIR] [-o benchmarks/peers.md]

The peers are ONNX Runtime, LiteRT, ExecuTorch, ncnn and MNN, as their wheels on PyPI are. They are
installed into an environment of their own, with the torch that makes the networks
(benchmarks/peer_engines/requirements.txt), which takes some 8 GB and a while. All networks are
converted from the same modules there; builder exports the program of torch.export, without torch.
Only the int8 form of MobileNetV2 is quantised by each engine's own tool, from the same weights and
images; for builder this needs torch 1.13 or 2.6 beside builder.

Each figure is measured in a process of its own that is pinned to as many processors as it has
threads. The engines take turns, and the figure is the median of all rounds: CPU time is that of
the process, user and system, so that other work on the machine counts little. Ratios are to the
best peer, for each column. What is finished in DIR is not repeated; --rounds adds to the rounds
that are there.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from builder.system.files import write_atomically
from peer_engines.engines import BUILDER_LIBRARY
from peer_engines.report import ENGINES, Measurement, render_report, summarise

HERE = Path(__file__).resolve().parent
NETWORKS = (
    *("mobilenet_v2", "mobilenet_v2_int8", "animegan_v2_256", "animegan_v2_400"),
    *("lstm", "bert"),
)
THREADS = (1, 2)
FILES = {
    "builder": ("builder.ptl",),
    "onnxruntime": ("model.onnx",),
    "litert": ("model.tflite",),
    "executorch": ("model.pte",),
    "ncnn": ("model.ncnn.param", "model.ncnn.bin"),
    "mnn": ("model.mnn",),
}
"""What each engine loads."""
_TAIL = 400
_LONGEST = 3600
"""Seconds that a conversion, or a measurement, may take."""


class FailedError(Exception):
    """A process failed; the text is the end of what it wrote."""


def main() -> None:
    """Prepares what is missing, measures, and writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="everything is kept here")
    parser.add_argument("--environment", type=Path, help="of the peers (default: in --work)")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=ENGINES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="file for the figures, with seconds")
    parser.add_argument("-o", "--output", type=Path, help="page to write")
    options = parser.parse_args()
    work: Path = options.work.resolve()
    python = install(options.environment or work / "environment")
    for name in options.networks:
        prepare(python, work / name, options.engines)
    for _ in range(options.rounds):
        for name in options.networks:
            measure(python, work / name, options.engines)
    summaries = [
        summarise(name, read_measurements(work / name), read_failures(work / name), python)
        for name in options.networks
    ]
    if options.json:
        write_atomically(options.json, json.dumps(summaries, indent=2) + "\n")
    page = render_report(summaries, python)
    print(page)
    if options.output:
        options.output.write_text(page)


def install(environment: Path) -> Path:
    """Returns the Python of the peers' environment, which is made when it is missing."""
    python = environment / "bin" / "python"
    if not python.is_file():
        subprocess.run((sys.executable, "-m", "venv", environment), check=True)
        wanted = HERE / "peer_engines" / "requirements.txt"
        subprocess.run((python, "-m", "pip", "install", "-q", "-r", wanted), check=True)
    return python.absolute()


def prepare(python: Path, folder: Path, engines: Iterable[str]) -> None:
    """Makes the network and the file of each engine; a conversion that fails is left out."""
    if not (folder / "outputs.npz").is_file():
        _run(python, "networks", folder, folder.name)
    for engine in engines:
        failed = folder / f"{engine}.failed"
        if failed.is_file() or all((folder / file).is_file() for file in FILES[engine]):
            continue
        try:
            if engine == "builder":
                _build(folder)
            else:
                _run(python, "converting", engine, folder, folder.name)
        except FailedError as error:
            failed.write_text(str(error))
            print(f"{engine} has no {folder.name}: {error}", file=sys.stderr)


def _build(folder: Path) -> None:
    model = folder / FILES["builder"][0]
    if folder.name.endswith("_int8"):
        source = ("mobilenet_v2", "--weights", folder / "weights.pt", "--shape", "1,3,224,224")
        quantised = ("--quantize", "static", "--calibrate", folder / "calibration", "--per-channel")
        _call(_builder("export", *source, *quantised, "-o", model))
    else:
        _call(_builder("export", folder / "program.pt2", "-o", model))
    _call(_builder("build", model, "-o", folder / "runtime"))


def _builder(*arguments: object) -> tuple[str, ...]:
    return (sys.executable, "-m", "builder", *map(str, arguments))


def measure(python: Path, folder: Path, engines: Iterable[str]) -> None:
    """Measures each engine once with each number of threads, and adds to what was measured."""
    measured = read_measurements(folder)
    for threads in THREADS:
        for engine in engines:
            failed = folder / f"{engine}.failed"
            if failed.is_file():
                continue
            first = str(len(measured))  # another processor each time
            try:
                options = ("--threads", str(threads), "--processor", first)
                text = _run(python, "measuring", engine, folder, *options)
            except FailedError as error:
                failed.write_text(str(error))
                print(f"{engine} fails on {folder.name}: {error}", file=sys.stderr)
                continue
            figures = json.loads(text.splitlines()[-1])
            figures["file"] = sum((folder / file).stat().st_size for file in FILES[engine])
            if engine == "builder":
                figures["library"] = next(folder.glob(BUILDER_LIBRARY)).stat().st_size
            measured.append({"engine": engine, "threads": threads, **figures})
            write_atomically(folder / "measured.json", json.dumps(measured))


def read_measurements(folder: Path) -> list[Measurement]:
    """Returns what was measured in all rounds."""
    path = folder / "measured.json"
    return json.loads(path.read_text()) if path.is_file() else []


def read_failures(folder: Path) -> dict[str, str]:
    """Returns engine -> the last line of what it said when it failed."""
    failed = ((engine, folder / f"{engine}.failed") for engine in ENGINES)
    return {
        engine: path.read_text().strip().rpartition("\n")[2]
        for engine, path in failed
        if path.is_file()
    }


def _run(python: Path, module: str, *arguments: object) -> str:
    """Runs a module of peer_engines in the peers' environment, and returns what it prints."""
    return _call((str(python), "-m", f"peer_engines.{module}", *map(str, arguments)))


def _call(command: tuple[str, ...]) -> str:
    folders = (HERE, HERE.parent / "tools", HERE.parent)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, folders)),
        # NumPy's own threads, which no engine uses, spin while one loads that is imported fast.
        "OPENBLAS_NUM_THREADS": "1",
    }
    try:
        done: subprocess.CompletedProcess[Any] = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=_LONGEST
        )
    except subprocess.TimeoutExpired:
        raise FailedError(f"it was ended after {_LONGEST} seconds") from None
    if done.returncode:
        raise FailedError(done.stderr.strip()[-_TAIL:])
    return str(done.stdout)


if __name__ == "__main__":
    main()
