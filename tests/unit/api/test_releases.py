"""Releases: their gates in order, what is written and when, and that a second run does nothing."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from samples import building, make_list, make_plan

from builder.api import comments, release_gates, releases
from builder.api.build_report import BuildReport
from builder.api.cache_keys import list_cache_keys
from builder.api.comments import post_comment, render_release
from builder.api.configuration import read_configuration
from builder.api.release_report import Gate, Outcome, parse_report
from builder.api.releases import ReleaseRequest, release
from builder.core.artifacts import (
    OperatorPrice,
    OutputDifference,
    Package,
    SizeReport,
    VerifyReport,
)
from builder.core.budgets import Growth
from builder.core.model_facts import ModelOrigin
from builder.errors import (
    ConfigurationError,
    ModelError,
    NativeBuildError,
    RulesError,
    SizeError,
    SourceError,
    VerificationError,
)
from builder.models.read import read_model
from builder.platforms.results import RuntimeResult
from builder.system.machine import host_abi
from builder.system.progress import Silent
from builder.verify.coverage import Coverage, Obstacle, ObstacleKind
from tests.json_schemas import make_validator

ABI = host_abi()
MODELS = Path(__file__).parents[2] / "data/models"
FILE = """\
inputs: [m.ptl]
verify: {inputs: ["float32[2]"]}
"""


def price(bytes_: int, *models: str) -> OperatorPrice:
    return OperatorPrice(exclusive=bytes_, inclusive=bytes_ + 10, models=models)


SMALL = SizeReport(
    file=1_000_000,
    compressed=500_000,
    sections={},
    parts={"ATen core": 600_000},
    units={},
    operators={"aten::relu": price(1000, "m.ptl")},
)
LARGE = replace(
    SMALL,
    file=1_100_000,
    compressed=540_000,
    parts={"ATen core": 650_000},
    operators={"aten::relu": price(1000, "m.ptl"), "aten::einsum": price(80_000, "m.ptl")},
)


class Made:
    """Stands in for what builds, runs and checks; the rest is real."""

    def __init__(self) -> None:
        self.size = SMALL
        self.calls: list[str] = []
        self.ok = True
        self.obstacles: tuple[Obstacle, ...] = ()
        self.error: Exception | None = None

    def build(self, request, targets, output, options, *, progress, locked):
        assert locked is None
        self.calls.append(f"build {output.name}")
        if self.error:
            raise self.error
        return BuildReport(runtimes=tuple(self.make(output, one, request) for one in targets))

    def make(self, output, target, request):
        root = output / target.abi
        (root / "lib").mkdir(parents=True, exist_ok=True)
        library = root / "lib/libtorchlite.so"
        library.write_bytes(b"x" * (self.size.file // 1000))
        (root / "sbom.cdx.json").write_text("{}")
        (root / "manifest.json").write_text(json.dumps({"size": self.size.file}))
        models = tuple(
            ModelOrigin(name=path.name, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
            for path in request.inputs
        )
        operators = replace(make_list("aten::relu"), models=models)
        return RuntimeResult(
            plan=make_plan(target=target, operator_list=operators),
            package=Package(
                root=root, library=library, runner=root / "r", manifest=root / "manifest.json"
            ),
            runner=None,
            size=self.size,
            units_linked=2,
            units_known=9,
            units_compiled=0,
            rounds=1,
            seconds=1.0,
            logs=Path("logs"),
        )

    def verify(self, request, *, progress):
        self.calls.append(f"verify {request.model.name}")
        output = OutputDifference(
            index=0,
            spec="float32[2]",
            max_absolute=0.0,
            max_relative=0.5,
            tolerance=1e-4,
            ok=self.ok,
        )
        return VerifyReport(
            model=request.model.name, reference="eager", outputs=(output,), seconds=0.1
        )

    def check(self, model, runtime):
        self.calls.append(f"check {model.name}")
        return Coverage(obstacles=self.obstacles, rebuild="")


@pytest.fixture
def made(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BUILDER_CACHE", str(tmp_path / "cache"))
    Path("m.ptl").write_bytes(b"model")
    Path("builder.yaml").write_text(FILE)
    known = Made()
    monkeypatch.setattr(releases, "build_products", building(known.build))
    monkeypatch.setattr(releases, "list_inputs", lambda _: None)
    monkeypatch.setattr(releases, "refuse_outputs", lambda *_, **__: None)
    monkeypatch.setattr(release_gates, "verify", known.verify)
    monkeypatch.setattr(release_gates, "check", known.check)
    # The model is none, and without signatures it takes what is described.
    monkeypatch.setattr(release_gates, "read_model", lambda _: SimpleNamespace(signatures=()))
    return known


def run(given=None, **changes):
    configuration = read_configuration(Path("builder.yaml"))
    request = ReleaseRequest(configuration=configuration, given=given or {}, **changes)
    report = release(request, progress=Silent())
    make_validator("release").validate(report.to_json())
    return report


def keep_last(given=None):
    """Releases, and keeps the one file that the next release needs."""
    assert run(given).ok
    Path("release/report.json").rename("last.json")


def outcomes(report):
    return {str(one.gate): str(one.outcome) for one in report.gates}


AGAINST = {("release", "against"): Path("last.json")}


def test_a_release_has_packages_sboms_checksums_and_a_report_in_three_forms(made):
    report = run()
    assert report.ok
    assert outcomes(report) == {
        **dict.fromkeys(("build", "verify", "check", "size", "package"), "passed"),
        "export": "skipped",
    }
    files = {p.relative_to("release").as_posix() for p in Path("release").rglob("*") if p.is_file()}
    assert files == {
        *(f"torchlite-{ABI}.tar.gz", f"sbom/{ABI}.cdx.json", "SHA256SUMS", ".builder.json"),
        *("report.json", "report.md", "report.html"),
    }
    for line in Path("release/SHA256SUMS").read_text().splitlines():
        digest, _, name = line.partition("  ")
        assert hashlib.sha256((Path("release") / name).read_bytes()).hexdigest() == digest
    with tarfile.open(f"release/torchlite-{ABI}.tar.gz") as archive:
        assert f"{ABI}/lib/libtorchlite.so" in archive.getnames()
        assert {(one.mtime, one.uid, one.uname) for one in archive} == {(0, 0, "")}
    written = json.loads(Path("release/report.json").read_text())
    make_validator("release").validate(written)
    assert written["libraries"][0]["size"]["file"] == SMALL.file
    assert Path("release/report.md").read_text() == render_release(report)


def test_a_second_release_does_nothing_and_equal_releases_have_equal_bytes(made):
    first = run()
    before = {path: path.read_bytes() for path in Path("release").rglob("*") if path.is_file()}
    made.calls.clear()
    again = run()
    assert made.calls == ["build out"]
    assert again.is_reused
    assert (again.runs, again.files, again.key) == (first.runs, first.files, first.key)
    assert {str(one.outcome) for one in again.gates} == {"passed", "skipped"}
    Path("release/report.md").unlink()
    third = run()
    assert not third.is_reused
    after = {path: path.read_bytes() for path in Path("release").rglob("*") if path.is_file()}
    assert after == before


@pytest.mark.parametrize(
    "change",
    [
        lambda: Path("m.ptl").write_bytes(b"another"),
        lambda: Path("builder.yaml").write_text(FILE + "budgets: {max_size: [2MB]}\n"),
        lambda: Path("builder.yaml").write_text(FILE.replace("[2]", "[3]")),
        lambda: Path("m.ptl.reference.safetensors").write_bytes(b"case"),
    ],
)
def test_whatever_decides_a_release_makes_another_one(made, change):
    first = run()
    change()
    again = run()
    assert not again.is_reused
    assert again.key != first.key


def test_what_grew_and_why(made):
    keep_last()
    made.size = LARGE
    report = run(AGAINST)
    assert report.ok
    text = Path("release/report.md").read_text()
    for line in (
        "## Release: passed",
        "The libraries grew by 100,000 bytes (+10.00%) since the last release.",
        "1 operator more: aten::einsum, which m.ptl needs.",
        "| aten::einsum | 80,000 | +80,000 | m.ptl |",
        "| ATen core | +50,000 |",
        "| 1,100,000 | 1,000,000 | +100,000 | +10.00% | 540,000 | 500,000 | +40,000 |",
    ):
        assert line.replace("_", "\\_") in text
    assert "aten::relu" not in text.partition("### Operators")[2]
    page = Path("release/report.html").read_text()
    assert "aten::einsum, which m.ptl needs" in page


def test_growth_beyond_the_limit_fails_and_publishes_nothing(made):
    keep_last()
    run()
    before = Path("release/report.json").read_bytes()
    made.size = LARGE
    report = run(AGAINST | {("release", "max_growth"): Growth.parse("2%")})
    assert isinstance(report.error, SizeError)
    assert int(report.error.exit_code) == 10
    assert f"{ABI}: the size grew from 1,000,000 to 1,100,000 bytes" in report.error.message
    assert report.folder == Path("release-failed")
    names = {path.name for path in Path("release-failed").iterdir()}
    assert names == {"report.json", "report.md", "report.html", ".builder.json"}
    assert "FAILED" in Path("release-failed/report.md").read_text()
    assert Path("release/report.json").read_bytes() == before
    # A release that passes takes the report of the failure away.
    made.size = SMALL
    assert run().ok
    assert not Path("release-failed").exists()


@pytest.mark.parametrize("ok", [True, False])
def test_a_release_that_passed_is_no_report_of_a_failure(made, ok):
    """It stands where the report of a failure would, and neither outcome may remove it."""
    run({("release", "output"): Path("release-failed")})
    before = {path: path.read_bytes() for path in Path("release-failed").rglob("*.json")}
    made.ok = ok
    with pytest.raises(ConfigurationError, match="release-failed would be replaced") as caught:
        run()
    assert "release.output" in caught.value.hint
    assert before
    assert all(path.read_bytes() == data for path, data in before.items())
    assert not Path("release").exists()


@pytest.mark.parametrize("where", ["release", "release/sizes", "release-failed"])
@pytest.mark.parametrize("kind", ["file", "empty folder"])
def test_what_a_user_puts_into_a_release_stays(made, where, kind):
    run()
    made.ok = False
    run({("release", "max_growth"): None})
    keep_last()
    mine = Path(where) / "mine"
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine") if kind == "file" else mine.mkdir()
    for made.ok in (False, True):
        made.size = LARGE
        with pytest.raises(
            ConfigurationError, match=f"{where.partition('/')[0]} would be replaced"
        ):
            run()
        assert mine.exists()


def test_every_file_beside_the_products_has_a_name_that_no_product_may_have(made):
    Path("builder.yaml").write_text(FILE + "products:\n  one: {}\n")
    assert run().ok
    beside = {path.name for path in Path("release").iterdir()} - {"one"}
    assert len(beside) == 5
    for name in beside:
        Path("builder.yaml").write_text(FILE + f"products:\n  {name}: {{}}\n")
        with pytest.raises(ConfigurationError, match="cannot be the name of a product"):
            read_configuration(Path("builder.yaml"))


def test_a_product_has_a_growth_of_its_own(made):
    products = "products: {a: {size: {max_growth: 20%}}, b: {}}\n"
    Path("builder.yaml").write_text(FILE + products)
    keep_last({("release", "against"): Path("none.json"), ("release", "first"): True})
    assert run(AGAINST).ok
    first = run(AGAINST).key
    Path("builder.yaml").write_text(FILE + products.replace("20%", "30%"))
    assert run(AGAINST).key != first


def test_a_growth_of_a_product_counts_more_than_that_of_the_release(made):
    product = "products: {a: {size: {max_growth: 20%}}}\n"
    Path("builder.yaml").write_text(FILE + "products: {a: {}}\n")
    keep_last()
    made.size = LARGE
    limited = AGAINST | {("release", "max_growth"): Growth.parse("2%")}
    Path("builder.yaml").write_text(
        FILE + product + "release: {against: last.json, max_growth: 2%}\n"
    )
    report = run()
    assert report.ok
    assert "A library may grow by 20% between releases." in Path("release/report.md").read_text()
    assert report.to_json()["libraries"][0]["max_growth"] == "20%"
    # What is given on the command line is for all products.
    assert isinstance(run(limited).error, SizeError)


@pytest.mark.parametrize("place", ["release: {against: last.json, max_growth: 1%}", ""])
def test_a_limit_of_growth_that_holds_for_nothing_fails(made, place):
    """The product has another name, so that the size of nothing could be compared."""
    Path("builder.yaml").write_text(FILE + "products: {old: {}}\n")
    keep_last()
    made.size = LARGE
    own = "" if place else "size: {max_growth: 1%}"
    Path("builder.yaml").write_text(FILE + f"products: {{new: {{{own}}}}}\n{place}\n")
    report = run(AGAINST)
    assert isinstance(report.error, SizeError)
    assert "no growth is limited" in report.error.message
    assert f"with a limit: new {ABI}" in report.error.message
    assert f"in the last release: old {ABI}" in report.error.message
    assert "release.against" in report.error.hint
    assert "leave out max_growth" in report.error.hint
    # What limits nothing compares nothing.
    Path("builder.yaml").write_text(FILE + "products: {new: {}}\n")
    assert run(AGAINST).ok


def test_a_limit_of_growth_that_holds_for_nothing_fails_beside_a_library_without_one(made):
    products = "products: {kept: {}, NAME: {size: {max_growth: 1%}}}\n"
    products += "release: {against: last.json}\n"
    Path("builder.yaml").write_text(FILE + products.replace("NAME", "old"))
    keep_last({("release", "against"): Path("none.json"), ("release", "first"): True})
    Path("builder.yaml").write_text(FILE + products.replace("NAME", "new"))
    made.size = LARGE
    report = run()
    assert isinstance(report.error, SizeError)
    assert f"with a limit: new {ABI}\n" in report.error.message
    assert f"in the last release: kept {ABI}, old {ABI}" in report.error.message
    # One limited library in both is enough; the other one is named.
    both = products.replace("kept: {}", "kept: {size: {max_growth: 20%}}").replace("NAME", "new")
    Path("builder.yaml").write_text(FILE + both)
    assert run().ok


def test_libraries_of_one_release_only_are_named(made):
    Path("builder.yaml").write_text(FILE + "products: {kept: {}, old: {}}\n")
    keep_last()
    Path("builder.yaml").write_text(FILE + "products: {kept: {}, new: {}}\n")
    limited = AGAINST | {("release", "max_growth"): Growth.parse("1%")}
    report = run(limited)
    assert report.ok
    (gate,) = (one for one in report.gates if one.gate is Gate.SIZE)
    assert gate.details[-2:] == (
        f"only in this release: new {ABI}",
        f"only in the last release: old {ABI}",
    )
    made.size = LARGE
    assert isinstance(run(limited).error, SizeError)


def test_a_budget_fails_the_same_gate(made):
    Path("builder.yaml").write_text(FILE + "budgets: {max_size: [900KB]}\n")
    report = run()
    assert isinstance(report.error, SizeError)
    assert "100,000 OVER 900,000" in render_release(report)


def test_all_gates_behind_the_build_are_tried_and_the_first_gives_the_exit_code(made):
    made.ok = False
    made.obstacles = (Obstacle(kind=ObstacleKind.OPERATOR, name="aten::gone"),)
    report = run()
    failed = [one.gate for one in report.gates if one.outcome is Outcome.FAILED]
    assert failed == [Gate.VERIFY, Gate.CHECK]
    assert isinstance(report.error, VerificationError)
    made.ok = True
    report = run()
    assert isinstance(report.error, RulesError)
    assert (int(report.error.exit_code), "aten::gone" in report.error.message) == (9, True)


@pytest.mark.parametrize("kind", [ModelError, SourceError, NativeBuildError])
def test_a_build_that_fails_ends_the_release_with_its_own_code(made, kind):
    made.error = kind("the network is gone")
    report = run()
    assert report.error is made.error
    assert outcomes(report)["build"] == "failed"
    assert {outcomes(report)[gate] for gate in ("verify", "check", "size")} == {"skipped"}
    assert "the network is gone" in Path("release-failed/report.md").read_text()
    assert not Path("release").exists()


def test_errors_of_the_file_come_before_anything_is_built(made):
    wrong = {
        "release: {against: none.json}": r"builder.yaml, line 3: release.against: .*does not exist",
        "release: {max_growth: 2%}": r"builder.yaml, line 3: release.max_growth: without",
        "size: {max_growth: 2%}": r"builder.yaml, line 3: size.max_growth: without",
        "products: {a: {size: {max_growth: 2%}}}": r"line 3: products.a.size.max_growth: without",
        "size: {max_size: 2%}": r"builder.yaml, line 3: size.max_size: unknown key",
        "release: {output: out}": r"line 3: release.output: out is also the output of the build",
        "exports: [{source: x, output: release/y.ptl}]": (
            r"line 3: exports.0.output: release/y.ptl is inside the folder of the release"
        ),
        "exports: [{source: x, output: release-failed/y.ptl}]": (
            "is inside the folder of the release"
        ),
        "release: {outptu: x}": r"builder.yaml, line 3: release.outptu: .*mean 'output'",
        "release: {max_growth: much}": r"builder.yaml, line 3: release.max_growth: ",
        "check: {min_api: old}": r"builder.yaml, line 3: check.min_api: expected a whole number",
        "check: {ndk: none}": r"builder.yaml, line 3: check.ndk: there is no folder",
        "products: {a: {release: {output: x}}}": r"line 3: products.a.release: unknown key",
        "products: {a: {verify: {abis: [arm64-v8a]}}}": r"line 3: products.a.verify.abis.0: ",
    }
    for text, said in wrong.items():
        Path("builder.yaml").write_text(FILE + text + "\n")
        with pytest.raises(ConfigurationError, match=said):
            run()
    assert made.calls == []
    assert not Path("release").exists()


@pytest.mark.parametrize("output", ["out", "out/x", "."])
def test_a_release_in_the_output_of_a_build_is_refused_also_where_the_command_line_names_it(
    made, output
):
    with pytest.raises(
        ConfigurationError, match=r"(is also|is inside|holds) the output of|cannot be replaced"
    ):
        run({("release", "output"): Path(output)})
    assert made.calls == []
    Path("builder.yaml").write_text(FILE + "exports: [{source: x, output: next/y.ptl}]\n")
    with pytest.raises(ConfigurationError, match="is inside the folder of the release"):
        run({("release", "output"): Path("next")})


def test_a_link_that_leads_nowhere_is_no_first_release(made):
    Path("last").symlink_to("gone")
    Path("last.json").symlink_to("gone.json")
    for path in ("last", "last/report.json", "last.json"):
        with pytest.raises(ConfigurationError, match="is a link to gone") as caught:
            run({("release", "first"): True, ("release", "against"): Path(path)})
        assert "first" not in caught.value.hint
    Path("gone").mkdir()  # An empty folder is what a cache gives that has nothing yet.
    assert run({("release", "first"): True, ("release", "against"): Path("last")}).ok
    Path("loop").symlink_to("loop")
    with pytest.raises(
        ConfigurationError, match="loop is a link to loop, which cannot be followed"
    ):
        run({("release", "against"): Path("loop")})


def test_a_folder_without_a_report_is_no_first_release(made):
    Path("last").mkdir()
    first = {("release", "first"): True, ("release", "against"): Path("last")}
    assert run(first).ok
    with pytest.raises(ConfigurationError, match="the folder last has no report") as caught:
        run({("release", "against"): Path("last")})
    assert "first" in caught.value.hint
    Path("last/notes.txt").write_text("kept")
    with pytest.raises(ConfigurationError, match="the folder last has no report"):
        run(first)


@pytest.mark.parametrize(
    ("verify", "said"),
    [
        ("", r"builder\.yaml: verify\.inputs: m\.ptl has no reference case beside it"),
        (
            'verify: {inputs: ["float32[1,3,8,8]", "float32[2]"]}',
            r"builder\.yaml, line 2: verify\.inputs: m\.ptl: forward takes 1 input",
        ),
    ],
)
def test_inputs_that_do_not_fit_are_refused_before_a_build(made, monkeypatch, verify, said):
    monkeypatch.setattr(release_gates, "read_model", read_model)
    shutil.copy(MODELS / "conv.ptl", "m.ptl")
    Path("builder.yaml").write_text(f"inputs: [m.ptl]\n{verify}\n")
    with pytest.raises(ConfigurationError, match=said):
        run()
    assert made.calls == []
    Path("builder.yaml").write_text("inputs: [m.ptl]\nverify: {enabled: false}\n")
    assert run().ok


def test_what_verify_calls_a_setting_fails_the_gate(made, monkeypatch):
    def refuse(request, *, progress):
        raise ConfigurationError("no such inputs", hint="describe others")

    monkeypatch.setattr(release_gates, "verify", refuse)
    error = run().error
    assert isinstance(error, VerificationError)
    assert "no such inputs" in str(error)


def test_the_first_release_has_nothing_to_compare_with_if_that_is_said(made):
    report = run(AGAINST | {("release", "first"): True})
    assert report.ok
    assert "There is no earlier release to compare with." in render_release(report)


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", '{"libraries": []}', '{"schema": 2, "libraries": []}', "x" * 99]
)
def test_a_report_of_another_format_is_refused(made, text):
    Path("last.json").write_text(text)
    with pytest.raises(
        ConfigurationError, match=r"release\.against: .*not the report of a release"
    ):
        run(AGAINST)


def test_a_report_with_senseless_sizes_is_refused(made):
    run()
    value = json.loads(Path("release/report.json").read_text())
    value["libraries"][0]["size"]["file"] = 0
    with pytest.raises(ValueError, match="not those of libraries"):
        parse_report(json.dumps(value))
    value["libraries"][0]["size"]["file"] = 5
    value["libraries"] *= 2
    with pytest.raises(ValueError, match="twice"):
        parse_report(json.dumps(value))


def test_what_is_not_of_builder_is_never_replaced(made):
    Path("release").mkdir()
    Path("release/mine.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match=r"mine\.txt"):
        run()
    assert made.calls == []
    assert Path("release/mine.txt").read_text() == "mine"


def test_two_releases_to_one_folder_exclude_each_other(made, monkeypatch):
    seen = []

    def build(*arguments, **named):
        with pytest.raises(ConfigurationError, match=r"another builder .*is using .*release"):
            run()
        seen.append(1)
        return made.build(*arguments, **named)

    monkeypatch.setattr(releases, "build_products", building(build))
    assert run().ok
    assert seen == [1]


def test_products_have_folders_of_their_own(made):
    Path("builder.yaml").write_text(FILE + "products: {one: {}, two: {verify: {enabled: false}}}\n")
    report = run()
    assert report.ok
    assert {one.product for one in report.runs} == {"one"}
    assert Path(f"release/two/torchlite-{ABI}.tar.gz").is_file()
    assert run(products=("two",)).key != report.key


def test_without_a_runtime_for_this_machine_nothing_is_run_and_that_is_said(made):
    other = "linux-aarch64" if ABI != "linux-aarch64" else "linux-x86_64"
    Path("builder.yaml").write_text(FILE + f"targets: {{abis: [{other}]}}\n")
    report = run()
    assert outcomes(report)["verify"] == "skipped"
    assert "no runtime is for this machine" in render_release(report)


def test_a_lock_that_is_not_there_or_lacks_a_product_is_refused_before_a_build(made):
    with pytest.raises(ConfigurationError, match=r"the lock builder\.lock cannot be read"):
        run(lock=Path("builder.lock"))
    assert made.calls == []


def test_exports_run_only_when_asked(made, monkeypatch):
    Path("builder.yaml").write_text(FILE + "exports: [{source: s, output: m.ptl}]\n")
    assert outcomes(run())["export"] == "skipped"
    failed = ModelError("no such module")

    def refuse(*_, **__):
        raise failed

    monkeypatch.setattr(releases, "refuse_model", lambda *_: None)
    monkeypatch.setattr(releases, "export", refuse)
    report = run(export=True)
    assert report.error is failed
    assert outcomes(report)["export"] == "failed"
    text = "exports: [{source: s, output: m.ptl}, {source: s, output: n.ptl}]\n"
    Path("builder.yaml").write_text(FILE + text)
    error = run(export=True).error
    assert isinstance(error, ModelError)
    assert error.message.endswith("m.ptl: no such module")
    assert error.message.startswith("export of ")
    Path("builder.yaml").write_text(FILE)
    with pytest.raises(ConfigurationError, match="has no exports"):
        run(export=True)


def test_the_keys_of_caches_change_with_what_the_caches_hold(made):
    def keys():
        return list_cache_keys(read_configuration(Path("builder.yaml")))

    first = keys()
    assert all(re.fullmatch(r"[\w-]+", key) for key in (*first, *first.values()))
    assert first["objects-key"].startswith(first["objects-restore-key"])
    Path("m.ptl").write_bytes(b"another")
    second = keys()
    changed = {name for name in first if first[name] != second[name]}
    assert changed == {"objects-key"}
    # Before an export has made it.
    Path("m.ptl").unlink()
    assert keys()["report-key"] == first["report-key"]
    # Without a size, and without an end or the right to read it.
    for path in ("/proc/kmsg", "/proc/self/mem"):
        Path("builder.yaml").write_text(FILE.replace("m.ptl", path))
        assert keys()["report-key"] == first["report-key"]


def test_a_comment_that_cannot_be_posted_is_told_and_no_error(made, monkeypatch):
    for name in ("GITHUB_EVENT_PATH", "CI_MERGE_REQUEST_IID"):
        monkeypatch.delenv(name, raising=False)
    assert "GITHUB_EVENT_PATH is not set" in post_comment("github", "text", "builder.yaml")
    assert post_comment("gitlab", "text", "builder.yaml").startswith("none, since this job")


def test_each_job_of_each_workflow_has_a_comment_of_its_own(made, monkeypatch):
    marks = []
    monkeypatch.setattr(comments, "post_or_update", lambda _thread, _text, mark: marks.append(mark))
    Path("event.json").write_text('{"pull_request": {"number": 7}}')
    given = {"EVENT_PATH": "event.json", "REPOSITORY": "a/b", "TOKEN": "t", "JOB": "release"}
    for name, value in given.items():
        monkeypatch.setenv(f"GITHUB_{name}", value)
    for workflow, job in (("a", "release"), ("b", "release"), ("a", "other"), ("a", "release")):
        monkeypatch.setenv("GITHUB_WORKFLOW", workflow)
        monkeypatch.setenv("GITHUB_JOB", job)
        post_comment("github", "text", "builder.yaml")
    post_comment("github", "text", "other.yaml")
    assert len(set(marks)) == 4
    assert marks[0] == marks[3]


def test_each_leg_of_a_matrix_has_a_comment_of_its_own(made, monkeypatch):
    marks = []
    monkeypatch.setattr(comments, "post_or_update", lambda _thread, _text, mark: marks.append(mark))
    Path("event.json").write_text('{"pull_request": {"number": 7}}')
    for name, value in {"EVENT_PATH": "event.json", "REPOSITORY": "a/b", "TOKEN": "t"}.items():
        monkeypatch.setenv(f"GITHUB_{name}", value)
    # The first leg's is that of a job without a matrix, so that adding legs keeps the comment.
    for key in ("", "1", "2", "1"):
        post_comment("github", "text", "builder.yaml", key)
    post_comment("github", "text", "builder.yaml")
    assert len(set(marks)) == 3
    assert (marks[1], marks[0]) == (marks[3], marks[4])
    # GitLab names each leg by its values.
    given = {"MERGE_REQUEST_IID": "3", "PROJECT_ID": "12", "API_V4_URL": "https://x/api/v4"}
    for name, value in given.items():
        monkeypatch.setenv(f"CI_{name}", value)
    monkeypatch.setenv("BUILDER_GITLAB_TOKEN", "t")
    marks.clear()
    for leg in ("[a.yaml]", "[b.yaml]", "[a.yaml]"):
        monkeypatch.setenv("CI_JOB_NAME", f"release: {leg}")
        post_comment("gitlab", "text", "builder.yaml")
    assert marks[0] == marks[2] != marks[1]


@pytest.mark.parametrize("output", [".", "/", ".."])
def test_a_folder_without_a_name_is_refused(made, output):
    with pytest.raises(ConfigurationError, match="cannot be replaced by a release"):
        run(given={("release", "output"): Path(output)})
