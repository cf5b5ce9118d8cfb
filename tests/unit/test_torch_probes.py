from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from torch_probes import probe
from torch_probes.probe import Probe, load_probes, run_probe
from torch_probes.table import load_results, render_document, render_table

ROOT = Path(__file__).resolve().parents[2]
SAID = "error: torch 2.15.0 cannot optimise for mobile: it is built without XNNPACK\nhint: x\n"


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
            "a": result("2.6.0", one={"ok": True, "optimised": True}, two=lacks[0]),
            "b": result("2.15.0", one={"ok": True, "optimised": False}, two=lacks[1]),
        },
        ["one", "two", "three"],
    )
    assert "| quantised engines | qnnpack | qnnpack |\n" in text
    assert "| one | yes | not optimised |\n" in text
    assert "| two | **no** (1) | **no** (1) |\n| three | not asked | not asked |\n" in text
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


def test_without_xnnpack_a_row_is_asked_again_without_optimisation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = answering(monkeypatch, (5, "", SAID), (3, "", "error: no\n"), (5, "", SAID))
    assert run_probe(Probe(what="a", arguments=("n",))) == {"ok": False, "why": "no"}
    assert ["--no-optimize" in command for command in asked] == [False, True]
    refused = run_probe(Probe(what="a", arguments=("n",), optimised=True))
    assert "without XNNPACK" in refused["why"]


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
