"""`builder build` with a file, and `builder init`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner
from samples import building, make_toolchain

from builder import api
from builder.api import BuildReport, link
from builder.cli import build, configured, init, lock, plan
from builder.errors import ConfigurationError, Hint, ModelError, Use, VerificationError

from .test_build import SIZE, make_runtime

FILE = """\
inputs: [m.ptl]
targets: {abis: [linux-x86_64]}
jobs: 3
tools: {launcher: none}
"""
PRODUCTS = """\
targets: {abis: [linux-x86_64]}
products:
  one: {inputs: [m.ptl]}
  two: {inputs: [n.ptl], budgets: {max_size: [1KB]}}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("m.ptl", "n.ptl"):
        Path(name).write_text("model")
    return tmp_path


@pytest.fixture
def asked(monkeypatch):
    seen = []

    def build_one(request, targets, output, options, *, progress, locked):
        seen.append((request, list(map(str, targets)), output))
        return BuildReport(runtimes=tuple(map(make_runtime, targets)))

    monkeypatch.setattr(api, "build_products", building(build_one))
    return seen


def run(*arguments, module=build):
    return CliRunner().invoke(module.command, list(map(str, arguments)), catch_exceptions=False)


def test_the_file_in_this_folder_is_read_without_models(folder, asked):
    Path("builder.yaml").write_text(FILE)
    assert run().exit_code == 0
    ((request, targets, output),) = asked
    assert (request.inputs, request.jobs, targets) == ((Path("m.ptl"),), 3, ["linux-x86_64"])
    assert (request.tools.launcher, output) == ("none", Path("out"))


def test_a_model_on_the_command_line_leaves_the_file_aside(folder, asked):
    Path("builder.yaml").write_text(FILE)
    run("n.ptl", "--abi", "linux-aarch64")
    assert (asked[0][0].inputs, asked[0][0].jobs) == ((Path("n.ptl"),), None)


def test_options_count_more_than_variables_and_these_more_than_the_file(folder, asked, monkeypatch):
    Path("other.yaml").write_text(FILE)
    named = ("--config", "other.yaml")
    run(*named, "--abi", "linux-aarch64", "-j", "5", "-o", "elsewhere", "n.ptl")
    request, targets, output = asked.pop()
    assert (request.jobs, targets, output) == (5, ["linux-aarch64"], Path("elsewhere"))
    assert request.inputs == (Path("n.ptl"),)
    monkeypatch.setenv("BUILDER_LAUNCHER", "ccache")
    run(*named)
    run(*named, "--launcher", "sccache")
    assert [request.tools.launcher for request, *_ in asked] == ["ccache", "sccache"]


def test_without_models_and_file(folder, asked):
    assert "Missing argument 'MODEL...'" in run().stderr
    assert "which builder init writes" in run().stderr
    with pytest.raises(
        ConfigurationError, match=r"none\.yaml cannot be read: No such file"
    ) as caught:
        run("--config", "none.yaml")
    assert "init()" in str(caught.value.hint)
    for option in (("--product", "one"), ("--export",)):
        assert "need a file" in run("m.ptl", *option).stderr
    assert asked == []


def test_plan_reads_the_file_too(folder, monkeypatch):
    assert "which builder init writes" in run(module=plan).stderr
    monkeypatch.setattr(link, "locate_toolchain", lambda target, **_: make_toolchain(target=target))
    for name in ("one", "two"):
        Path(f"{name}.txt").write_text("aten::relu\n")
    Path("app").mkdir()
    text = PRODUCTS.replace("m.ptl", "../one.txt").replace("n.ptl", "../two.txt")
    Path("app/builder.yaml").write_text(text)
    printed = json.loads(run("--config", "app/builder.yaml", "--json", module=plan).stdout)
    assert [one["product"] for one in printed["plans"]] == ["one", "two"]
    given = ("--config", "app/builder.yaml", "--product", "two", "--profile", "debug")
    (one,) = json.loads(run(*given, "--json", module=plan).stdout)["plans"]
    assert (one["product"], one["profile"]) == ("two", "debug")
    assert "product           two" in run(*given, module=plan).stdout
    assert "No such option" in run("--export", module=plan).stderr


