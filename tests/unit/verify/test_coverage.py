from dataclasses import replace

from builder.core.model import ModelFormat, ModelInfo
from builder.core.operators import Operator
from builder.verify.coverage import Obstacle, ObstacleKind, find_obstacles

from .fakes import OPERATORS, make_manifest

SERVED = ModelInfo(
    name="m.ptl",
    sha256="0" * 64,
    size=1,
    format=ModelFormat.LITE_ZIP,
    bytecode_version=8,
    operator_version=3,
    operators=tuple(map(Operator.parse, OPERATORS)),
    custom_classes=("xnnpack.Conv2dOpContext",),
    methods=("forward",),
)
MANIFEST = make_manifest("linux-x86_64")


def test_nothing_stands_against_a_model_that_is_served():
    assert find_obstacles(SERVED, MANIFEST) == ()


def test_everything_lacking_is_named_at_once():
    needy = replace(
        SERVED,
        bytecode_version=10,
        operators=(*SERVED.operators, Operator("aten::sort"), Operator("aten::add", "Scalar")),
        custom_classes=("quantized.LinearPackedParamsBase",),
    )
    assert find_obstacles(needy, MANIFEST) == (
        Obstacle(kind=ObstacleKind.BYTECODE, name="10"),
        Obstacle(kind=ObstacleKind.CUSTOM_CLASS, name="quantized.LinearPackedParamsBase"),
        Obstacle(kind=ObstacleKind.OPERATOR, name="aten::add.Scalar"),
        Obstacle(kind=ObstacleKind.OPERATOR, name="aten::sort"),
    )


def test_the_range_of_bytecode_versions_includes_its_ends():
    for version, served in ((3, False), (4, True), (9, True), (10, False)):
        info = replace(SERVED, bytecode_version=version)
        assert (find_obstacles(info, MANIFEST) == ()) == served


def test_plain_torchscript_cannot_be_loaded():
    script = replace(SERVED, bytecode_version=None, format=ModelFormat.TORCHSCRIPT)
    assert find_obstacles(script, MANIFEST)[0].kind == ObstacleKind.FORMAT
