from __future__ import annotations

import pytest

from builder.core.accelerators import Accelerator, find_used
from builder.core.operators import Operator
from builder.models.lite_contents import LiteContents
from builder.selection.rules import load_rules

CORE_ML = "__torch__.torch.classes.__backends__.coreml"


@pytest.mark.parametrize(
    ("operators", "classes", "used"),
    [
        (("aten::add.Tensor",), ("xnnpack.Conv2dOpContext",), ()),
        (("metal_prepack::conv2d_run",), (), (Accelerator.METAL,)),
        (("metal::copy_to_host",), (), (Accelerator.METAL,)),
        ((), ("metal.LinearOpContext",), (Accelerator.METAL,)),
        (("aten::add.Tensor",), ("__backends__.coreml",), (Accelerator.COREML,)),
        ((), ("__backends__.nnapi",), ()),
        (
            ("metal_prepack::linear_run",),
            ("__backends__.coreml",),
            (Accelerator.COREML, Accelerator.METAL),
        ),
    ],
)
def test_a_model_tells_what_it_was_exported_for(operators, classes, used):
    uses = load_rules().accelerators
    assert find_used(map(Operator.parse, operators), classes, uses) == used


def test_the_class_of_a_delegate_is_read_of_the_types_that_bytecode_names():
    contents = LiteContents(bytecode_version=8)
    contents.add_types([CORE_ML, "Dict[str, Any]"])
    assert contents.custom_classes == {"__backends__.coreml"}


def test_each_has_an_option_and_a_rule_that_finds_it():
    assert {one.option for one in Accelerator} == {"--metal", "--coreml"}
    assert {use.accelerator for use in load_rules().accelerators} == set(Accelerator)
