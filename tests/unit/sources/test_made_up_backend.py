"""A backend that does not exist, from its file to the C++ of a build: one file is all it takes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from samples import make_graph, make_list, make_plan, make_toolchain, make_unit

from builder.core.backends import Dispatch, LocatedBackend, choose_backends
from builder.core.operators import Operator
from builder.core.sources import SourceTree
from builder.core.targets import Platform
from builder.errors import ModelError
from builder.native.backend_units import add_backends, find_root_units
from builder.native.build_folders import Layout
from builder.native.build_units import make_units
from builder.native.generated import GeneratedCode, group_pieces, read_pieces
from builder.native.run_time_dispatch import ask_at_run_time
from builder.platforms.apple.frameworks import with_frameworks
from builder.selection.catalogue import DispatcherOperator, OperatorCatalogue
from builder.selection.choose import find_refusals, select
from builder.selection.devices import read_device, refuse_absent
from builder.selection.release_rules import read_rules
from builder.selection.static_dispatch import choose_static_dispatch
from builder.sources.read_backends import parse_backend
from builder.sources.releases import load_release

TEXT = """\
label = "Turbo"
chosen = "needed"
platforms = ["android", "linux"]
absent = "it runs on Turbo, which Apple's systems do not have"
operators = ["turbo_prepack::"]
classes = ["turbo."]
sources = "turbo"
roots = ["turbo/Guard.cpp", "turbo/ops/*"]
defines = ["USE_TURBO"]
pytorch_includes = ["torch/api"]
includes = ["third_party/turbo"]
runtime_defines = ["TORCHLITE_TURBO"]

[dispatch]
key = "Turbo"
predicate = "is_turbo"

[units]
any = ["turbo/Register.cpp", "turbo/Guard.cpp", "turbo/ops/*.cpp"]
QuantizedCPU = ["turbo/Quantised.cpp"]

[units_by_class]
turbo = ["turbo/Register.cpp"]
"""
SOURCES = {
    "turbo/Register.cpp": 'm.def("turbo_prepack::run(Tensor x) -> Tensor");',
    "turbo/Guard.cpp": "// the device's guard",
    "turbo/Quantised.cpp": "",
    "turbo/ops/Relu.cpp": "TORCH_LIBRARY_IMPL(aten, Turbo, m) {\n"
    'm.impl(TORCH_SELECTIVE_NAME("aten::relu"), TORCH_FN(relu)); }',
}
TORCHGEN = """\
namespace at { namespace _ops {

at::Tensor relu::call(const at::Tensor & self) {
    return at::cpu::relu(self);
}

at::Tensor relu::redispatch(c10::DispatchKeySet dispatchKeySet, const at::Tensor & self) {
    return x();
}
}}
"""
TURBO = parse_backend("turbo", TEXT)
KNOWN = (*load_release().backends.values(), TURBO)
GRAPH = make_graph(
    make_unit("torch/csrc/jit/mobile/import.cpp", flags=("-DC10_MOBILE",)),
    read_rules(load_release()).printing_unit,
)
RUN = Operator.parse("turbo_prepack::run")
CATALOGUE = OperatorCatalogue(
    dispatcher={
        Operator("aten::relu"): DispatcherOperator(struct="relu", header="ATen/ops/relu_ops.h")
    },
    undispatched=frozenset(),
    by_hand={str(RUN): frozenset({"turbo/Register.cpp"})},
    classes={},
)
MODEL = make_list(str(RUN), classes=("turbo.Context",))


@pytest.fixture
def located(tmp_path):
    for name, text in SOURCES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return LocatedBackend(
        backend=TURBO, tree=SourceTree(root=tmp_path, version="2.6.0", digest="d" * 64)
    )


def add(located, folder):
    return add_backends(GRAPH, [located], ("CPU",), pytorch=folder, made=folder, runtime=folder)


def choose(platform):
    return choose_backends(
        KNOWN, operators=MODEL.operators, classes=MODEL.custom_classes, platform=platform
    )


def test_it_is_chosen_where_a_model_needs_it_and_the_platform_has_it():
    assert TURBO in choose(Platform.LINUX)
    assert TURBO not in choose(Platform.IOS)
    others = choose_backends(KNOWN, operators=(), classes=(), platform=Platform.LINUX)
    assert TURBO not in others
    assert make_plan(backends=choose(Platform.LINUX)).key != make_plan(backends=others).key
    assert choose_static_dispatch(MODEL, KNOWN) == ("CPU",)


def test_its_operators_are_refused_with_its_reason_where_it_is_not_there():
    rules = replace(read_rules(load_release()), backends=KNOWN)
    without = replace(CATALOGUE, by_hand={})
    assert find_refusals(MODEL, without, rules) == {RUN: TURBO.absent}
    delegated = make_list(classes=("__backends__.turbo",))
    with pytest.raises(ModelError, match="__backends__"):
        refuse_absent(delegated, choose(Platform.LINUX), rules)


def test_its_units_see_its_macros_and_headers(located, tmp_path):
    added = add(located, tmp_path).units
    assert set(added) - set(GRAPH.units) == set(SOURCES) - {"turbo/Quantised.cpp"}
    assert added["turbo/ops/Relu.cpp"].flags == (
        *("-DC10_MOBILE", "-O2", "-DUSE_TURBO"),
        *(f"-I{tmp_path}/torch/api", f"-I{tmp_path}/third_party/turbo"),
    )
    toolchain = make_toolchain()
    assert with_frameworks(toolchain, (TURBO,)) is toolchain


def test_its_roots_are_linked_and_calls_look_for_its_tensors(located, tmp_path):
    graph = add(located, tmp_path)
    roots = find_root_units(graph, TURBO)
    assert set(roots) == {"turbo/Guard.cpp", "turbo/ops/Relu.cpp"}
    rules = replace(
        read_rules(load_release()),
        backends=KNOWN,
        custom_classes={name: frozenset(ids) for name, ids in TURBO.units_by_class.items()},
    )
    chosen = select(MODEL, CATALOGUE, rules, [read_device(roots, roots, TURBO.dispatch)])
    assert {*roots, "turbo/Register.cpp"} <= chosen.roots
    assert chosen.at_run_time == {"relu": (Dispatch(key="Turbo", predicate="is_turbo"),)}
    assert "m.def(at::_ops::relu::schema_str);" in chosen.registrations

    groups = {group.defines[0]: group for group in group_pieces(read_pieces(TORCHGEN))}
    code = GeneratedCode(groups=groups, defined_in={name: name for name in groups})
    (piece,) = ask_at_run_time(code, chosen.at_run_time).groups["at::_ops::relu::call"].pieces
    assert piece.text.splitlines()[1:-1] == [
        "    if (self.is_turbo()) {",
        "        return at::_ops::relu::redispatch("
        "c10::DispatchKeySet(c10::DispatchKey::Turbo), self);",
        "    }",
        "    return at::cpu::relu(self);",
    ]

    layout = Layout.of(tmp_path / "cache", make_plan())
    made = make_units(
        graph, chosen, layout, runtime=tmp_path, version="2.6.0", backends=(TURBO,)
    ).graph.units
    assert "-DTORCHLITE_TURBO" in made["torchlite/torchlite.cpp"].flags