def test_products_are_built_one_after_the_other(folder, asked):
    Path("builder.yaml").write_text(PRODUCTS)
    with pytest.raises(VerificationError, match=r"1KB|1,000"):
        run()
    assert [(request.inputs, output) for request, _, output in asked] == [
        ((Path("m.ptl"),), Path("out/one")),
        ((Path("n.ptl"),), Path("out/two")),
    ]


def test_products_as_json_and_by_name(folder, asked):
    Path("builder.yaml").write_text(PRODUCTS)
    value = json.loads(run("--product", "one", "--json").stdout)
    assert value["products"]["one"]["runtimes"][0]["size"] == SIZE.file
    assert len(asked) == 1
    with pytest.raises(ConfigurationError, match="did you mean 'one'"):
        run("--product", "on")


def test_one_folder_is_not_enough_for_two_products(folder, asked):
    Path("builder.yaml").write_text(PRODUCTS)
    assert "each product needs its own" in run("-o", "out").stderr
    assert run("-o", "out", "--product", "one").exit_code == 0


def test_options_for_none_of_the_products_are_refused(folder, asked):
    Path("builder.yaml").write_text(PRODUCTS)
    with pytest.raises(ConfigurationError, match="--group has no effect"):
        run("--group", "com.app")
    with pytest.raises(ConfigurationError, match="--max-size x86=2MB: there is no ABI x86"):
        run("--max-size", "x86=2MB")
    assert asked == []


def test_a_budget_for_another_abi_names_the_product(folder, asked):
    text = PRODUCTS.replace("two: {", "two: {targets: {abis: [x86]}, ")
    Path("builder.yaml").write_text(text)
    said = "^product 'two': --max-size linux-x86_64=2MB: there is no ABI linux-x86_64 here"
    with pytest.raises(ConfigurationError, match=said):
        run("--max-size", "linux-x86_64=2MB")
    assert asked == []


def test_an_export_that_fails_is_named_among_several(folder, asked, monkeypatch):
    def export(request, *, progress):
        raise ModelError("there is no such module", hint="name another")

    monkeypatch.setattr(configured.api, "export", export, raising=False)
    monkeypatch.setattr(configured.api, "refuse_model", lambda *_: None, raising=False)
    for exports, said in (
        ("[{source: a, output: e.ptl}]", "there is no such module"),
        (
            "[{source: a, output: e.ptl}, {source: a, output: f.ptl}]",
            f"export of {folder.resolve() / 'e.ptl'}: there is no such module",
        ),
    ):
        Path("builder.yaml").write_text(f"{FILE}exports: {exports}\n")
        with pytest.raises(ModelError) as caught:
            run("--export", "--config", folder.resolve() / "builder.yaml")
        assert (caught.value.message, caught.value.hint) == (said, "name another")
    assert asked == []


def test_exports_run_only_when_they_are_asked_for(folder, asked, monkeypatch):
    made = []

    def export(request, *, progress):
        made.append((request.source, request.output, request.folder))
        request.output.write_text("model")
        remarks = (Hint("the trace is wrong; ", Use("capture", "script"), " keeps the code"),)
        result = type("Result", (), {"remarks": remarks, "failure": None, "size": 5})
        result.path = request.output
        return result

    monkeypatch.setattr(configured.api, "export", export, raising=False)
    monkeypatch.setattr(configured.api, "refuse_model", lambda *_: None, raising=False)
    text = "inputs: [e.ptl]\ntargets: {abis: [linux-x86_64]}\n"
    Path("builder.yaml").write_text(text + "exports: [{source: mobilenet_v2, output: e.ptl}]\n")
    with pytest.raises(ConfigurationError, match="an export of this file makes it"):
        run()
    assert "--dry-run runs nothing" in run("--export", "--dry-run").stderr
    assert made == []
    done = run("--export")
    assert done.exit_code == 0
    said = "note: the trace is wrong; --via script of builder export keeps the code\n"
    assert said in done.stderr
    assert made == [("mobilenet_v2", Path("e.ptl"), folder.resolve())]
    assert asked[0][0].inputs == (Path("e.ptl"),)


def test_exports_that_are_not_in_the_file(folder, asked):
    Path("builder.yaml").write_text(FILE)
    assert "the file has no exports" in run("--export").stderr
    assert asked == []


