"""Proving exports: a runtime for this machine runs the lite file before it is written."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from builder.api.builds import build
from builder.api.models import read_models
from builder.api.toolchains import locate_target
from builder.core.nesting import list_leaves
from builder.core.plan import BuildRequest
from builder.core.stages import RanBy
from builder.core.tensors import DRAWS_SEED, TensorSpec
from builder.errors import ConfigurationError, Hint, Run, Use, VerificationError
from builder.export.interpreter import LiteRun
from builder.export.request import MobileBackend
from builder.oplists.write import write_op_list
from builder.selection.choose_dtypes import choose_dtypes, find_dtypes
from builder.system.machine import host_abi
from builder.system.process import Runner
from builder.system.scratch import scratch_folder
from builder.verify.coverage import check_served
from builder.verify.hosts import open_host
from builder.verify.runner import run_model
from builder.verify.runtime import locate_runtime
from builder.verify.verifier import check_operators

if TYPE_CHECKING:
    from builder.core.model_facts import ModelInfo
    from builder.core.release import Release
    from builder.export.prove import OpenRuntime
    from builder.export.request import ExportRequest
    from builder.export.samples import Sample
    from builder.system.progress import Progress
    from builder.verify.hosts import Host
    from builder.verify.runner import RunResult
    from builder.verify.runtime import Runtime

_TIMED_CALLS = 5
_OTHER_INPUTS = Hint(
    *(
        "if the inputs do not fit the model, describe others: ",
        Use("inputs", "float32[1,3,224,224]"),
    ),
    "; otherwise report it",
)
_MODEL, _SOURCE = "model.ptl", "unchanged.ptl"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeInterpreter:
    """Runs lite files on a runtime of builder, as `builder.export.forms.LiteInterpreter` says."""

    runtime: Runtime
    host: Host
    files: Mapping[bytes, Path]
    """The lite files that it can run: their contents, and where they are."""
    scratch: Path
    """A folder for inputs and outputs."""

    def run(
        self,
        content: bytes,
        samples: Sequence[Sample],
        *,
        method: str = "forward",
        timed: bool = False,
        seed: int = DRAWS_SEED,
    ) -> LiteRun:
        """Runs a method of one of `files` on `samples`, each in a process of its own.

        Raises:
            VerificationError: the runtime cannot run the file.
        """
        run = functools.partial(self._call, content, method=method, seed=seed)
        results = [run(sample) for sample in samples]
        # Not the calls that are compared: a later call may see what an earlier one changed.
        timing = run(samples[0], repeat=_TIMED_CALLS) if timed else None
        return LiteRun(
            outputs=tuple(one.outputs for one in results),
            seconds=timing.seconds if timing else 0.0,
            by=RanBy.RUNTIME,
        )

    def _call(
        self, content: bytes, sample: Sample, *, method: str, seed: int, repeat: int = 1
    ) -> RunResult:
        try:
            return run_model(
                self.runtime,
                self.files[content],
                sample.leaves,
                scratch=self.scratch,
                host=self.host,
                structure=sample.specs,
                repeat=repeat,
                method=method,
                seed=seed,
                # As torch does, so that the times can be compared.
                threads=1,
            )
        except VerificationError as error:
            raise VerificationError(error.message, hint=error.hint or _OTHER_INPUTS) from error


def check_provable(request: ExportRequest) -> None:
    """Checks before anything runs that an export can be proven as it asks.

    Raises:
        ConfigurationError: the runtime that it names does not exist, or the model is for another
            device than this machine's CPU.
        VerificationError: the runtime cannot be read or run.
    """
    if not request.wants_proof:
        return
    backend = request.optimisation.backend
    if backend is not MobileBackend.CPU:
        raise ConfigurationError(
            f"a model for {backend} cannot be proven on this machine",
            hint=Hint("export it without ", Use("prove"), " and ", Use("runtime")),
        )
    if request.runtime is None:
        return
    try:
        locate_runtime(request.runtime, host_abi=host_abi())
    except ConfigurationError as error:
        raise ConfigurationError(error.message, hint=_advise(request)) from error


def make_opener(request: ExportRequest, release: Release, progress: Progress) -> OpenRuntime:
    """Returns what finds the runtime that an export names, or builds one for this machine."""

    @contextmanager
    def open_runtime(
        needed: Sequence[bytes], samples: Sequence[Sample], *, useful: Sequence[bytes] = ()
    ) -> Iterator[RuntimeInterpreter]:
        with scratch_folder() as folder:
            files = _write((*needed, *useful), folder)
            infos = dict(zip(files.values(), read_models(files.values()), strict=True))
            if request.runtime is None:
                progress.step(f"Building a runtime for {host_abi()} to prove the file")
                root = _build(infos, samples, folder, release, progress)
            else:
                root = request.runtime
            runtime = locate_runtime(root, host_abi=host_abi())
            with open_host(runtime, Runner.inherit()) as host:
                for content in needed:
                    _check(files[content], infos[files[content]], runtime, host, request)
                progress.step(f"Running the lite file on {_name(runtime, request)}")
                yield RuntimeInterpreter(runtime=runtime, host=host, files=files, scratch=folder)

    return open_runtime


def _write(contents: Sequence[bytes], folder: Path) -> Mapping[bytes, Path]:
    """Writes the lite file and, if there is one, its source; they may be the same."""
    files: dict[bytes, Path] = {}
    for content, name in zip(contents, (_MODEL, _SOURCE), strict=False):
        if content not in files:
            files[content] = folder / name
            files[content].write_bytes(content)
    return files


def _build(
    infos: Mapping[Path, ModelInfo],
    samples: Sequence[Sample],
    folder: Path,
    release: Release,
    progress: Progress,
) -> Path:
    """Builds one runtime for all files, and returns its folder.

    For the lite file alone, the plan is the one that `builder build` makes of it and of the
    reference case beside it; so both share what is compiled.
    """
    model, *others = infos
    inputs = [model]
    for path in others:
        # As a list: a build gives advice on the files that it gets, and this one is nobody's.
        inputs.append(path.with_suffix(".yaml"))
        write_op_list(inputs[-1], infos[path].operator_list())
    leaves = [leaf for sample in samples for leaf in list_leaves(sample.specs)]
    dtypes = {str(leaf.dtype) for leaf in leaves if isinstance(leaf, TensorSpec)}
    choice = choose_dtypes(find_dtypes(info, dtypes) for info in infos.values())
    report = build(
        BuildRequest(inputs=tuple(inputs), dtypes=choice.dtypes, pytorch=release),
        [locate_target(host_abi())],
        folder / "out",
        progress=progress,
    )
    return report.runtimes[0].package.root


def _check(
    path: Path, info: ModelInfo, runtime: Runtime, host: Host, request: ExportRequest
) -> None:
    """Raises VerificationError when the runtime lacks something that a file needs."""
    try:
        check_served(info, runtime.manifest, model=path)
        check_operators(path, info, runtime, host)
    except VerificationError as error:
        what = "the lite file" if path.name == _MODEL else "the unchanged model"
        text = error.message.replace(str(path), what).replace(path.name, what)
        raise VerificationError(f"{runtime.root}: {text}", hint=_advise(request)) from error


def _advise(request: ExportRequest) -> Hint:
    command = Run("export", (request.source, Use("output", request.output), Use("prove")))
    return Hint("let builder build a runtime for the file: ", command)


def _name(runtime: Runtime, request: ExportRequest) -> str:
    return "the runtime" if request.runtime is None else str(runtime.root)
