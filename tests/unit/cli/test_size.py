from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from samples import make_manifest, make_reference_graph

from builder.cli.hints import show_hint
from builder.cli.size import command
from builder.core.artifacts import OperatorPrice, SizeReport
from builder.errors import ConfigurationError, ModelError, VerificationError
from builder.packaging.runtime_folder import REFERENCES, SIZE_REPORT, render_size_report
from builder.size.reference_graph import render_references
from tests.fuzz.elves import make_elf

NOW = SizeReport(
    file=1500,
    compressed=700,
    sections={".text": 1000, ".rodata": 500},
    parts={"ATen kernels": 1200, "c10": 300},
    units={"a.cpp": 700, "b.cpp": 500, "c.cpp": 300},
    operators={
        "aten::mul": OperatorPrice(exclusive=2005, inclusive=42_005, models=("a.ptl", "b.ptl")),
        "aten::add.Tensor": OperatorPrice(exclusive=1003, inclusive=41_103, models=("a.ptl",)),
    },
)
BEFORE = SizeReport(
    file=2500,
    compressed=900,
    sections={".text": 2500},
    parts={"ATen kernels": 1000, "XNNPACK": 1500},
    units={"a.cpp": 1000, "gone.cpp": 1500},
    operators={
        "aten::mul": OperatorPrice(exclusive=2000, inclusive=42_000, models=()),
        "aten::gone": OperatorPrice(exclusive=9000, inclusive=9000, models=()),
    },
)


def make_runtime(out: Path, abi: str) -> Path:
    (out / abi / "bin").mkdir(parents=True)
    (out / abi / "bin" / "torchlite-run").touch()
    manifest = make_manifest(abi=abi.rpartition("/")[2])
    (out / abi / "manifest.json").write_text(manifest.to_text())
    return out / abi


@pytest.fixture
def runtime(tmp_path):
    def make(name: str, report: SizeReport):
        root = make_runtime(tmp_path, name)
        (root / SIZE_REPORT).parent.mkdir(parents=True)
        (root / SIZE_REPORT).write_text(render_size_report(report))
        (root / REFERENCES).write_bytes(render_references(make_reference_graph()))
        return root

    return make


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [*map(str, arguments)], catch_exceptions=False)


def plain(report: SizeReport) -> object:
    return json.loads(json.dumps(asdict(report)))


def rows(output: str) -> dict[str, list[str]]:
    """Returns first column -> the others; columns stand two blanks apart."""
    split = (re.split(r" {2,}", line) for line in output.splitlines() if line)
    return {first: rest for first, *rest in split}


def test_tables_are_sorted_by_size(runtime):
    output = run(runtime("my out", NOW)).output
    assert rows(output)["file"] == ["1,500"]
    assert rows(output)["compressed"] == ["700"]
    assert output.index("ATen kernels") < output.index("c10")
    assert output.index(".text") < output.index(".rodata")
    assert "a.cpp" not in output


def test_units_are_shown_on_request_and_only_the_largest(runtime):
    output = run(runtime("out", NOW), "--units", "2").output
    assert rows(output)["a.cpp"] == ["700"]
    assert "b.cpp" in output
    assert "c.cpp" not in output


def test_differences(runtime):
    shown = rows(run(runtime("a", NOW), "--against", runtime("b", BEFORE), "--units", 9).output)
    assert shown["file"] == ["1,500", "2,500", "-1,000"]
    assert shown["ATen kernels"] == ["1,200", "1,000", "+200"]
    assert shown["c10"] == ["300", "0", "+300"]
    assert shown["XNNPACK"] == ["0", "1,500", "-1,500"]
    assert shown["a.cpp"] == ["700", "1,000", "-300"]


def test_json_is_the_whole_report(runtime):
    now, before = runtime("a", NOW), runtime("b", BEFORE)
    assert json.loads(run(now, "--json").output) == {
        "abi": "a",
        "runtime": plain(NOW),
        "schema": 1,
    }
    both = json.loads(run(now, "--against", before, "--json").output)
    assert both == {"abi": "a", "runtime": plain(NOW), "against": plain(BEFORE), "schema": 1}


