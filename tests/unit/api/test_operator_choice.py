from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from samples import FakeRunner, make_graph, make_list, make_plan, make_unit

from builder.api.operator_choice import (
    confirm_operators,
    list_hand_written,
    refuse_misread,
)
from builder.core.operators import Operator
from builder.core.plan import DispatchBackend
from builder.core.selection import Selection, ServedOperators
from builder.core.targets import Platform, Target
from builder.errors import ModelError, SourceError
from builder.platforms.folder import make_registry
from builder.selection.catalogue import DispatcherOperator, OperatorCatalogue
from builder.system.machine import host_architecture

RELU, NOPE = Operator("aten::relu"), Operator("aten::add", "Nope")
LINKED = SimpleNamespace(library=Path("/out/libtorchlite.so"), runner=Path("/out/torchlite-run"))


class Notes:
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


def make_serving() -> ServedOperators:
    by_hand = {RELU: frozenset({"a.cpp"}), NOPE: frozenset({"b.cpp"})}
    return ServedOperators(
        operators=make_list("aten::relu", "aten::add.Nope"),
        selection=Selection(registrations="", by_hand=by_hand, limits={}),
        skipped=frozenset(),
    )


def make_build(architecture: str = host_architecture()) -> SimpleNamespace:
    target = Target(platform=Platform.LINUX, architecture=architecture)
    return SimpleNamespace(
        plan=make_plan(target=target), runner=FakeRunner.saying("aten::relu\n"), progress=Notes()
    )


def test_what_nothing_registers_is_refused_with_who_wants_it():
    with pytest.raises(ModelError, match=r"aten::add.Nope \(wanted by m.ptl\)") as caught:
        confirm_operators(make_build(), LINKED, make_serving(), skip_unknown=False)
    assert "skip_unknown" in caught.value.hint


def test_what_nothing_registers_is_left_out_where_that_is_allowed():
    build = make_build()
    serving = confirm_operators(build, LINKED, make_serving(), skip_unknown=True)
    assert (set(serving.operators.operators), serving.skipped) == ({RELU}, {NOPE})
    assert build.progress.said == ["left out: aten::add.Nope, nothing registers it"]
    assert build.runner.commands == [("/out/torchlite-run", "--operators")]
    assert build.runner.extra == {"LD_LIBRARY_PATH": "/out"}


def test_nothing_is_asked_where_nothing_runs_it():
    build, serving = make_build("vax"), make_serving()
    assert confirm_operators(build, LINKED, serving, skip_unknown=False) == serving
    assert "not asked" in build.progress.said[0]
    assert build.runner.commands == []


def test_operators_that_were_left_out_have_no_price(tmp_path):
    units = [make_unit(name, source=str(tmp_path / name)) for name in ("a.cpp", "b.cpp")]
    (tmp_path / "a.cpp").write_text("TORCH_LIBRARY(aten, m) {}")
    (tmp_path / "b.cpp").write_text("m.impl(TORCH_SELECTIVE_NAME(name), f);")
    registry = make_registry(make_serving().without([NOPE]), make_graph(*units))
    assert registry.operators == (RELU,)
    assert set(registry.by_hand) == {RELU}
    assert registry.limited == {"b.cpp"}


def test_operators_are_sought_in_objective_c_too_and_in_nothing_generated():
    units = {"a.cpp": "CXX", "b.mm": "OBJCXX", "c.c": "C", "d.S": "ASM", "generated/e.cpp": "CXX"}
    graph = make_graph(*(make_unit(name, language=kind) for name, kind in units.items()))
    assert [name for name, _ in list_hand_written(graph)] == ["a.cpp", "b.mm"]


DECLARED = dict.fromkeys(
    (RELU, NOPE, Operator("aten::mul")), DispatcherOperator(struct="x", header="ATen/ops/x_ops.h")
)
CATALOGUE = OperatorCatalogue(
    dispatcher=DECLARED, undispatched=frozenset({NOPE}), by_hand={}, classes={}
)
UPGRADERS = {RELU: frozenset(), NOPE: frozenset()}


def test_what_was_read_as_the_facts_of_the_release_say_passes():
    refuse_misread(make_plan(), CATALOGUE, UPGRADERS)


@pytest.mark.parametrize(
    ("changes", "upgraders", "said"),
    [
        ({"dispatcher": {}}, UPGRADERS, "0 operators that torchgen declares instead of 3"),
        (
            {"undispatched": frozenset()},
            UPGRADERS,
            "0 operators without a kernel for CPU instead of 1",
        ),
        ({}, {}, "0 operators with upgraders instead of 2"),
    ],
)
def test_text_that_an_expression_does_not_fit_is_refused(changes, upgraders, said):
    with pytest.raises(SourceError, match=said) as caught:
        refuse_misread(make_plan(), replace(CATALOGUE, **changes), upgraders)
    assert caught.value.message.count(" instead of ") == 1
    assert "facts.toml" in caught.value.hint


def test_static_dispatch_that_the_facts_do_not_know_is_refused():
    both = (DispatchBackend.CPU, DispatchBackend.QUANTIZED_CPU)
    with pytest.raises(SourceError, match="for CPU;QuantizedCPU instead of None"):
        refuse_misread(make_plan(static_dispatch=both), CATALOGUE, UPGRADERS)
