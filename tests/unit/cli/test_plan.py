from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from samples import make_toolchain

from builder import api
from builder.api import builds, link
from builder.api import plans as planning
from builder.cli import build as build_command
from builder.cli.plan import command
from builder.errors import BuilderError, ModelError, SourceError, ToolchainError
from builder.platforms.linux import platform as linux


@pytest.fixture(autouse=True)
def _toolchain(monkeypatch):
    monkeypatch.setattr(link, "locate_toolchain", lambda target, **_: make_toolchain(target=target))
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

    monkeypatch.setattr(link, "locate_toolchain", missing)
    with pytest.raises(ToolchainError):
        plan(op_list("aten::relu"))


def test_builders_own_native_files_are_part_of_the_plan(monkeypatch, op_list):
    path = op_list("aten::relu")
    before = plan(path)["key"]
    monkeypatch.undo()
    monkeypatch.setattr(link, "locate_toolchain", lambda target, **_: make_toolchain(target=target))
    assert plan(path)["key"] != before
    assert plan(path) == plan(path)


REFUSED = [
    (("mine::custom",), (), 3, r"mine::custom .*: does not exist"),
    (("quantized::mul",), ("--core", "own"), 3, "quantized::mul is registered by hand"),
    (("aten::relu",), ("--launcher", "icecc"), 5, "there is no icecc on PATH"),
    (("aten::relu",), ("--launcher", "foo"), 2, "unknown launcher 'foo'"),
    (("aten::relu",), ("--static",), 5, "there is no llvm-objcopy"),
    (("aten::relu",), ("--jni",), 5, "there is no Java development kit"),
    (("aten::relu",), ("-o", "taken"), 2, "not written by builder: mine.txt"),
    (("aten::relu",), ("--ops-list", "none"), 2, "no operator list 'none'"),
]


@pytest.mark.parametrize(("operators", "given", "code", "said"), REFUSED)
def test_a_plan_refuses_what_a_build_refuses(
    monkeypatch, tmp_path, op_list, operators, given, code, said
):
    """The same words and the same exit code, whichever of the three commands is asked."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    if "Java dev" not in said:
        monkeypatch.setattr(linux, "locate_jdk", lambda _runner: None)
    monkeypatch.setattr(builds, "link_libraries", lambda *_, **__: pytest.fail("it builds"))
    taken = tmp_path / "taken/linux-x86_64"
    taken.mkdir(parents=True)
    (taken / "mine.txt").touch()
    arguments = [str(op_list(*operators)), "--abi", "linux-x86_64", *given]
    errors = []
    for asked, more in (
        (command, ()),
        (build_command.command, ("--dry-run",)),
        (build_command.command, ()),
    ):
        with pytest.raises(BuilderError, match=said) as caught:
            CliRunner().invoke(asked, [*arguments, *more], catch_exceptions=False)
        errors.append((caught.value.message, caught.value.hint, caught.value.exit_code))
    assert errors[0] == errors[1] == errors[2]
    assert errors[0][2] == code


def test_unknown_operators_are_planned_where_a_build_leaves_them_out(op_list):
    printed = plan(op_list("aten::relu", "mine::custom"), "--skip-unknown")
    assert list(printed["operators"]) == ["aten::relu", "mine::custom"]


def test_a_library_for_java_has_the_core_of_the_other(monkeypatch, op_list):
    monkeypatch.setattr(linux, "locate_jdk", lambda _runner: None)
    listed = op_list("aten::relu")
    alone = plan(listed, "--core", "auto")
    assert alone["core"] == "own"
    assert plan(listed, "--core", "auto", "--jni")["key"] == alone["key"]


def test_an_edited_source_is_refused_as_in_a_build(monkeypatch, op_list):
    def refuse(planned):
        raise SourceError(f"somebody edited the sources for {planned.plan.target}")

    monkeypatch.setattr(builds, "refuse_edited_trees", refuse)
    with pytest.raises(SourceError, match="edited the sources for linux-x86_64"):
        plan(op_list("aten::relu"))