def test_operators_are_sorted_by_what_would_go(runtime):
    shown = rows(run(runtime("out", NOW)).output)
    assert shown["operator"] == ["exclusive", "inclusive", "wanted by"]
    assert shown["aten::mul"] == ["2,005", "42,005", "a.ptl, b.ptl"]
    assert list(shown)[-2:] == ["aten::mul", "aten::add.Tensor"]


def test_only_the_dearest_operators_unless_all_are_asked_for(runtime):
    many = {
        f"aten::op{n:02}": OperatorPrice(exclusive=n, inclusive=n, models=()) for n in range(12)
    }
    root = runtime("out", replace(NOW, operators=many))
    output = run(root).output
    assert "aten::op02" in output
    assert "aten::op01" not in output
    assert output.endswith("2 more operators: --operators shows all\n")
    assert "aten::op00" in run(root, "--operators").output


def test_operators_against(runtime):
    shown = rows(run(runtime("a", NOW), "--against", runtime("b", BEFORE)).output)
    assert shown["aten::mul"] == ["2,005", "2,000", "+5"]
    assert shown["aten::add.Tensor"] == ["1,003", "0", "+1,003"]
    assert shown["aten::gone"] == ["0", "9,000", "-9,000"]


@pytest.mark.parametrize("dash", ["", "-"])
def test_what_if(runtime, dash):
    root = runtime("out", replace(NOW, file=50_000))
    asked = ("--what-if", f"{dash}aten::add", "--what-if", f"{dash}aten::mul")
    assert rows(run(root, *asked).output) == {
        "library": ["bytes"],
        "-" * 28: ["-" * 7],
        "file": ["50,000"],
        "without aten::add, aten::mul": ["6,992"],
        "difference": ["-43,008"],
    }
    answer = json.loads(run(root, *asked, "--json").output)["what_if"]
    assert answer == {"bytes": 43_008, "operators": ["aten::add", "aten::mul"]}


def test_why_a_symbol_is_there(runtime):
    root = runtime("out", NOW)
    shown = run(root, "--why", "common").output.splitlines()
    assert [line.split("  ")[0] for line in shown if line[:1].strip()] == [
        "why",
        "-" * 33,
        "symbol",
        "unit",
        "bytes",
        "bytes with all that only it keeps",
        "wanted by",
        "shortest path",
        "on every path",
        "referred to by",
    ]
    (why,) = json.loads(run(root, "--why", "common", "--json").output)["why"]
    assert (why["text"], why["symbols"], why["largest"][0]["users"]) == (
        *("common", 1),
        ["other", "kernel<T>&"],
    )


def test_what_would_go_without_symbols(runtime):
    root = runtime("out", NOW)
    asked = ("--cut", "^common$", "--dominators", "3")
    shown = rows(run(root, *asked).output)
    assert shown["bytes that would go"] == ["40,000"]
    answer = json.loads(run(root, *asked, "--json").output)
    assert [(cut["pattern"], cut["bytes"]) for cut in answer["cut"]] == [("^common$", 40_000)]


def test_questions_about_symbols_stand_alone(runtime):
    asked = [str(runtime("out", NOW)), "--why", "core", "--units", "3"]
    result = CliRunner().invoke(command, asked)
    assert (result.exit_code, "cannot be combined" in result.output) == (2, True)


LINKED = Path(__file__).parents[2] / "data/linked/lib.so"


def test_any_library_that_keeps_its_relocations_answers():
    answer = json.loads(
        run(LINKED, "--why", "inner", "--cut", "table", "--dominators", "2", "--json").output
    )
    (why,) = answer["why"][0]["largest"]
    assert (why["path"], why["keepers"], why["unit"]) == (
        ["entry", "outer", "inner"],
        ["outer"],
        ".text",
    )
    assert (answer["cut"][0]["symbols"], answer["cut"][0]["bytes"]) == (2, 335)
    assert [one["symbol"] for one in answer["dominators"]] == ["outer", "inner"]


