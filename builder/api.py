"""The use-cases: stages meet here, and only here."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from builder.core.artifacts import Diagnosis, Finding, VerifyReport
    from builder.core.model import ModelInfo, OperatorList
    from builder.core.sources import SourceLock, SourceTree
    from builder.core.targets import Target
    from builder.core.tensors import Tensor
    from builder.core.toolchain import Toolchain
    from builder.export.requests import ExportRequest, ExportResult
    from builder.system.progress import Progress
    from builder.verify.requests import VerifyRequest


def read_models(paths: Iterable[Path]) -> tuple[ModelInfo, ...]:
    """Returns what the model files say of themselves, in the order given.

    Lite files are read without torch; TorchScript files go through it. Different models of one
    file name are told apart by the start of their digest, e.g. `model.ptl@1f2e3d4c`.

    Raises:
        ModelError: a file is missing, damaged, hostile, or needs torch where there is none.
    """
    return _tell_apart(tuple(_read_any_model(path) for path in paths))


def list_operators(paths: Iterable[Path]) -> OperatorList:
    """Returns the union of what `paths` need; models and operator lists may be mixed.

    Raises:
        ModelError: a file cannot be read, or its bytecode not by the runtime.
    """
    from builder.core.model import OperatorList
    from builder.core.operators import OperatorSet
    from builder.models.versions import check_bytecode_version
    from builder.oplists import is_op_list, read_op_list

    given = tuple(paths)
    models = read_models(path for path in given if not is_op_list(path))
    total = OperatorList(operators=OperatorSet())
    for info in models:
        check_bytecode_version(info)
        total |= info.operator_list()
    for path in given:
        if is_op_list(path):
            total |= read_op_list(path)
    return total


def write_operators(path: Path, op_list: OperatorList) -> None:
    """Writes `op_list` as YAML to `path`; ConfigurationError when it is not named `.yaml`."""
    from builder.errors import ConfigurationError
    from builder.oplists import YAML_SUFFIXES, write_op_list

    if path.suffix.lower() not in YAML_SUFFIXES:
        raise ConfigurationError(
            f"an operator list is YAML, but {path} is not named so",
            hint=f"-o {path.with_suffix('.yaml')}",
        )
    write_op_list(path, op_list)


def _read_any_model(path: Path) -> ModelInfo:
    from builder.models.reading import TorchScriptError, read_model

    try:
        return read_model(path)
    except TorchScriptError:
        return _read_torchscript(path)


def _read_torchscript(path: Path) -> ModelInfo:
    import tempfile
    from dataclasses import replace

    from builder.core.model import ModelFormat
    from builder.export.operators import save_for_lite_interpreter
    from builder.models.reading import read_model
    from builder.system.files import digest_file

    with tempfile.TemporaryDirectory() as folder:
        lite = Path(folder, "model.ptl")
        save_for_lite_interpreter(path, lite)
        return replace(
            read_model(lite),
            name=path.name,
            sha256=digest_file(path),
            size=path.stat().st_size,
            format=ModelFormat.TORCHSCRIPT,
            bytecode_version=None,
        )


def _tell_apart(models: tuple[ModelInfo, ...]) -> tuple[ModelInfo, ...]:
    from dataclasses import replace

    digests: dict[str, set[str]] = {}
    for info in models:
        digests.setdefault(info.name, set()).add(info.sha256)
    return tuple(
        replace(info, name=f"{info.name}@{info.sha256[:8]}")
        if len(digests[info.name]) > 1
        else info
        for info in models
    )


def export_model(request: ExportRequest, *, progress: Progress) -> ExportResult:
    """Writes the lite file that `request` asks for, once it has proven right; imports torch.

    Raises:
        ConfigurationError: unknown inputs, or an output that cannot be written.
        ModelError: the model cannot be loaded, run, captured, optimised or saved.
        ToolchainError: torch or torchvision is missing, or lacks what is asked for.
        VerificationError: the lite file differs from the eager model; nothing is written.
    """
    from builder.export.exporter import export_model

    return export_model(request, progress=progress)


def load_source_lock() -> SourceLock:
    """Returns the pins and patches of builder's own `third_party` folder."""
    from builder.sources.lockfile import read_lock
    from builder.system.places import data_folder

    return read_lock(data_folder("third_party"))


def find_sources(features: Iterable[str] = ()) -> SourceTree | None:
    """Returns the source tree when it is complete; never fetches."""
    from builder.sources.tree import find_tree
    from builder.system.places import cache_folder

    return find_tree(_select_sources(features), cache_folder())


def locate_sources(*, progress: Progress, features: Iterable[str] = ()) -> SourceTree:
    """Returns the source tree, fetching it first when it is not there.

    Raises:
        SourceError: it is not there and cannot be fetched.
    """
    chosen = tuple(features)
    found = find_sources(chosen)
    if found is not None:
        return found
    progress.note("the PyTorch sources are not there yet: fetching them (builder fetch)")
    return fetch_sources(progress=progress, features=chosen)


