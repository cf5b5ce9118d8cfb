from __future__ import annotations

import pytest
from samples import make_list

from builder import api
from builder.core.backends import Dispatch
from builder.core.operators import Operator
from builder.errors import ModelError, SourceError
from builder.selection.choose import select
from builder.selection.devices import Device, read_device, refuse_absent, warn_unused
from builder.selection.release_rules import read_rules
from builder.sources.releases import load_release

from .test_choose import CATALOGUE, RULES

METAL_RULES = read_rules(load_release())
BACKENDS = load_release().backends
METAL, COREML = BACKENDS["metal"], BACKENDS["coreml"]
UNIT = """\
// m.impl(TORCH_SELECTIVE_NAME("aten::conv2d"), TORCH_FN(conv2d));
TORCH_LIBRARY_IMPL(aten, Metal, m) {
  m.impl(TORCH_SELECTIVE_NAME("aten::add.Tensor"), TORCH_FN(add_Tensor));
  m.impl(TORCH_SELECTIVE_NAME("aten::hardtanh_"), hardtanh_);
}
"""
DEVICE = Device(
    units=frozenset({"metal.mm"}),
    operators=frozenset({Operator("aten::mul", "Tensor"), Operator("aten::add", "Tensor")}),
    dispatch=METAL.dispatch,
)


def test_kernels_are_read_by_exact_name_outside_of_comments(tmp_path):
    (tmp_path / "metal.mm").write_text(UNIT)
    found = read_device(["guard.mm"], {"metal.mm": tmp_path / "metal.mm"}, METAL.dispatch)
    assert set(map(str, found.operators)) == {"aten::add.Tensor", "aten::hardtanh_"}
    assert found.units == {"guard.mm"}


def test_kernels_that_cannot_be_read_and_those_of_other_keys_are_not_taken(tmp_path):
    path = tmp_path / "metal.mm"
    path.write_text(UNIT.replace("aten, Metal", "aten, Vulkan"))
    assert read_device([], {"metal.mm": path}, METAL.dispatch).operators == frozenset()
    path.write_text(UNIT.replace("hardtanh_);", "hardtanh_, 3);"))
    with pytest.raises(SourceError, match=r"metal\.mm: builder can read 1 of 2 registrations"):
        read_device([], {"metal.mm": path}, METAL.dispatch)


def test_kernels_that_are_called_directly_are_not_registered():
    direct = Dispatch(key="Vulkan", predicate="is_vulkan", kernels="at::native::vulkan::ops")
    device = Device(
        units=frozenset({"guard.cpp"}),
        operators=frozenset({Operator("aten::mul", "Tensor")}),
        dispatch=direct,
    )
    chosen = select(make_list("aten::add.Tensor"), CATALOGUE, RULES, [device])
    assert chosen.at_run_time == {"mul_Tensor": (direct,)}
    assert "mul_Tensor" not in chosen.registrations
    assert "guard.cpp" in chosen.roots


def test_units_of_a_device_are_roots_and_their_operators_can_be_found():
    chosen = select(make_list("aten::add.Tensor"), CATALOGUE, RULES, [DEVICE])
    assert "metal.mm" in chosen.roots
    assert chosen.at_run_time == dict.fromkeys(("add_Tensor", "mul_Tensor"), (METAL.dispatch,))
    text = chosen.registrations
    assert "m.def(at::_ops::mul_Tensor::schema_str);" in text
    assert "#include <ATen/ops/mul_ops.h>" in text
    assert "m.def(at::_ops::add_Tensor::schema_str);" not in text  # its binding defines it
    assert '"aten::mul.Tensor"' not in text  # no model names it


def test_without_devices_nothing_is_asked_at_run_time():
    chosen = select(make_list("aten::add.Tensor"), CATALOGUE, RULES)
    assert chosen.at_run_time == {}
    assert "mul_Tensor" not in chosen.registrations


