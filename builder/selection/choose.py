"""From an operator list to a selection: what to register, from where, and what to refuse."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from builder.core.backends import Backend, Chosen, Dispatch
from builder.core.known import KnownOperators, find_reason
from builder.core.model_facts import OperatorList
from builder.core.near_names import near_names
from builder.core.operator_schemas import Schemas
from builder.core.operators import Operator
from builder.core.selection import Selection
from builder.errors import Hint, ModelError, Run, Use
from builder.selection.catalogue import DispatcherOperator, OperatorCatalogue
from builder.selection.devices import Device, propose_backends, refuse_absent
from builder.selection.own_core import OwnCore, render_table
from builder.selection.registrations import render_allowlist, render_registrations
from builder.selection.release_rules import SelectionRules

# Without an operator that prints, tensors are printed in error messages only: kind and sizes
# suffice.
_BRIEF_TENSORS = "#pragma once\n#define TORCHLITE_BRIEF_TENSORS\n"


def select(
    wanted: OperatorList,
    catalogue: OperatorCatalogue,
    rules: SelectionRules,
    devices: Sequence[Device] = (),
) -> Selection:
    """Returns what a runtime for `wanted` registers.

    Of `devices` whose kernels the dispatcher looks up, all is registered, since composite operators
    may call any of it.

    Raises:
        ModelError: an operator is unknown to this PyTorch or belongs to a library builder does not
            have; all such operators are named, with near names.
    """
    refuse_unknown(wanted, catalogue, rules)
    operators = tuple(wanted.operators)
    # The dispatcher has it: a call is bound by static dispatch, so its kernel is found by the
    # linker.
    dispatched = {o: catalogue.dispatcher[o] for o in operators if o in catalogue.dispatcher}
    by_hand = {
        operator: _registering_units(operator, catalogue, rules)
        | rules.by_name.get(operator.namespace, frozenset())
        for operator in operators
        if operator not in dispatched
    }
    elsewhere = _find_served(catalogue, devices)
    # Kernels that are found by name at run time need their schemas even if no model names them.
    looked_up = _find_served(catalogue, [one for one in devices if one.is_looked_up])
    device_units = frozenset().union(*(device.units for device in devices))
    classes = _find_classes(wanted, catalogue, rules)
    registering = (rules.custom_classes.get(c.split(".")[0], ()) for c in classes)
    mentions = catalogue.mentions()
    silent = not any(operator.name in rules.printing for operator in operators)
    limits = {rules.printing_unit: _BRIEF_TENSORS} if silent else {}
    return Selection(
        registrations=render_registrations(dispatched, operators, looked_up),
        always=rules.always.union(*registering, device_units),
        by_hand=by_hand,
        at_run_time={
            entry.struct: dispatches
            for operator, entry in elsewhere.items()
            if (dispatches := _find_dispatches(operator, devices))
        },
        limits=limits
        | {
            unit: render_allowlist(
                [o for o in by_hand if str(o) in named or o.name in named], classes
            )
            for unit, named in mentions.items()
            # Units of a device are linked whole, because composite operators may call any of them.
            if unit not in device_units
        },
    )


def select_for_own_core(
    wanted: OperatorList,
    catalogue: OperatorCatalogue,
    rules: SelectionRules,
    *,
    core: OwnCore,
    schemas: Schemas,
    since: Mapping[Operator, int],
    plain: bool = False,
) -> Selection:
    """Returns what a runtime with builder's own core for `wanted` has in its table.

    Args:
        wanted: what the runtime serves.
        catalogue: what PyTorch's sources have.
        rules: of the release.
        core: what the sources of the core have.
        schemas: of the release.
        since: the operators with upgraders -> the version of files that need none.
        plain: whether the core's functions for few dtypes stand for PyTorch's operators.

    Raises:
        ModelError: as `select`, and where the core lacks an operator.
    """
    refuse_unknown(wanted, catalogue, rules)
    if plain:
        core = replace(core, functions={**core.functions, **core.plain})
    operators = tuple(wanted.operators)
    dispatched = {o: catalogue.dispatcher[o] for o in operators if o in catalogue.dispatcher}
    # The plan has asked the lists of the release; this is what the sources really have.
    lacking = [o for o in operators if o not in core.functions and o not in dispatched]
    if lacking:
        raise ModelError(
            f"builder's own core lacks {lacking[0]}, which PyTorch's sources register by hand",
            hint=Hint("build with ", Use("core", "upstream")),
        )
    printing = any(operator.name in rules.printing for operator in operators)
    return Selection(
        registrations=render_table(
            dispatched,
            operators,
            _find_classes(wanted, catalogue, rules),
            core=core,
            schemas=schemas,
            since=since,
            printing=printing,
        ),
        always=rules.always_own,
        limits={} if printing else {rules.printing_unit: _BRIEF_TENSORS},
    )


def _find_served(
    catalogue: OperatorCatalogue, devices: Sequence[Device]
) -> dict[Operator, DispatcherOperator]:
    """Returns the operators that one of `devices` has a kernel for."""
    return {
        operator: entry
        for operator, entry in catalogue.dispatcher.items()
        if any(operator in device.operators for device in devices)
    }


def _find_dispatches(operator: Operator, devices: Sequence[Device]) -> tuple[Dispatch, ...]:
    return tuple(
        device.dispatch for device in devices if device.dispatch and operator in device.operators
    )


def _find_classes(
    wanted: OperatorList, catalogue: OperatorCatalogue, rules: SelectionRules
) -> frozenset[str]:
    """Those that the models hold, that schemas name, and that those are made of."""
    named = (catalogue.classes.get(str(operator), frozenset()) for operator in wanted.operators)
    classes = frozenset(wanted.custom_classes).union(*named)
    return classes.union(*(rules.made_of.get(name, frozenset()) for name in classes))


def refuse_unknown(
    wanted: OperatorList, catalogue: OperatorCatalogue, rules: SelectionRules
) -> None:
    """Raises ModelError when an operator of `wanted` cannot be registered or built."""
    _raise_refusals(wanted, find_refusals(wanted, catalogue, rules), rules)


def refuse_certain(
    wanted: OperatorList,
    known: KnownOperators,
    rules: SelectionRules,
    chosen: Collection[Backend],
) -> None:
    """Raises what `refuse_unknown` and `refuse_absent` certainly would; no source is needed.

    Args:
        wanted: what a runtime is to serve.
        known: the operators of the release.
        rules: of the release.
        chosen: the backends of the build.
    """
    refuse_absent(wanted, chosen, rules)
    refusals = {}
    for operator in wanted.operators:
        if any(one.serves(operator) for one in chosen) or known.has(str(operator)):
            continue
        refusals[operator] = _find_reason(operator, rules, known.exact | known.any_overload)
    _raise_refusals(wanted, refusals, rules)


def _raise_refusals(
    wanted: OperatorList, refusals: Mapping[Operator, str], rules: SelectionRules
) -> None:
    if not refusals:
        return
    lines = [
        f"  {operator} (wanted by {', '.join(wanted.operators.sources(operator))}): {reason}"
        for operator, reason in refusals.items()
    ]
    offered = (one for one in rules.backends if one.chosen is Chosen.OPTION)
    served = tuple(one for one in offered if any(map(one.serves, refusals)))
    label = " and ".join(one.label for one in served)
    remedy = (propose_backends(served), f" builds with {label}, ") if served else ()
    raise ModelError(
        "operators that cannot be built from this PyTorch:\n" + "\n".join(lines),
        hint=Hint(
            *("see what the model needs with: ", Run("ops", ("MODEL",)), "; "),
            *(*remedy, Use("skip_unknown"), " builds without them"),
        ),
    )


def find_refusals(
    wanted: OperatorList, catalogue: OperatorCatalogue, rules: SelectionRules
) -> dict[Operator, str]:
    """Returns the operators of `wanted` that cannot be registered or built, and why; sorted."""
    reasons = {operator: _refusal(operator, catalogue, rules) for operator in wanted.operators}
    return {operator: reason for operator, reason in reasons.items() if reason}


def find_raising(
    wanted: OperatorList, catalogue: OperatorCatalogue, rules: SelectionRules
) -> dict[Operator, str]:
    """Returns the operators of `wanted` that can be registered but raise when called, and why.

    Models name operators of branches that they never take, so these are no reason to refuse.
    """
    found = {}
    for operator in wanted.operators:
        reason = find_reason(str(operator), rules.raising)
        if not reason and operator in catalogue.undispatched:
            reason = "has no kernel for dense or quantised tensors on a CPU"
        if reason:
            found[operator] = reason
    return found


def _refusal(operator: Operator, catalogue: OperatorCatalogue, rules: SelectionRules) -> str:
    # Known is enough: an operator that raises may stand in a branch that is never taken.
    if operator in catalogue.dispatcher or _registering_units(operator, catalogue, rules):
        return ""
    return _find_reason(operator, rules, catalogue.names())


def _find_reason(operator: Operator, rules: SelectionRules, names: Iterable[str]) -> str:
    """Returns why a build does not have `operator`; `names` are those of the operators it has."""
    # Before other reasons: a build with this backend would have the operator.
    for backend in rules.backends:
        if backend.absent and backend.serves(operator):
            return backend.absent
    if operator.namespace in rules.libraries:
        return rules.libraries[operator.namespace]
    near = near_names(str(operator), names)
    return "does not exist" + (f"; did you mean {', '.join(near)}?" if near else "")


def _registering_units(
    operator: Operator, catalogue: OperatorCatalogue, rules: SelectionRules
) -> frozenset[str]:
    units = catalogue.find_units(operator) - rules.ignored
    return (units & rules.preferred) or units