def fetch_sources(
    *,
    progress: Progress,
    source_folder: Path | None = None,
    provider: str | None = None,
    offline: bool = False,
    check: bool = False,
    features: Iterable[str] = (),
) -> SourceTree:
    """Materialises the pinned source tree, or with `check` reads it all again and compares.

    Args:
        progress: is told what is fetched from where.
        source_folder: has some or all archives by their file names; is asked first.
        provider: `distribution` or `git`; by default both, in this order.
        offline: use no network.
        check: fetch nothing; a tree that differs is given up.
        features: optional sources to add (`SourceLock.features`).

    Raises:
        ConfigurationError: an unknown provider or feature, or `source_folder` is no folder.
        SourceError: a source cannot be had or is not what its pin says, or the tree differs.
    """
    from builder.core.sources import SourceTree
    from builder.sources.choice import choose_providers, parse_provider
    from builder.sources.tree import check_tree, materialise, tree_folder
    from builder.system.places import cache_folder
    from builder.system.process import Runner

    lock, cache = _select_sources(features), cache_folder()
    if check:
        count = check_tree(lock, cache)
        progress.note(f"{count:,} files are what was fetched")
        return SourceTree(root=tree_folder(lock, cache), version=lock.version, digest=lock.digest)
    providers = choose_providers(
        Runner.inherit(),
        cache,
        source_folder=source_folder,
        provider=parse_provider(provider),
        offline=offline,
    )
    return materialise(lock, cache, providers, progress)


def list_source_origins(tree: SourceTree) -> dict[str, str]:
    """Returns source name -> where its archive came from, for a complete tree."""
    from builder.sources.manifest import read_marker

    marker = read_marker(tree.root, tree.digest)
    return dict(marker.providers) if marker else {}


def locate_target(abi: str) -> Target:
    """Returns the target named `abi`; ConfigurationError lists the known ones otherwise."""
    from builder.core.targets import TARGETS, parse_target
    from builder.errors import ConfigurationError

    target = parse_target(abi)
    if target is None:
        known = ", ".join(str(target) for target in TARGETS)
        raise ConfigurationError(
            f"unknown ABI {abi!r}; known are {known}",
            hint="see which of them can be built here: builder doctor",
        )
    return target


def locate_toolchain(target: Target) -> Toolchain:
    """Returns what compiles for `target`; CC and CXX of the environment are honoured.

    Raises:
        ToolchainError: something is missing or unfit; the hint says what to install.
    """
    from builder.system.process import Runner
    from builder.toolchains.host import locate_host_toolchain

    runner = Runner.inherit()
    chosen = runner.environment
    return locate_host_toolchain(runner, target, cc=chosen.get("CC"), cxx=chosen.get("CXX"))


def diagnose() -> Diagnosis:
    """Returns what is installed, and for each target what it still needs; changes nothing."""
    from builder.core.artifacts import Diagnosis
    from builder.core.targets import TARGETS
    from builder.system.places import cache_folder
    from builder.system.process import Runner
    from builder.toolchains.environment import inspect_machine, inspect_torch
    from builder.toolchains.findings import inspect_targets, inspect_tools
    from builder.toolchains.host import find_host_target

    runner = Runner.inherit()
    cc, cxx = runner.environment.get("CC"), runner.environment.get("CXX")
    targets = inspect_targets(runner, cc=cc, cxx=cxx)
    host = find_host_target(TARGETS)
    findings = (
        *inspect_machine(cache_folder()),
        *inspect_torch(),
        *inspect_tools(runner, cc=cc),
        _inspect_sources(),
        *targets,
    )
    ready = any(finding.ok for finding in targets if finding.subject == f"target {host}")
    return Diagnosis(findings=findings, ready=ready)


def _inspect_sources() -> Finding:
    from builder.core.artifacts import Finding

    tree = find_sources()
    if tree is None:
        return Finding(subject="sources", ok=False, detail="not fetched", remedy="builder fetch")
    return Finding(subject="sources", ok=True, detail=f"PyTorch {tree.version} in {tree.root}")


def _select_sources(features: Iterable[str]) -> SourceLock:
    from builder.errors import ConfigurationError

    lock, chosen = load_source_lock(), frozenset(features)
    unknown = sorted(chosen.difference(lock.features))
    if unknown:
        raise ConfigurationError(
            f"unknown feature {unknown[0]!r}; known are {', '.join(lock.features)}",
            hint="builder fetch --help",
        )
    return lock.select(chosen)


def verify_model(request: VerifyRequest, *, progress: Progress) -> VerifyReport:
    """Runs a model on a built runtime and returns how its outputs compare with PyTorch's.

    Torch is asked only when the model has no reference case, and only where it is installed.

    Raises:
        ConfigurationError: no runtime there, or no inputs to run the model with.
        ModelError: the model cannot be read, or is no lite file.
        VerificationError: the runtime cannot serve or run the model, or the reference case
            belongs to another file. A difference does not raise.
    """
    import platform

    from builder.system.process import Runner
    from builder.verify.verifier import verify_model

    (info,) = read_models((request.model,))
    return verify_model(
        request,
        info,
        host_abi=f"{platform.system().lower()}-{platform.machine()}",
        runner=Runner.inherit(),
        oracle=functools.partial(_run_in_torch, progress=progress),
        progress=progress,
    )


def _run_in_torch(
    model: Path, inputs: Sequence[Tensor], *, progress: Progress
) -> tuple[str, tuple[Tensor, ...]] | None:
    from builder.errors import BuilderError
    from builder.export.capabilities import probe_torch

    try:
        torch = probe_torch()
        from builder.export.compare import run_lite

        outputs = run_lite(model.read_bytes(), inputs)
    except BuilderError as error:
        progress.note(f"no expected outputs: {error.message}")
        return None
    return f"lite interpreter of PyTorch {torch.version}, seeded random inputs", outputs


from builder.api_building import (  # noqa: E402
    BuildOutcome as BuildOutcome,
    build_runtime as build_runtime,
    measure_runtime as measure_runtime,
    plan_build as plan_build,
)
