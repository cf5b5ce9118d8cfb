"""Finds out whether a runtime can run a model, from the model file and the runtime's manifest."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from builder.core.backends import Backend
from builder.core.cores import Core
from builder.core.counts import number_of
from builder.core.dtypes import EVERYTHING, DtypeSet
from builder.core.model_facts import ModelFormat, ModelInfo
from builder.core.operators import Operator
from builder.core.runtime_manifest import Manifest
from builder.errors import Hint, ModelError, Run, Use, VerificationError
from builder.lite.read import name_conversion


class ObstacleKind(StrEnum):
    """Kinds of reasons why a runtime cannot run a model."""

    FORMAT = "format"
    BYTECODE = "bytecode version"
    CUSTOM_CLASS = "custom class"
    DTYPE = "dtype"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """One thing that the model needs and the runtime lacks."""

    kind: ObstacleKind
    name: str
    abis: tuple[str, ...] = ()
    """ABIs of the runtime that lack it; empty if all ABIs lack it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Whether a runtime can run a model, as far as file and manifest can tell."""

    obstacles: tuple[Obstacle, ...]
    """What the runtime lacks; empty if it can run the model."""
    rebuild: Hint
    """The build command that would help, as text for people."""
    note: str = ""
    """What could not be found out, as text for people; empty if nothing."""


def find_missing_operators(
    info: ModelInfo, manifest: Manifest, *, registered: Collection[str] = ()
) -> tuple[Operator, ...]:
    """Returns the operators of the model that the runtime lacks, sorted.

    Args:
        info: the model.
        manifest: the manifest of the runtime.
        registered: operators that the runtime has in addition to those in the manifest.
    """
    # A manifest lists root operators; a runtime may register more, which only it can say.
    present = {str(operator) for operator in manifest.operators} | set(registered)
    return tuple(sorted({o for o in info.operators if str(o) not in present}))


def find_obstacles(
    info: ModelInfo, manifest: Manifest, *, dtypes: DtypeSet
) -> tuple[Obstacle, ...]:
    """Returns all reasons why the runtime cannot run the model; operators come last.

    Args:
        info: the model.
        manifest: the manifest of the runtime.
        dtypes: the dtypes that can occur when the model runs; `EVERYTHING` if that is unknown.
    """
    found = []
    if info.bytecode_version is None:
        found.append(Obstacle(kind=ObstacleKind.FORMAT, name=str(info.format)))
    elif _is_unreadable(info, manifest):
        found.append(Obstacle(kind=ObstacleKind.FORMAT, name=f"{info.format} (builder's own core)"))
    elif info.bytecode_version not in manifest.bytecode_versions:
        found.append(Obstacle(kind=ObstacleKind.BYTECODE, name=str(info.bytecode_version)))
    lacking = sorted(set(info.custom_classes) - set(manifest.custom_classes))
    found += [Obstacle(kind=ObstacleKind.CUSTOM_CLASS, name=name) for name in lacking]
    # Unknown dtypes are no obstacle: nothing can be promised and nothing be refused.
    absent = () if dtypes == EVERYTHING else manifest.dtypes.lacks(dtypes)
    found += [Obstacle(kind=ObstacleKind.DTYPE, name=name) for name in absent]
    missing = find_missing_operators(info, manifest)
    found += [Obstacle(kind=ObstacleKind.OPERATOR, name=str(operator)) for operator in missing]
    return tuple(found)


def _is_unreadable(info: ModelInfo, manifest: Manifest) -> bool:
    """Says whether the model is a flatbuffer and the runtime has builder's own core."""
    return manifest.core is Core.OWN and info.format is ModelFormat.LITE_FLATBUFFER


def merge_obstacles(by_abi: Mapping[str, Sequence[Obstacle]]) -> tuple[Obstacle, ...]:
    """Returns the obstacles of all ABIs without repetitions, in the order of their first ABI."""
    merged = {}
    for obstacle in (each for obstacles in by_abi.values() for each in obstacles):
        # The same obstacle of several ABIs is reported once, with the ABIs that it concerns.
        abis = tuple(abi for abi, obstacles in by_abi.items() if obstacle in obstacles)
        merged[obstacle] = replace(obstacle, abis=abis if len(abis) < len(by_abi) else ())
    return tuple(merged.values())


def check_served(info: ModelInfo, manifest: Manifest, *, model: Path) -> None:
    """Checks that the runtime supports file format, bytecode version and classes of the model.

    Raises:
        ModelError: the model is not a lite file.
        VerificationError: the runtime cannot read its bytecode version, or lacks its classes.
    """
    if info.bytecode_version is None:
        raise ModelError(
            f"{model} is not a lite file, so a runtime cannot load it",
            hint=Hint(name_conversion(model)),
        )
    if _is_unreadable(info, manifest):
        raise VerificationError(
            f"{model} is a flatbuffer; the runtime has builder's own core, which reads only zips",
            hint=Hint(
                "build a runtime with ", Use("core", "upstream"), ", or export the model as a zip"
            ),
        )
    if info.bytecode_version not in manifest.bytecode_versions:
        raise VerificationError(
            f"{model} has bytecode version {info.bytecode_version}; the runtime reads "
            f"{manifest.bytecode_versions.min} to {manifest.bytecode_versions.max}",
            hint="export the model with a torch that writes one of these versions",
        )
    if lacking := sorted(set(info.custom_classes) - set(manifest.custom_classes)):
        raise VerificationError(
            f"the runtime lacks {number_of(len(lacking), 'custom class', 'custom classes')} of "
            f"{model.name}: "
            f"{', '.join(lacking)}",
            hint=build_hint(model, manifest.abi),
        )


def build_hint(model: Path, *abis: str, accelerators: Iterable[Backend] = ()) -> Hint:
    """Returns a hint with the command that builds a runtime for `model`, with `accelerators`."""
    targets = (Use("targets.abis", abi) for abi in abis)
    chosen = (Use("accelerators", one.name) for one in accelerators)
    command = Run("build", (str(model), *targets, *chosen, Use("output", "out")))
    return Hint("build a runtime that has them: ", command)
