from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from builder.api import CacheAction, CacheEntry, CacheKind, CacheReport, CacheRequest
from builder.cli import cache

ENTRY = CacheEntry(path=Path("/c/native/1"), kind=CacheKind.BUILDS, size=1234567, used=0)
OTHER = CacheEntry(
    path=Path("/c/downloads/2"), kind=CacheKind.DOWNLOADS, size=1000, used=0, needed="pinned"
)

FOREIGN = (Path("/c/my\nletter"), *(Path(f"/c/{number}") for number in range(10)))


@pytest.fixture
def asked(monkeypatch):
    seen = []

    def manage(request):
        seen.append(request)
        return CacheReport(
            folder=Path("/c"), entries=(ENTRY, OTHER), removed=(ENTRY,), foreign=FOREIGN
        )

    monkeypatch.setattr(cache.api, "manage_cache", manage, raising=False)
    return seen


def run(*arguments):
    result = CliRunner().invoke(cache.command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_every_option_reaches_the_use_case(asked):
    run("prune", "--older-than", "7", "--only", "builds", "--only", "sources", "--dry-run")
    assert asked == [
        CacheRequest(
            action=CacheAction.PRUNE,
            kinds=(CacheKind.BUILDS, CacheKind.SOURCES),
            older_than=7,
            dry_run=True,
        )
    ]


def test_many_entries_are_counted(monkeypatch):
    records = [
        CacheEntry(path=Path(f"/c/finished/{n}.json"), kind=CacheKind.RECORDS, size=1, used=0)
        for n in range(1234)
    ]
    report = CacheReport(folder=Path("/c"), entries=(ENTRY, *records), removed=())
    monkeypatch.setattr(cache.api, "manage_cache", lambda _: report, raising=False)
    shown = run("info")
    assert len([line for line in shown.splitlines() if ".json" in line]) == 50
    assert "and 1,184 more of records" in shown
    assert len(json.loads(run("info", "--json"))["entries"]) == 1235


def test_results_for_people(asked):
    shown = run("info")
    for text in ("1,234,567", "1,235,567", "folder: /c"):
        assert text in shown
    assert "my\\x0aletter" in shown
    assert "and 1 more" in shown
    assert "1 entry removed: 1,234,567 bytes" in run("prune")
    assert "1 entry would be removed" in run("clear", "--dry-run")


def test_results_for_programs(asked):
    value = json.loads(run("prune", "--json"))
    assert (value["size"], value["folder"], len(value["removed"])) == (1235567, "/c", 1)
    assert value["entries"][1]["needed"] == "pinned"
    assert len(value["foreign"]) == 11


@pytest.mark.parametrize("arguments", [(), ("drop",), ("prune", "--older-than", "-1")])
def test_wrong_usage(asked, arguments):
    assert CliRunner().invoke(cache.command, arguments).exit_code == 2
    assert asked == []
