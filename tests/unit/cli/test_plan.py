from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from samples import make_toolchain

from builder import api
from builder.api import plans as planning
from builder.cli.plan import command
from builder.errors import ModelError, ToolchainError


@pytest.fixture(autouse=True)
def _toolchain(monkeypatch):
    monkeypatch.setattr(
        planning, "locate_toolchain", lambda target, **_: make_toolchain(target=target)
    )
    monkeypatch.setattr(planning, "digest_deciding_files", lambda *_: "0" * 64)


@pytest.fixture
def op_list(tmp_path):
    def write(*names: str, name: str = "ops.txt"):
        path = tmp_path / name
        path.write_text("".join(f"{operator}\n" for operator in names))
        return path

    return write


def plan(*arguments: object) -> dict:
    given = [*map(str, arguments), "--abi", "linux-x86_64", "--json"]
    result = CliRunner().invoke(command, given, catch_exceptions=False)
    assert result.exit_code == 0
    return json.loads(result.output)["plans"][0]


def test_the_union_of_what_is_given(op_list):
    printed = plan(op_list("aten::relu", name="a.txt"), op_list("aten::tanh", name="b.txt"))
    assert printed["operators"] == {"aten::relu": ["a.txt"], "aten::tanh": ["b.txt"]}


def test_the_order_of_the_inputs_does_not_matter(op_list):
    a, b = op_list("aten::relu", name="a.txt"), op_list("aten::tanh", name="b.txt")
    assert plan(a, b) == plan(b, a)


def test_another_list_is_another_plan_with_the_same_objects(op_list):
    one, other = plan(op_list("aten::relu")), plan(op_list("aten::tanh"))
    assert one["key"] != other["key"]
    assert one["objects_key"] == other["objects_key"]


def test_quantised_operators_are_dispatched_otherwise(op_list):
    assert plan(op_list("aten::relu"))["static_dispatch"] == ["CPU"]
    assert plan(op_list("quantized::add"))["static_dispatch"] == ["CPU", "QuantizedCPU"]


def test_optional_sources_are_another_plan_with_the_same_objects(op_list):
    plain, more = plan(op_list("aten::relu")), plan(op_list("aten::relu", "torchvision::nms"))
    digest = api.load_release().lock.select("torchvision").digest
    assert (plain["features"], more["features"]) == ({}, {"torchvision": digest})
    assert plain["source_digest"] == more["source_digest"]
    assert plain["objects_key"] == more["objects_key"]


def test_the_digest_of_the_sources_is_that_of_the_lock(op_list):
    printed = plan(op_list("aten::relu"))
    lock = api.load_release().lock.select()
    assert (printed["source_digest"], printed["source_version"]) == (lock.digest, lock.version)


def test_nothing_is_written(op_list, tmp_path, monkeypatch):
    monkeypatch.setenv("BUILDER_CACHE", str(tmp_path / "cache"))
    path = op_list("aten::relu")
    plan(path)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_errors_come_through(monkeypatch, tmp_path, op_list):
    with pytest.raises(ModelError):
        plan(tmp_path / "gone.ptl")

    def missing(target: object, **_: object) -> None:
        raise ToolchainError("no clang")

    monkeypatch.setattr(planning, "locate_toolchain", missing)
    with pytest.raises(ToolchainError):
        plan(op_list("aten::relu"))


def test_builders_own_native_files_are_part_of_the_plan(monkeypatch, op_list):
    path = op_list("aten::relu")
    before = plan(path)["key"]
    monkeypatch.undo()
    monkeypatch.setattr(
        planning, "locate_toolchain", lambda target, **_: make_toolchain(target=target)
    )
    assert plan(path)["key"] != before
    assert plan(path) == plan(path)