def test_a_library_alone_has_no_sizes():
    result = CliRunner().invoke(command, [str(LINKED)])
    assert (result.exit_code, "is a library alone" in result.output) == (2, True)


def test_a_library_without_relocations_has_no_answer(tmp_path):
    library = tmp_path / "lib.so"
    library.write_bytes(make_elf())
    with pytest.raises(ConfigurationError, match="does not say what refers to what"):
        run(library, "--why", "core")
    (tmp_path / "torn.so").write_bytes(make_elf()[:100])
    with pytest.raises(ConfigurationError, match="the library is damaged"):
        run(tmp_path / "torn.so", "--why", "core")


def test_what_if_of_another_operator(runtime):
    with pytest.raises(ModelError, match="no operator aten::einsum"):
        run(runtime("out", NOW), "--what-if", "aten::einsum")


def test_without_a_graph_there_is_no_answer(runtime):
    root = runtime("out", NOW)
    (root / REFERENCES).write_bytes(b"torn")
    with pytest.raises(ConfigurationError, match=r"references\.json\.gz cannot be read"):
        run(root, "--what-if", "aten::mul")
    assert run(root).exit_code == 0


@pytest.mark.parametrize(
    "given",
    [
        ("--max-size", "1500"),
        ("--max-size", "1KB", "--max-size", "a=1.5KB"),
        ("--max-size", "2KB", "--max-compressed", "0.7KB"),
    ],
)
def test_within_its_budget(runtime, given):
    assert run(runtime("a", NOW), *given).exit_code == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--max-size", "1.4KB"), "1,500 bytes are 100 more than the limit 1.4KB allows"),
        (("--max-size", "2KB", "--max-size", "a=1499"), "1 more than the limit a=1499"),
        (("--max-compressed", "0"), "700 bytes are 700 more than the compressed limit 0 allows"),
    ],
)
def test_above_its_budget(runtime, given, said):
    with pytest.raises(VerificationError, match=re.escape(said)) as caught:
        run(runtime("a", NOW), *given)
    assert caught.value.exit_code == 8
    assert re.search(r"2,005  aten::mul\n +1,003  aten::add\.Tensor", caught.value.message)
    assert show_hint(caught.value.hint, "size").endswith("--what-if aten::mul")


@pytest.mark.parametrize("given", [("--max-size", "b=1"), ("--max-compressed", "arm64=2MB")])
def test_a_budget_of_an_abi_that_is_not_there_is_no_budget(runtime, given):
    with pytest.raises(ConfigurationError, match="only a") as caught:
        run(runtime("a", NOW), "--max-size", "2KB", *given)
    assert given[1] in caught.value.message
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("other", [("--units", "3"), ("--operators",), ("--against", "b")])
def test_what_if_shows_nothing_else(runtime, other):
    said = run(runtime("a", NOW), "--what-if", "aten::mul", *other)
    assert said.exit_code == 2
    assert "only with --json" in said.output


def test_a_file_that_is_no_page_is_not_replaced(runtime, tmp_path):
    page = tmp_path / "thesis.html"
    page.write_text("<!doctype html>\n<p>mine</p>")
    with pytest.raises(ConfigurationError, match="is not a page that builder wrote"):
        run(runtime("a", NOW), "--html", page)
    assert "mine" in page.read_text()


def test_a_page_is_replaced_by_a_newer_one(runtime, tmp_path):
    page, root = tmp_path / "size.html", runtime("a", NOW)
    run(root, "--html", page)
    assert run(root, "--html", page).exit_code == 0


def test_a_budget_that_is_no_size(runtime):
    said = run(runtime("a", NOW), "--max-size", "2.5M")
    assert said.exit_code == 2
    assert "'2.5M' is not a size" in said.output


def test_the_page_is_written_where_it_is_asked_for(runtime, tmp_path):
    page = tmp_path / "my size.html"
    assert run(runtime("a", NOW), "--html", page).exit_code == 0
    assert page.read_text().startswith("<!doctype html>")


