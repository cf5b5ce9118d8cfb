from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from torch_probes import probe
from torch_probes.probe import Probe, load_probes, run_probe, verify_probe
from torch_probes.table import load_results, render_document, render_table

ROOT = Path(__file__).resolve().parents[2]
DIFFERS = {"ok": True, "verified": False}


def result(version: str, **probes: object) -> dict[str, object]:
    return {
        "torch": version,
        "torchvision": "0.21.0",
        "python": "3.11.7",
        "machine": "x86_64",
        "engines": ["qnnpack", "none"],
        "xnnpack": True,
        "probes": probes,
    }


def test_each_torch_is_a_column_and_what_it_lacks_is_told_once() -> None:
    lacks = [{"ok": False, "why": f"torch {v} lacks it"} for v in ("2.6.0", "2.15.0")]
    text = render_table(
        {
            "a": result("2.6.0", one={"ok": True, "verified": True}, two=lacks[0], four=DIFFERS),
            "b": result("2.15.0", one={"ok": True}, two=lacks[1]),
        },
        ["one", "two", "three", "four"],
    )
    assert "| quantised engines | qnnpack | qnnpack |\n" in text
    assert "| one | yes | written |\n" in text
    assert "| two | **no** (1) | **no** (1) |\n| three | not asked | not asked |\n" in text
    assert "| four | **differs** | not asked |\n" in text
    assert text.endswith("\n1. lacks it\n")


def test_the_table_in_the_document_is_that_of_the_results() -> None:
    results = load_results(ROOT / "tools" / "torch_probes" / "results")
    document = (ROOT / "docs/reference/torches.md").read_text()
    table = render_table(results, [probe.what for probe in load_probes()])
    assert render_document(document, table) == document
    versions = [
        tuple(map(int, one["torch"].split("+")[0].split(".")[:2])) for one in results.values()
    ]
    assert versions == sorted(versions)


def answering(monkeypatch: pytest.MonkeyPatch, *answers: tuple[int, str, str]) -> list[list[str]]:
    """The exports of a probe end with `answers`; returns what is asked."""
    asked: list[list[str]] = []
    rest = iter(answers)

    def run(command: tuple[str, ...], **_: object) -> subprocess.CompletedProcess[str]:
        asked.append(list(command))
        return subprocess.CompletedProcess(command, *next(rest))

    monkeypatch.setattr(probe.subprocess, "run", run)
    return asked


def test_a_file_is_saved_by_torch_first(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answering(monkeypatch, (0, "", ""), (3, "", "error: no\n"))
    assert run_probe(Probe(what="a", arguments=("net", "--shape", "1"), made="pt2")) == {
        "ok": False,
        "why": "no",
    }
    assert asked[0][1:4] == ["source_files.py", "pt2", "net"]
    (file,) = asked[0][4:]
    assert asked[1][3:7] == ["export", file, "--shape", "1"]
    answering(monkeypatch, (1, "", "Traceback\nAttributeError: no export\n"))
    why = run_probe(Probe(what="a", arguments=("net",), made="pt2"))["why"]
    assert why == "it does not write the file: AttributeError: no export"


def test_a_kept_file_is_verified_with_the_tolerance_of_its_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = answering(monkeypatch, (0, "", ""), (8, "", ""))
    one = Probe(what="a b", arguments=("n", "--tolerance", "1e-3", "--shape", "1"))
    assert one.file == "a_b.ptl"
    assert verify_probe(one, Path("a_b.ptl"), Path("out"))
    assert asked[0][-3:] == ["--tolerance", "1e-3", "--json"]
    assert not verify_probe(Probe(what="a", arguments=("n",)), Path("a.ptl"), Path("out"))
    assert "--tolerance" not in asked[1]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((8, "{}", ""), "its numbers differ from the model's"),
        ((-11, "", "Fatal: core\n"), "it ended with -11: Fatal: core"),
        ((3, "", "a warning\nerror: first\nhint: x\n"), "first"),
    ],
)
def test_why_an_export_failed(
    monkeypatch: pytest.MonkeyPatch, answer: tuple[int, str, str], why: str
) -> None:
    answering(monkeypatch, answer)
    assert run_probe(Probe(what="a", arguments=("n",))) == {"ok": False, "why": why}
