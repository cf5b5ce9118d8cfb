"""Which core a runtime gets: decided from lists of the release, before anything is compiled."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.core.cores import Core, CoreChoice
from builder.core.typed import parse_toml
from builder.errors import ConfigurationError, Hint, ModelError, SourceError, Use
from builder.selection.own_core import find_lacks, read_own_core
from builder.sources.schemas import load_schemas
from builder.system.folders import data_folder

if TYPE_CHECKING:
    from builder.core.backends import Backend
    from builder.core.model_facts import OperatorList
    from builder.core.release import Release
    from builder.core.targets import Target

_NAME = "own_core.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreFacts:
    """The content of own_core.toml, which says what each key means."""

    by_hand: frozenset[str]
    upgraded: Mapping[str, int]


def load_core_facts(release: Release) -> CoreFacts:
    """Returns what builder's own core has to know of the operators of a release.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    path = release.folder / _NAME
    try:
        return parse_toml(path.read_text(encoding="utf-8"), CoreFacts, path.name)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error


def choose_core(
    choice: CoreChoice,
    wanted: OperatorList,
    *,
    release: Release,
    target: Target,
    accelerators: Sequence[Backend] = (),
) -> tuple[Core, str]:
    """Returns the core of a runtime, and why it is this one.

    Args:
        choice: what the user asks for.
        wanted: what the runtime has to serve.
        release: the release of PyTorch.
        target: what is built for.
        accelerators: the backends that the runtime has in addition to the CPU.

    Raises:
        ModelError: builder's own core is asked for, and lacks something; the first is named.
    """
    if choice is CoreChoice.UPSTREAM:
        return Core.UPSTREAM, "as asked"
    lack = find_first_lack(wanted, release=release, target=target, accelerators=accelerators)
    if not lack:
        return Core.OWN, "as asked" if choice is CoreChoice.OWN else "it has all that is needed"
    if choice is CoreChoice.OWN:
        raise ModelError(
            f"builder's own core cannot be used: {lack}",
            hint=Hint("build with ", Use("core", "upstream"), " or ", Use("core", "auto")),
        )
    return Core.UPSTREAM, f"of builder's own core: {lack}"


def find_first_lack(
    wanted: OperatorList,
    *,
    release: Release,
    target: Target,
    accelerators: Sequence[Backend] = (),
) -> str:
    """Returns what builder's own core lacks first for a runtime, or nothing; see `choose_core`."""
    # What the runtime is comes before what it has to run.
    if target.is_apple:
        return f"it has no packages for {target.abi}"
    if accelerators:
        return f"it has no tensors for {accelerators[0].label}"
    facts = load_core_facts(release)
    for model in wanted.models:
        if model.is_flatbuffer:
            return f"{model.name} is a flatbuffer, and it reads only zips"
        old = model.operator_version
        for operator in sorted(wanted.operators) if old is not None else ():
            since = facts.upgraded.get(str(operator), 0)
            if old is not None and old < since and model.name in wanted.operators.sources(operator):
                return f"{operator} of {model.name}, of version {old}, needs an upgrader"
    lacks = find_lacks(
        wanted,
        read_own_core(data_folder("cmake") / "runtime"),
        load_schemas(release.version),
        facts.by_hand,
    )
    return next((f"{name} {reason}" for name, reason in lacks.items()), "")


def refuse_other_facts(
    release: Release, declared: Collection[str], upgraded: Mapping[str, int]
) -> None:
    """Raises SourceError where own_core.toml does not say what the sources have.

    Args:
        release: the release of PyTorch.
        declared: the operators that torchgen declares.
        upgraded: as in own_core.toml, read from the sources.
    """
    facts = load_core_facts(release)
    by_hand = set(load_schemas(release.version)).difference(declared)
    if facts.by_hand != by_hand or facts.upgraded != upgraded:
        names = facts.upgraded.keys() | upgraded.keys()
        other = {one for one in names if facts.upgraded.get(one) != upgraded.get(one)}
        wrong = sorted(facts.by_hand ^ by_hand) or sorted(other)
        raise SourceError(
            f"{release.folder / _NAME} does not fit the sources of PyTorch {release.version}: "
            f"{wrong[0]}",
            hint="CONTRIBUTING.md says how a release is added",
        )