def test_the_folder_above_is_enough_where_one_runtime_is_in_it(runtime, tmp_path):
    runtime("x", NOW)
    assert json.loads(run(tmp_path, "--json").output)["runtime"]["file"] == 1500
    runtime("y", BEFORE)
    with pytest.raises(ConfigurationError, match="several runtimes"):
        run(tmp_path)


@pytest.mark.parametrize("name", ["", "missing", "file.txt"])
def test_a_folder_without_a_runtime(tmp_path, name):
    (tmp_path / "file.txt").touch()
    with pytest.raises(ConfigurationError, match="no built runtime at") as caught:
        run(tmp_path / name)
    hint = show_hint(caught.value.hint, "size")
    assert "builder build" in hint
    # A file can be no output.
    assert (" -o " in hint) == (name != "file.txt")
    assert caught.value.message.endswith("it is not a folder") == (name == "file.txt")


@pytest.mark.parametrize("text", ["", "{}", '{"file": 1}', "[1]"])
def test_a_damaged_report_is_named(runtime, text):
    root = runtime("out", NOW)
    (root / SIZE_REPORT).write_text(text)
    with pytest.raises(ConfigurationError, match=r"size\.json is not a valid size report"):
        run(root)


@pytest.mark.parametrize("units", ["0", "-1", "x"])
def test_a_wrong_count_is_refused(runtime, units):
    assert run(runtime("out", NOW), "--units", units).exit_code == 2


GROWN = replace(NOW, file=1030, compressed=510)
SMALL = replace(NOW, file=1000, compressed=500)


def keep(path: Path, root: Path, name: str) -> Path:
    """Returns what somebody keeps of a release, in one of the forms that --against takes."""
    kept = {
        "folder": root,
        "manifest": root / "manifest.json",
        "report": root / SIZE_REPORT,
        "printed": path / "release.json",
        "of any name": path / "before",
    }
    for one in (kept["printed"], kept["of any name"]):
        one.write_text(run(root, "--json").stdout)
    return kept[name]


@pytest.mark.parametrize("name", ["folder", "manifest", "report", "printed", "of any name"])
def test_growth_against_whatever_was_kept_of_a_release(runtime, tmp_path, name):
    kept = keep(tmp_path, runtime("a/linux-x86_64", SMALL), name)
    now = runtime("b/linux-x86_64", GROWN)
    assert rows(run(now, "--against", kept).output)["file"] == ["1,030", "1,000", "+30"]
    for allowed in ("3%", "30", "0.1KB", "10%"):
        assert run(now, "--against", kept, "--max-growth", allowed).exit_code == 0
    for too_little in ("2.9%", "29", "0%", "1.9%"):
        with pytest.raises(VerificationError, match="the size grew from 1,000 to 1,030 bytes"):
            run(now, "--against", kept, "--max-growth", too_little)
    with pytest.raises(VerificationError, match="the compressed size grew from 500 to 510") as said:
        run(now, "--against", kept, "--max-growth", "9")
    assert "--operators" in show_hint(said.value.hint, "size")


def test_what_is_no_report_is_called_so(runtime, tmp_path):
    now = runtime("b/linux-x86_64", GROWN)
    for content in (b"PK\x03\x04\xff", b"", b"# builder.yaml"):
        (tmp_path / "before.aar").write_bytes(content)
        with pytest.raises(ConfigurationError, match="is not a size report of a runtime"):
            run(now, "--against", tmp_path / "before.aar")


def make_release_report(path: Path, *abis: str) -> Path:
    libraries = [
        {"product": str(n), "abi": abi, "size": plain(SMALL), "facts": {}}
        for n, abi in enumerate(abis)
    ]
    path.write_text(json.dumps({"schema": 1, "libraries": libraries}))
    return path


