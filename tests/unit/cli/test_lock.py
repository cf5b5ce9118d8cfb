"""`builder lock`, and the options `--locked` and `--lock`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from samples import building, make_tool, make_toolchain

from builder import api
from builder.api import BuildReport, builds, link
from builder.cli import build, lock, plan
from builder.cli.hints import show_hint
from builder.errors import ConfigurationError, ModelError, ToolchainError

from .test_build import make_runtime

PRODUCTS = """\
targets: {abis: [linux-x86_64]}
products:
  one: {inputs: [a.txt]}
  two: {inputs: [b.txt]}
"""


@pytest.fixture(autouse=True)
def tools(tmp_path, monkeypatch):
    here: dict[str, object] = {}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        link, "locate_toolchain", lambda target, **_: make_toolchain(target=target, **here)
    )
    for name in ("a", "b"):
        Path(f"{name}.txt").write_text("aten::relu\n")
    return here


@pytest.fixture
def built(monkeypatch):
    seen = []

    def build_one(request, targets, output, options, *, progress, locked):
        seen.append(locked)
        return BuildReport(runtimes=tuple(map(make_runtime, targets)))

    monkeypatch.setattr(api, "build_products", building(build_one))
    return seen


def run(module, *arguments):
    return CliRunner().invoke(module.command, list(arguments), catch_exceptions=False)


def test_a_lock_without_products_is_in_this_folder(built):
    given = ("a.txt", "--abi", "linux-x86_64")
    said = run(lock, *given)
    assert said.exit_code == 0
    assert "next: builder build --locked" in said.stdout
    assert list(json.loads(Path("builder.lock").read_text())["products"]) == [""]
    assert run(build, *given, "--locked").exit_code == 0
    assert [str(one) for one in built] == ["builder.lock"]
    assert run(build, *given).exit_code == 0
    assert built[1] is None
    assert run(plan, *given, "--locked").exit_code == 0


def test_the_lock_of_a_file_is_beside_it(built):
    Path("app").mkdir()
    Path("app/builder.yaml").write_text(PRODUCTS.replace("[", "[../").replace("../linux", "linux"))
    asked = ("--config", "app/builder.yaml")
    assert run(lock, *asked).exit_code == 0
    assert sorted(json.loads(Path("app/builder.lock").read_text())["products"]) == ["one", "two"]
    assert run(build, *asked, "--locked").exit_code == 0
    assert [one.name for one in built] == ["one", "two"]
    printed = json.loads(run(plan, *asked, "--locked", "--json", "--product", "two").stdout)
    assert [one["product"] for one in printed["plans"]] == ["two"]


def test_no_product_is_built_before_another_is_refused(monkeypatch):
    monkeypatch.setattr(builds, "link_libraries", lambda *_, **__: pytest.fail("it builds"))
    Path("builder.yaml").write_text(PRODUCTS)
    assert run(lock).exit_code == 0
    Path("b.txt").write_text("aten::tanh\n")
    with pytest.raises(ConfigurationError, match=r"product 'two', does not .* new aten::tanh"):
        run(build, "--locked")
    with pytest.raises(pytest.fail.Exception, match="it builds"):
        run(build, "--locked", "--product", "one")


def test_a_plan_with_a_lock_names_the_product_that_cannot_be_planned():
    Path("builder.yaml").write_text(PRODUCTS)
    assert run(lock).exit_code == 0
    Path("b.txt").write_text("aten::no_such_operator\n")
    with pytest.raises(ModelError, match=r"(?s)^product 'two': .*no_such_operator") as caught:
        run(plan, "--locked")
    message = caught.value.message
    # Without the lock, the words are the same.
    with pytest.raises(ModelError) as caught:
        run(plan)
    assert caught.value.message == message


def test_a_lock_of_more_than_is_built_does_not_fit():
    Path("builder.yaml").write_text(PRODUCTS.replace("[linux-x86_64]", "[linux-x86_64, x86]"))
    assert run(lock).exit_code == 0
    assert run(plan, "--locked").exit_code == 0
    text = PRODUCTS.replace("  two: {inputs: [b.txt]}\n", "")
    Path("builder.yaml").write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        run(plan, "--locked")
    said = "builder.lock has what is not built any more: x86 of 'one', the product 'two'"
    assert caught.value.message == said
    # Whoever asks for a part hears of this part only.
    assert run(plan, "--locked", "--product", "one").exit_code == 0
    assert run(plan, "--locked", "--abi", "linux-x86_64").exit_code == 0


def test_a_plan_that_does_not_fit_is_printed_and_refused(tools):
    given = ("a.txt", "--abi", "linux-x86_64")
    run(lock, *given, "-o", "other.lock")
    tools["cxx"] = make_tool("clang++", "99")
    # The tools of this machine do not count.
    assert run(plan, *given, "--lock", "other.lock").exit_code == 0
    Path("a.txt").write_text("aten::tanh\n")
    result = CliRunner().invoke(plan.command, [*given, "--lock", "other.lock"])
    assert isinstance(result.exception, ConfigurationError)
    assert show_hint(result.exception.hint, "plan").endswith("again: builder lock")
    assert "plan  " in result.stdout
    result = CliRunner().invoke(plan.command, [*given, "--lock", "other.lock", "--json"])
    printed = json.loads(result.stdout)
    assert [one["abi"] for one in printed["plans"]] == ["linux-x86_64"]
    assert printed["error"]["exit_code"] == 2
    assert "new aten::tanh" in printed["error"]["message"]


def test_another_compiler_is_refused_before_a_build(tools):
    given = ("a.txt", "--abi", "linux-x86_64")
    run(lock, *given)
    tools["cxx"] = make_tool("clang++", "99")
    with pytest.raises(ToolchainError, match=r"C\+\+ compiler is '99', and '14\.0\.6' in the lock"):
        run(build, *given, "--locked")
    assert not Path("out").exists()


def test_a_path_of_the_lock_that_is_too_long_is_refused_before_the_plans(tools):
    path = "/".join(["x" * 250] * 16)
    done = CliRunner().invoke(lock.command, ["model.ptl", "-o", path])
    assert isinstance(done.exception, ConfigurationError)
    assert "more than 3,500 bytes" in done.exception.message


def test_what_makes_no_sense_is_refused():
    assert "use builder plan --locked" in run(build, "a.txt", "--dry-run", "--locked").stderr
    assert run(lock, "a.txt", "--export").exit_code == 2
    with pytest.raises(ConfigurationError, match=r"the lock builder\.lock cannot be read"):
        run(build, "a.txt", "--locked")
    with pytest.raises(ConfigurationError, match=r"a\.txt is not a lock"):
        run(build, "a.txt", "--lock", "a.txt")
    with pytest.raises(ConfigurationError, match=r"a\.txt is not a lock of builder, and would"):
        run(lock, "b.txt", "-o", "a.txt")
