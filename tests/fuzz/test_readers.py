"""Every reader of a foreign file stands mutations and bombs: a short run of `python -m tests.fuzz`.

Limits have a wide margin here, since machines differ; by hand they are those that are promised.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from builder.errors import ModelError
from tests.fuzz.bombs import BOMBS
from tests.fuzz.formats import FORMATS
from tests.fuzz.harness import Limits, Run, judge
from tests.fuzz.mutators import pickles

ROOT = Path(__file__).parents[2]
WIDE = Limits(seconds=20, bytes=384 << 20)
MUTATIONS = 1200
"""Of each format; together a minute of CPU."""


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_mutations_are_read_or_refused(name):
    run = Run(name=name, kind=FORMATS[name], seed=1, limits=WIDE)
    for tally in run.go(0, MUTATIONS):
        assert [(finding.number, finding.what) for finding in tally.findings] == []
        assert tally.count == MUTATIONS


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_seeds_are_fine(name, tmp_path):
    kind = FORMATS[name]
    for number, seed in enumerate(kind.seeds()):
        folder = tmp_path / str(number)
        folder.mkdir()
        if name in {"torchscript", "pickle"}:  # not all of them are bytecode
            with pytest.raises(ModelError) if name == "torchscript" else _either():
                kind.read(seed, folder)
        else:
            kind.read(seed, folder)


@pytest.mark.parametrize("mark", [b"(.", b"(\x85.", b"(q\0."])
def test_the_mutator_takes_no_mark_for_a_value(mark):
    with pytest.raises(ValueError, match="mark"):
        pickles.parse(b"\x80\x02" + mark)


class _either:  # noqa: N801 - a context as pytest.raises is one
    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        return kind is None or issubclass(kind, ModelError)


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_cost_no_more_than_their_size(name):
    kind, make = BOMBS[name]
    tally = judge(FORMATS[kind], make(), WIDE)
    assert [finding.what for finding in tally.findings] == []
    assert tally.count == 1


def _raise(data, folder):
    raise LookupError("found nothing")


def _burn(data, folder):
    end = time.process_time() + 60
    while time.process_time() < end:
        pass


def _grow(data, folder):
    return bytes(500 << 20)


def _die(data, folder):
    os.abort()


@pytest.mark.parametrize(
    ("read", "what"),
    [(_raise, "LookupError: found nothing"), (_burn, "seconds of CPU"), (_grow, "more memory"),
     (_die, "ended by SIGABRT")],
)  # fmt: skip
def test_what_a_reader_does_not_stand_is_found(read, what):
    kind = replace(FORMATS["elf"], read=read)
    run = Run(name="elf", kind=kind, seed=3, limits=Limits(seconds=0.2))
    tallies = list(run.go(5, 7))
    found = [finding for tally in tallies for finding in tally.findings]
    assert [finding.number for finding in found] == [5, 6]
    assert all(what in finding.what for finding in found)
    assert [finding.data for finding in found] == [run.make(5), run.make(6)]
    assert sum(tally.count for tally in tallies) == 2


def test_a_crash_among_others_costs_one_mutation_only():
    place = []

    def read(data, folder):
        place.append(data)
        if len(place) == 3:
            os.abort()

    run = Run(name="elf", kind=replace(FORMATS["elf"], read=read), seed=3)
    tallies = list(run.go(0, 5))
    assert [f.number for tally in tallies for f in tally.findings] == [2]
    assert sum(tally.count for tally in tallies) == 5


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_mutations_depend_on_their_number_alone(name):
    one, two = (Run(name=name, kind=FORMATS[name], seed=4) for _ in range(2))
    assert [one.make(n) for n in (7, 3)] == [two.make(n) for n in (3, 7)][::-1]
    other = Run(name=name, kind=FORMATS[name], seed=5)
    assert [one.make(n) for n in range(9)] != [other.make(n) for n in range(9)]


def test_mutators_take_any_bytes():
    for name, kind in FORMATS.items():
        for size in (0, 1, 7, 600):
            rng = random.Random(f"{name}{size}")
            changed = replace(kind, seeds=lambda rng=rng, size=size: (rng.randbytes(size),))
            assert isinstance(changed.mutate(rng), bytes)


def test_by_hand(tmp_path):
    def run(*arguments):
        command = (sys.executable, "-m", "tests.fuzz", *arguments)
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    done = run("--format", "input", "--mutations", "50", "--findings", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "50 mutations, 0 findings" in done.stdout
    (tmp_path / "spec").write_text("float32[")
    done = run("--format", "input", "--repeat", str(tmp_path / "spec"))
    assert done.stdout.startswith("refused: ")