def test_the_report_of_a_release_is_compared_by_abi(runtime, tmp_path):
    now = runtime("b/linux-x86_64", GROWN)
    kept = make_release_report(tmp_path / "report.json", "arm64-v8a", "linux-x86_64")
    assert rows(run(now, "--against", kept).output)["file"] == ["1,030", "1,000", "+30"]
    for abis, said in (
        (("arm64-v8a",), "no library for linux-x86_64"),
        (("linux-x86_64",) * 2, "several products with linux-x86_64"),
    ):
        make_release_report(kept, *abis)
        with pytest.raises(ConfigurationError, match=said):
            run(now, "--against", kept)


def test_tables_as_markdown(runtime):
    now, before = runtime("a/linux-x86_64", NOW), runtime("b/linux-x86_64", BEFORE)
    output = run(now, "--against", before, "--markdown").output
    assert "| library | bytes | against | difference |\n|---|--:|--:|--:|\n" in output
    assert "| file | 1,500 | 2,500 | -1,000 |" in output
    assert "| aten::gone | 0 | 9,000 | -9,000 |" in output
    assert "library  " in run(now).output
    refused = run(now, "--markdown", "--json")
    assert refused.exit_code == 2


def test_what_shrinks_may_shrink(runtime, tmp_path):
    before, now = runtime("a/linux-x86_64", GROWN), runtime("b/linux-x86_64", SMALL)
    assert run(now, "--against", before, "--max-growth", "0").exit_code == 0


@pytest.mark.parametrize("bytes_", [-5, 10**40])
def test_sizes_that_no_library_has(runtime, tmp_path, bytes_):
    before = runtime("a/linux-x86_64", SMALL)
    text = json.loads(run(before, "--json").output)
    text["runtime"]["file"] = bytes_
    (tmp_path / "kept.json").write_text(json.dumps(text))
    with pytest.raises(ConfigurationError, match=r"kept\.json is not a size report"):
        run(runtime("b/linux-x86_64", GROWN), "--against", tmp_path / "kept.json")


def test_growth_of_another_abi_cannot_be_measured(runtime, tmp_path):
    before = runtime("a/arm64-v8a", SMALL)
    now = runtime("b/linux-x86_64", GROWN)
    with pytest.raises(ConfigurationError, match=r"linux-x86_64.* arm64-v8a"):
        run(now, "--against", before, "--max-growth", "1%")


def test_a_report_may_have_a_mark_of_utf_8(runtime, tmp_path):
    kept = tmp_path / "kept.json"
    before = runtime("a/linux-x86_64", SMALL)
    kept.write_text(run(before, "--json").output, encoding="utf-8-sig")
    assert run(runtime("b/linux-x86_64", SMALL), "--against", kept).exit_code == 0


@pytest.mark.parametrize("content", [b"PK\x03\x04", b"\xff" * 99, b'{"runtime": "\xff"}', b""])
def test_a_file_of_another_kind_is_no_report(runtime, tmp_path, content):
    (tmp_path / "other.aar").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"of a runtime: it is no JSON$"):
        run(runtime("linux-x86_64", NOW), "--against", tmp_path / "other.aar")


@pytest.mark.parametrize("text", ["", "[]", '{"runtime": 1}', '{"aar": {}}', "no JSON"])
def test_a_file_that_is_no_report(runtime, tmp_path, text):
    (tmp_path / "kept.json").write_text(text)
    with pytest.raises(ConfigurationError, match=r"kept\.json is not a size report") as said:
        run(runtime("linux-x86_64", NOW), "--against", tmp_path / "kept.json")
    assert "--json" in said.value.hint


@pytest.mark.parametrize("text", ["2", "%", "-1%", "2%%", "2 percent", "1e3%", "big"])
def test_growth_is_a_share_or_a_size(runtime, text):
    path = runtime("linux-x86_64", NOW)
    result = run(path, "--against", path, "--max-growth", text)
    assert result.exit_code == (0 if text == "2" else 2)


def test_growth_needs_something_to_compare_with(runtime):
    assert "without --against" in run(runtime("linux-x86_64", NOW), "--max-growth", "2%").stderr
