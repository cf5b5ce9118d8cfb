"""What the fuzzing of a runtime does before and after the runtime: mutations, shares, verdicts."""

import random
from pathlib import Path

import pytest

from tests.fuzz import models, native
from tests.fuzz.mutators import lite_runtime

TARGETS = models.list_committed()
NUMBERS = range(40)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_seed_gives_the_same_files_and_most_are_new(target):
    data = target.path.read_bytes()
    operators = ["aten::add.Tensor", "aten::mul.Tensor"]
    first = [lite_runtime.mutate(data, random.Random(seed), operators) for seed in NUMBERS]
    again = [lite_runtime.mutate(data, random.Random(seed), operators) for seed in NUMBERS]
    assert first == again
    assert len({*first} - {data}) > len(NUMBERS) * 3 / 4


def test_every_model_gets_its_share_with_seeds_of_its_own():
    attempts = native.plan(TARGETS, 1003, seed=5, batch=60)
    assert sum(attempt.count for attempt in attempts) == 1003
    shares = {
        target.name: sum(one.count for one in attempts if one.target == target)
        for target in TARGETS
    }
    assert max(shares.values()) - min(shares.values()) <= 1
    assert len({(attempt.target.name, attempt.seed) for attempt in attempts}) == len(attempts)


@pytest.mark.parametrize(
    ("line", "report", "verdict", "good"),
    [
        ("ran\t5\t900\t/a.ptl\t", "", "ran", True),
        ("refused\t5\t900\t/a.ptl\twhy\tnot", "", "refused", True),
        ("crashed\t5\t900\t/a.ptl\tsignal 11 at (nil): libtorchlite.so+0x12", "", "crashed", False),
        ("differs\t5\t900\t/a.ptl\toutputs", "", "differs", False),
        ("limit\t5\t900\t/a.ptl\tCPU time", "", "limit", False),
        ("sanitizer\t5\t900\t/a.ptl\t", "heap-buffer-overflow", "sanitizer", False),
        # A plain runtime gets std::bad_alloc there, which is a clean failure.
        ("sanitizer\t5\t900\t/a.ptl\t", f"{native._NO_MEMORY[0]} 0x1", "failed", True),
    ],
)
def test_lines_of_the_host_become_outcomes(line, report, verdict, good):
    outcome = native._parse(line, {"/a.ptl": report})
    assert (outcome.verdict, outcome.is_good) == (verdict, good)
    assert outcome.path == Path("/a.ptl")


def test_reports_belong_to_the_file_named_behind_them():
    text = "one\ntwo\n== /a.ptl\n== sanitizer's own line\nthree\n== /b.ptl\n"
    assert native._split_reports(text) == {
        "/a.ptl": "one\ntwo",
        "/b.ptl": "== sanitizer's own line\nthree",
    }


def test_places_in_the_library_tell_causes_apart():
    detail = "signal 11 at 0x1: libc.so.6+0x9 libtorchlite.so+0x1 libtorchlite.so+0x2"
    crashed = native.Outcome("crashed", 1, 1, Path("/a.ptl"), detail)
    assert crashed.place == "libtorchlite.so+0x1 libtorchlite.so+0x2"
    frames = "#0 0x7f (/x/libtorchlite.so+0x3) (BuildId: 1)\n#1 0x7f (/x/libtorchlite.so+0x4)"
    told = native.Outcome("sanitizer", 1, 1, Path("/a.ptl"), "", frames)
    assert told.place == "libtorchlite.so+0x3 libtorchlite.so+0x4"
