from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from samples import make_list, make_operators, make_plan, make_release, make_tool, make_toolchain

from builder.core.model_facts import ModelOrigin, OperatorList
from builder.core.plan import DispatchBackend, Interface
from builder.core.sources import SourcePatch
from builder.core.targets import parse_target
from builder.core.toolchain import Launcher
from builder.sources.releases import load_release

PLAN = make_plan()
PATCH = SourcePatch(name="0001-a", text="--- a\n", reason="why")
PATCHED = replace(PLAN.release.lock, patches=(PATCH,))
BACKENDS = load_release().backends
METAL, COREML = BACKENDS["metal"], BACKENDS["coreml"]
BOTH = (DispatchBackend.CPU, DispatchBackend.QUANTIZED_CPU)


@pytest.mark.parametrize(
    "changes",
    [
        {"target": parse_target("linux-aarch64")},
        {"target": replace(PLAN.target, min_os=24)},
        {"release": make_release(lock=PATCHED)},
        {"static_dispatch": BOTH},
        {"toolchain": (*PLAN.toolchain, "--target=x")},
        {"configuration": ("BUILD_TEST=OFF", "USE_XNNPACK=OFF")},
    ],
)
def test_what_decides_the_objects_changes_both_keys(changes):
    changed = make_plan(**changes)
    assert changed.objects_key != PLAN.objects_key
    assert changed.key != PLAN.key


@pytest.mark.parametrize(
    "changes",
    [
        {"operator_list": make_list("aten::add.Tensor")},
        {"link_flags": ("-Wl,-z,max-page-size=65536",)},
        {"interface": Interface.JNI},
        {"operator_list": make_list("aten::add.Scalar", "aten::relu")},
        {"operator_list": make_list("aten::add.Tensor", "aten::relu", classes=("a.B",))},
        {"native_digest": "8" * 64},
        {"release": make_release("2.6.1")},
        {"features": (("torchvision", "9" * 64),)},
        {"backends": (METAL,)},
        {"backends": (COREML, METAL)},
    ],
)
def test_operators_change_the_build_and_share_its_objects(changes):
    changed = make_plan(**changes)
    assert changed.key != PLAN.key
    assert changed.objects_key == PLAN.objects_key


def test_who_wants_an_operator_decides_no_bytes():
    names = ("aten::add.Tensor", "aten::relu")
    other = OperatorList(
        operators=make_operators(*names, source="other.ptl"),
        bytecode_versions=(7,),
        models=(ModelOrigin("other.ptl", "a" * 64, 7),),
    )
    assert make_plan(operator_list=other).key == PLAN.key


def test_keys_are_folder_names():
    for key in (PLAN.key, PLAN.objects_key):
        assert len(key) == 16
        assert set(key) <= set("0123456789abcdef")


def test_toolchains_are_told_apart_by_version_and_not_by_path():
    same = make_toolchain(
        cc=make_tool("/opt/llvm/clang"), launcher=Launcher(tools=(make_tool("ccache"),))
    )
    assert same.fingerprint == make_toolchain().fingerprint
    for part in ("cc", "cxx", "linker", "strip", "cmake"):
        newer = make_toolchain(**{part: make_tool("x", "15.0.7")})
        assert newer.fingerprint != make_toolchain().fingerprint, part
    assert make_toolchain(system_flags=("-m32",)).fingerprint != make_toolchain().fingerprint


def test_as_json_it_is_sorted_and_names_no_folder():
    printed = PLAN.to_json()
    assert list(printed["operators"]) == sorted(printed["operators"])
    assert printed["operators"]["aten::relu"] == ["m.ptl"]
    assert printed["key"] == PLAN.key
    text = json.dumps(printed)
    assert str(Path.home()) + os.sep not in text
    assert "/usr/bin" not in text