def test_init_writes_a_file_that_build_takes_and_no_second_one(folder, asked):
    source = Path(__file__).parents[2] / "data/models/conv.ptl"
    for name in ("m.ptl", "n.ptl"):
        Path(name).write_bytes(source.read_bytes())
    said = run("--schema", "s.json", module=init)
    assert "next: builder build --dry-run" in said.output
    assert json.loads(Path("s.json").read_text())["title"] == "builder.yaml"
    assert run().exit_code == 0
    assert asked[0][0].inputs == (Path("m.ptl"), Path("n.ptl"))
    before = Path("builder.yaml").read_text()
    with pytest.raises(ConfigurationError, match=r"builder\.yaml is there already"):
        run(module=init)
    with pytest.raises(ConfigurationError, match=r"s\.json is there already"):
        run("-o", "new.yaml", "--schema", "s.json", module=init)
    assert Path("builder.yaml").read_text() == before
    assert not Path("new.yaml").exists()


def test_init_does_not_write_two_files_to_one_place(folder):
    Path("sub").mkdir()
    with pytest.raises(ConfigurationError, match=r"cannot both be x\.yaml"):
        run("m.ptl", "-o", "x.yaml", "--schema", "sub/../x.yaml", module=init)
    Path("link.yaml").symlink_to("nowhere")
    for given in (("-o", "link.yaml"), ("-o", "y.yaml", "--schema", "link.yaml")):
        with pytest.raises(ConfigurationError, match=r"link\.yaml is there already"):
            run("m.ptl", *given, module=init)
    assert sorted(path.name for path in folder.iterdir()) == ["link.yaml", "m.ptl", "n.ptl", "sub"]


def test_init_makes_folders_and_says_where_it_cannot(folder):
    Path("file").touch()
    Path("link").symlink_to("gone")
    for given in (("-o", "link/b.yaml", "--schema", "s.json"), ("--schema", "file/s.json")):
        with pytest.raises(ConfigurationError, match=r"cannot write (link/b.yaml|file/s.json): "):
            run("m.ptl", *given, module=init)
    assert sorted(path.name for path in folder.iterdir()) == ["file", "link", "m.ptl", "n.ptl"]
    Path("m.ptl").write_bytes((Path(__file__).parents[2] / "data/models/conv.ptl").read_bytes())
    run("m.ptl", "-o", "new/folder/b.yaml", module=init)
    assert Path("new/folder/b.yaml").is_file()


def test_init_lists_no_folders_pipes_and_links_that_lead_nowhere(folder):
    Path("n.ptl").unlink()
    Path("d.ptl").mkdir()
    os.mkfifo("p.ptl")
    Path("l.ptl").symlink_to("nowhere")
    Path("m.ptl").write_bytes((Path(__file__).parents[2] / "data/models/conv.ptl").read_bytes())
    run(module=init)
    text = Path("builder.yaml").read_text()
    assert "m.ptl" in text
    assert not any(f'"{name}.ptl"' in text for name in "dpl")


def test_init_keeps_a_file_that_appears_meanwhile(folder, monkeypatch):
    def write_meanwhile(*_arguments):
        Path("builder.yaml").write_text("mine")
        return "inputs: [m.ptl]\n"

    monkeypatch.setattr(init.api, "render_configuration", write_meanwhile)
    with pytest.raises(ConfigurationError, match="is there already"):
        run("m.ptl", module=init)
    assert Path("builder.yaml").read_text() == "mine"


def test_an_error_in_one_of_several_products_names_the_product(folder, monkeypatch):
    monkeypatch.setattr(link, "locate_toolchain", lambda target, **_: make_toolchain(target=target))
    Path("one.txt").write_text("aten::relu\n")
    Path("two.txt").write_text("mine::custom\n")
    Path("builder.yaml").write_text(
        PRODUCTS.replace("m.ptl", "one.txt").replace("n.ptl", "two.txt")
    )
    said = r"operators that (?s:.)*mine::custom .* does not exist"
    wanted = [(plan, ()), (build, ("--dry-run",)), (build, ()), (lock, ())]
    for module, given in wanted:
        with pytest.raises(
            ModelError,
            match=rf"^product 'two': {said}",
        ):
            run(*given, module=module)
        # Alone, it is clear which one it is.
        with pytest.raises(ModelError, match=rf"^{said}"):
            run(*given, "--product", "two", module=module)


def test_a_budget_that_is_exceeded_names_the_product(folder, asked):
    Path("builder.yaml").write_text(PRODUCTS)
    with pytest.raises(VerificationError, match=r"^product 'two': "):
        run()
