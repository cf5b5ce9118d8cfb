from __future__ import annotations

import pytest
from samples import make_operators

from builder.core.operators import Operator
from builder.selection.upgraders import add_upgraders, read_upgraders

TEXT = """\
getOperatorVersionMapForMobile() {
  map({
      {std::string("aten::div.Scalar"),
          std::vector<Upgrader>({
              Upgrader({0, 3, "div_Scalar_0_3", 0})
          })},
      {std::string("aten::gelu"),
          std::vector<Upgrader>({
              Upgrader({0, 5, "gelu_0_5", 1}),
              Upgrader({6, 9, "gelu_6_9", 2})
          })},
  });
}
getUpgraderBytecodeList() {
   ByteCodeFunctionWithOperator({
       mobile::Function::registerFunc(
           "div_Scalar_0_3",
           std::vector<Instruction>({Instruction{OpCode::RET, 0, 0}})
       ),
       std::vector<OperatorString>({
           OperatorString({"aten::is_floating_point", "", 1}),
           OperatorString({"aten::div", "Scalar_mode", 3}),
       }), // operators list
   }),
   ByteCodeFunctionWithOperator({
       mobile::Function::registerFunc("gelu_0_5", 1),
       std::vector<OperatorString>({OperatorString({"aten::div", "Scalar", 2})}),
   }),
   ByteCodeFunctionWithOperator({
       mobile::Function::registerFunc("gelu_6_9", 1),
       std::vector<OperatorString>({OperatorString({"aten::gelu", "", 2})}),
   }),
}
"""
UPGRADERS = {
    Operator("aten::div", "Scalar"): frozenset(
        {Operator("aten::is_floating_point"), Operator("aten::div", "Scalar_mode")}
    ),
    Operator("aten::gelu"): frozenset({Operator("aten::div", "Scalar"), Operator("aten::gelu")}),
}


@pytest.fixture
def tree(tmp_path):
    path = tmp_path / "torch/csrc/jit/mobile/upgrader_mobile.cpp"
    path.parent.mkdir(parents=True)
    path.write_text(TEXT)
    return tmp_path


def test_what_upgraders_call(tree):
    assert read_upgraders(tree) == UPGRADERS


def test_operators_bring_what_their_upgraders_call():
    added = add_upgraders(make_operators("aten::div.Scalar", "aten::relu"), UPGRADERS)
    assert [str(operator) for operator in added] == [
        *("aten::div.Scalar", "aten::div.Scalar_mode", "aten::is_floating_point", "aten::relu"),
    ]
    assert added.sources(Operator("aten::div", "Scalar_mode")) == ("upgrader of aten::div.Scalar",)
    assert added.sources(Operator("aten::relu")) == ("m.ptl",)


def test_upgraders_of_what_upgraders_call_are_followed():
    added = add_upgraders(make_operators("aten::gelu"), UPGRADERS)
    assert Operator("aten::is_floating_point") in added
    assert added.sources(Operator("aten::div", "Scalar")) == ("upgrader of aten::gelu",)
    assert added.sources(Operator("aten::gelu")) == ("m.ptl",)


def test_without_upgraders_nothing_changes():
    operators = make_operators("aten::relu")
    assert add_upgraders(operators, UPGRADERS) == operators