def test_each_call_looks_for_the_tensors_of_those_who_have_a_kernel():
    vulkan = Dispatch(key="Vulkan", predicate="is_vulkan")
    other = Device(
        units=frozenset({"vulkan.cpp"}),
        operators=frozenset({Operator("aten::mul", "Tensor")}),
        dispatch=vulkan,
    )
    delegate = Device(units=frozenset({"delegate.mm"}), operators=frozenset())
    chosen = select(make_list("aten::add.Tensor"), CATALOGUE, RULES, [DEVICE, other, delegate])
    assert {"metal.mm", "vulkan.cpp", "delegate.mm"} <= chosen.roots
    assert chosen.at_run_time == {
        "add_Tensor": (METAL.dispatch,),
        "mul_Tensor": (METAL.dispatch, vulkan),
    }


def test_units_of_a_device_register_all_they_have():
    named = {"aten::add": frozenset({"metal.mm", "special.cpp"})}
    catalogue = type(CATALOGUE)(
        dispatcher=CATALOGUE.dispatcher,
        undispatched=CATALOGUE.undispatched,
        by_hand={**CATALOGUE.by_hand, **named},
        classes=CATALOGUE.classes,
    )
    limits = select(make_list("aten::add.Tensor"), catalogue, RULES, [DEVICE]).limits
    assert "special.cpp" in limits
    assert "metal.mm" not in limits


def test_a_model_for_metal_is_refused_without_it_and_told_the_command():
    with pytest.raises(ModelError, match="it runs on Metal") as caught:
        select(make_list("metal_prepack::conv2d_run"), CATALOGUE, METAL_RULES)
    remedy = "build(MODEL, targets.abis=ios-arm64, accelerators=metal) builds with Metal"
    assert remedy in caught.value.hint


@pytest.mark.parametrize(
    ("name", "chosen", "hint"),
    [
        ("__backends__.coreml", (), "build(MODEL, targets.abis=ios-arm64, accelerators=coreml)"),
        ("__backends__.coreml", (METAL,), "accelerators=coreml"),
        ("__backends__.nnapi", (COREML,), "export the model for the CPU"),
    ],
)
def test_a_delegate_that_is_not_built_is_refused(name, chosen, hint):
    with pytest.raises(ModelError, match=name) as caught:
        refuse_absent(make_list(classes=(name,)), chosen, METAL_RULES)
    assert hint in caught.value.hint


def test_a_delegate_that_is_built_is_not():
    lowered = make_list(classes=("__backends__.coreml", "backendutils.BackendDebugInfo"))
    refuse_absent(lowered, (COREML,), METAL_RULES)
    refuse_absent(make_list(classes=("xnnpack.Conv2dOpContext",)), (), METAL_RULES)
    assert select(lowered, CATALOGUE, METAL_RULES).always >= {
        "torch/csrc/jit/backends/backend_debug_info.cpp"
    }


def test_what_no_model_uses_is_said():
    both = (COREML, METAL)
    (warning,) = warn_unused(make_list("metal_prepack::linear_run"), both)
    assert warning.startswith("no model uses an operator or a class of Core ML;")
    assert warn_unused(make_list("aten::relu"), (load_release().backends["xnnpack"],)) == []


def test_the_tree_has_kernels_for_what_metals_own_kernels_call():
    """`view` and others on tensors of Metal's: read by nm; see docs/how-to/metal.md."""
    tree = api.find_sources(api.load_release())
    if tree is None:
        pytest.skip("the sources are not fetched")
    units = {unit: tree.root / unit for unit in METAL.units["any"]}
    found = set(map(str, read_device([], units, METAL.dispatch).operators))
    assert {"aten::view", "aten::reshape", "aten::t", "aten::empty.memory_format"} <= found
    assert {"metal_prepack::conv2d_run", "metal_prepack::linear_run"} <= found
    assert "aten::conv2d" not in found
    assert len(found) > 40
