from dataclasses import replace
from pathlib import Path

from samples import make_info

from builder.cli.hints import show_hint
from builder.core.dtypes import EVERYTHING, DtypeSet
from builder.core.model_facts import ModelFormat
from builder.core.operators import Operator
from builder.verify.coverage import (
    Obstacle,
    ObstacleKind,
    build_hint,
    find_obstacles,
    merge_obstacles,
)

from .fakes import OPERATORS, make_manifest

SERVED = make_info(*OPERATORS, custom_classes=("xnnpack.Conv2dOpContext",))
FLOAT = DtypeSet.of(["float32", "int64", "bool"])
MANIFEST = replace(make_manifest("linux-x86_64"), dtypes=FLOAT)


def test_nothing_stands_against_a_model_that_is_served():
    assert find_obstacles(SERVED, MANIFEST, dtypes=FLOAT) == ()


def test_everything_lacking_is_named_at_once():
    needy = replace(
        SERVED,
        bytecode_version=10,
        operators=(*SERVED.operators, Operator("aten::sort"), Operator("aten::add", "Scalar")),
        custom_classes=("quantized.LinearPackedParamsBase",),
    )
    assert find_obstacles(needy, MANIFEST, dtypes=DtypeSet.of(["float16", "int8", "bool"])) == (
        Obstacle(kind=ObstacleKind.BYTECODE, name="10"),
        Obstacle(kind=ObstacleKind.CUSTOM_CLASS, name="quantized.LinearPackedParamsBase"),
        Obstacle(kind=ObstacleKind.DTYPE, name="int8"),
        Obstacle(kind=ObstacleKind.DTYPE, name="float16"),
        Obstacle(kind=ObstacleKind.OPERATOR, name="aten::add.Scalar"),
        Obstacle(kind=ObstacleKind.OPERATOR, name="aten::sort"),
    )


def test_the_range_of_bytecode_versions_includes_its_ends():
    for version, served in ((3, False), (4, True), (9, True), (10, False)):
        info = replace(SERVED, bytecode_version=version)
        assert (find_obstacles(info, MANIFEST, dtypes=FLOAT) == ()) == served


def test_plain_torchscript_cannot_be_loaded():
    script = replace(SERVED, bytecode_version=None, format=ModelFormat.TORCHSCRIPT)
    assert find_obstacles(script, MANIFEST, dtypes=FLOAT)[0].kind == ObstacleKind.FORMAT


def test_unknown_dtypes_stand_against_nothing_and_a_runtime_with_all_serves_any():
    assert find_obstacles(SERVED, MANIFEST, dtypes=EVERYTHING) == ()
    complete = replace(MANIFEST, dtypes=EVERYTHING)
    assert find_obstacles(SERVED, complete, dtypes=DtypeSet.of(["complex64"])) == ()


def test_what_some_abis_lack_names_them_and_what_all_lack_does_not():
    sort, relu = (Obstacle(kind=ObstacleKind.OPERATOR, name=name) for name in ("sort", "relu"))
    assert merge_obstacles({"arm64-v8a": (sort,), "x86": (sort, relu)}) == (
        sort,
        replace(relu, abis=("x86",)),
    )
    assert merge_obstacles({"x86": (relu,)}) == (relu,)
    assert merge_obstacles({"x86": ()}) == ()


def test_the_rebuild_is_for_every_abi():
    hint = build_hint(Path("my model.ptl"), "arm64-v8a", "x86")
    command = "builder build 'my model.ptl' --abi arm64-v8a --abi x86 -o out"
    assert show_hint(hint, "check").endswith(command)
