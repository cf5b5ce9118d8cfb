"""Building a runtime for one module alone, running its cases, and judging the outputs."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.api.builds import build
from builder.api.models import read_models
from builder.api.toolchains import locate_target
from builder.core.dtypes import DtypeSet
from builder.core.plan import BuildRequest
from builder.errors import BuilderError
from builder.platforms.results import RuntimeResult
from builder.system.machine import host_abi
from builder.system.process import Runner
from builder.system.progress import Progress
from builder.verify.hosts import LocalHost
from builder.verify.runner import run_model
from builder.verify.runtime import locate_runtime
from upstream_models.cases import SEED, Exported, export
from upstream_models.comparison import Case, Judged, judge
from upstream_models.modules import Module
from upstream_models.rows import Row

LONGEST_REASON = 200
"""Characters; torch explains at length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Building:
    """How runtimes are built."""

    progress: Progress
    jobs: int | None = None
    dtypes: DtypeSet | None = None
    """What kernels are compiled for; what the models can have when None."""

    def build(self, files: Sequence[Path], out: Path) -> RuntimeResult:
        """Returns the runtime for `files`."""
        target = locate_target(host_abi())
        request = BuildRequest(inputs=tuple(files), jobs=self.jobs, dtypes=self.dtypes)
        return build(request, [target], out, progress=self.progress).runtimes[0]


def try_module(module: Module, folder: Path, building: Building) -> Row:
    """Returns what comes of `module`; whatever fails is said in the row."""
    try:
        exported = export(module, folder / "models")
    except Exception as error:  # noqa: BLE001 - the reason is the result
        return Row(module=module.name, ok=False, remarks=(f"not exported: {_reason(error)}",))
    try:
        outcome = building.build([exported.file], folder / "out" / module.name)
        runtimes = _runtimes(exported, outcome, folder, building)
    except BuilderError as error:
        return Row(module=module.name, ok=False, remarks=(f"not built: {_reason(error)}",))
    judged = [_judge_case(case, runtimes[case.file]) for case in exported.cases]
    problems = tuple(problem for one in judged for problem in one.problems)
    return Row(
        module=module.name,
        ok=not problems,
        operators=len(outcome.plan.operator_list.operators),
        units=outcome.units_linked,
        size=outcome.size.file,
        calls=len(judged),
        compared=sum(one.compared for one in judged),
        shapes=sum(one.shapes for one in judged),
        largest=max((one.largest for one in judged), default=0.0),
        remarks=(*problems, *_remarks(exported)),
    )


def _judge_case(case: Case, runtime: Path) -> Judged:
    located = locate_runtime(runtime, host_abi=host_abi())
    try:
        with tempfile.TemporaryDirectory(prefix="conformance-") as scratch:
            outcome = run_model(
                located,
                case.file,
                case.inputs,
                scratch=Path(scratch),
                host=LocalHost(runner=Runner.inherit()),
                method=case.method,
                seed=SEED,
            )
    except BuilderError as error:
        return Judged(problems=(f"{case.method}: {_last_line(error.message)}",))
    return judge(case, outcome.outputs)


def _runtimes(
    exported: Exported,
    outcome: RuntimeResult,
    folder: Path,
    building: Building,
) -> dict[Path, Path]:
    """Each file of the cases and its runtime: upstream's, unless returning values takes more."""
    served = set(outcome.plan.operator_list.operators)
    found = {}
    for file in dict.fromkeys(case.file for case in exported.cases):
        (info,) = read_models((file,))
        root = outcome.package.root
        if not set(info.operators) <= served:
            root = building.build([file], folder / "out" / file.stem).package.root
        found[file] = root
    return found


def _remarks(exported: Exported) -> tuple[str, ...]:
    left_out = _counted(exported.left_out)
    return (*exported.notes, *((f"left out: {', '.join(left_out)}",) if left_out else ()))


def _counted(texts: Iterable[str]) -> list[str]:
    return [f"{count} x {text}" if count > 1 else text for text, count in Counter(texts).items()]


def _reason(error: Exception) -> str:
    said = " ".join(str(error).split()) or type(error).__name__
    return said if len(said) <= LONGEST_REASON else f"{said[:LONGEST_REASON]} ..."


def _last_line(text: str) -> str:
    said = [line.strip() for line in text.splitlines() if "torchlite-run:" in line]
    return (said or [text.strip().splitlines()[0]])[-1][:400]
