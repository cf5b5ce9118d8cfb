"""Which dtypes can occur when a model runs, as far as that can be known."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, reduce
from importlib import resources
from operator import or_

from builder.core.dtypes import EVERYTHING, DtypeChoice, DtypeSet
from builder.core.model_facts import ModelInfo
from builder.core.operators import Operator


@dataclass(frozen=True, slots=True, kw_only=True)
class DtypeRules:
    """The data of dtypes.toml."""

    base: DtypeSet
    sets: Mapping[str, DtypeSet]
    """Smallest first."""
    implied: Mapping[str, DtypeSet]
    few: DtypeSet
    kept: frozenset[str]
    """Operators that compute in the dtypes of their inputs; see `narrow_dtypes`."""


@cache
def load_dtype_rules() -> DtypeRules:
    """Returns the rules that ship with builder."""
    text = resources.files("builder.selection").joinpath("dtypes.toml").read_text()
    data = tomllib.loads(text)
    return DtypeRules(
        base=DtypeSet.of(data["base"]),
        sets={name: DtypeSet.of(names) for name, names in data["sets"].items()},
        implied={part: DtypeSet.of(names) for part, names in data["implied"].items()},
        few=DtypeSet.of(data["few"]["dtypes"]),
        kept=frozenset(data["few"]["operators"]),
    )


def find_dtypes(info: ModelInfo, inputs: Iterable[str] | None) -> DtypeChoice:
    """Returns the dtypes that a model names itself or brings along: more than occur, never fewer.

    Args:
        info: the model.
        inputs: dtypes of its inputs; None when nobody knows them.
    """
    if inputs is None:
        reason = f"{info.name} has no reference case, so the dtypes of its inputs are unknown"
        return DtypeChoice(dtypes=EVERYTHING, reason=reason)
    # A dtype that the model computes can be any, so no kernel may be left out.
    if info.dtypes == EVERYTHING:
        return DtypeChoice(dtypes=EVERYTHING, reason=f"the code of {info.name} can make any dtype")
    found = info.dtypes | DtypeSet(frozenset(inputs))
    for part, implied in load_dtype_rules().implied.items():
        if any(part in operator.name.lower() for operator in info.operators):
            found |= implied
    return DtypeChoice(dtypes=found, reason=f"{info.name} has {found}")


def choose_dtypes(found: Iterable[DtypeChoice]) -> DtypeChoice:
    """Returns the smallest set of the rules that serves models with the dtypes `found`."""
    choices = tuple(found)
    unknown = [choice for choice in choices if choice.dtypes == EVERYTHING]
    if unknown or not choices:
        # One unknown model is enough, since one runtime serves them all.
        return unknown[0] if unknown else DtypeChoice(dtypes=EVERYTHING, reason="no models")
    rules = load_dtype_rules()
    wanted = rules.base
    for choice in choices:
        wanted |= choice.dtypes
    named = reduce(or_, (choice.dtypes for choice in choices))
    reason = "; ".join(choice.reason for choice in choices)
    # A few sets, so that models with similar dtypes share the objects of kernels.
    for name, dtypes in rules.sets.items():
        if not dtypes.lacks(wanted):
            return DtypeChoice(dtypes=dtypes, reason=f"the set `{name}`: {reason}", named=named)
    return DtypeChoice(dtypes=EVERYTHING, reason=f"no smaller set is enough: {reason}")


def narrow_dtypes(choice: DtypeChoice, operators: Iterable[Operator]) -> DtypeChoice:
    """Returns `choice` with the few dtypes of the rules, where nothing can make another one.

    Args:
        choice: as `choose_dtypes` returns it.
        operators: all that the runtime has; those that make tensors of Python's numbers, or compute
            in another dtype than that of their inputs, need more.
    """
    rules = load_dtype_rules()
    if rules.few.lacks(choice.named) or not rules.kept.issuperset(map(str, operators)):
        return choice
    reason = f"no input, weight or operator has or makes any but {rules.few}"
    return replace(choice, dtypes=rules.few, reason=reason)
