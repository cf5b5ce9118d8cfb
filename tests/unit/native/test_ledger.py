from __future__ import annotations

from pathlib import Path

import pytest

from builder.native.ledger import Dropped, Ledger, sweep_objects
from builder.native.ninja import CompileFolder

NOTHING = Dropped(damaged=(), unknown=())


@pytest.fixture
def folder(tmp_path):
    return CompileFolder(
        root=tmp_path, ninja_file=Path("build.ninja"), objects="objects/size", prefixes=()
    )


@pytest.fixture
def compiled(folder):
    """Two units that a run before has compiled; the second has bitcode beside its object."""
    ledger = Ledger(folder)
    write(folder, "c10/a.cpp", b"machine code" * 1000)
    write(folder, "c10/b c.cpp", b"other machine code", bitcode=b"BC")
    for unit_id in UNITS:
        ledger.record(unit_id)
    return folder


UNITS = ("c10/a.cpp", "c10/b c.cpp")


def write(folder, unit_id, content, *, bitcode=None):
    path = folder.find_object(unit_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    if bitcode is not None:
        path.with_name(f"{path.name}.bc").write_bytes(bitcode)


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path):
    path.write_bytes(b"")


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


def test_objects_as_they_were_compiled_are_kept(compiled):
    assert Ledger(compiled).drop_wrong(UNITS) == NOTHING


def test_units_that_were_never_compiled_are_none_of_its_business(folder):
    ledger = Ledger(folder)
    assert ledger.drop_wrong(["gone.cpp"]) == NOTHING
    ledger.record("gone.cpp")  # a compiler failed
    assert ledger.drop_wrong(["gone.cpp"]) == NOTHING


@pytest.mark.parametrize(
    "damage", [flip, lambda p: p.write_bytes(b""), lambda p: p.write_bytes(p.read_bytes()[:-1])]
)
@pytest.mark.parametrize("ending", ["", ".bc"])
def test_a_damaged_file_is_dropped_with_what_belongs_to_it(compiled, damage, ending):
    path = compiled.find_object("c10/b c.cpp")
    damage(path.with_name(path.name + ending))
    assert Ledger(compiled).drop_wrong(UNITS) == Dropped(damaged=("c10/b c.cpp",), unknown=())
    assert not path.exists()
    assert not path.with_name(f"{path.name}.bc").exists()
    assert compiled.find_object("c10/a.cpp").exists()


def test_bitcode_that_is_gone_is_damage(compiled):
    path = compiled.find_object("c10/b c.cpp")
    path.with_name(f"{path.name}.bc").unlink()
    assert Ledger(compiled).drop_wrong(UNITS).damaged == ("c10/b c.cpp",)


def test_what_is_compiled_again_is_right_again(compiled):
    write(compiled, "c10/a.cpp", b"changed")
    ledger = Ledger(compiled)
    assert ledger.drop_wrong(UNITS).damaged == ("c10/a.cpp",)
    write(compiled, "c10/a.cpp", b"new machine code")
    ledger.record("c10/a.cpp")
    assert ledger.drop_wrong(UNITS) == NOTHING
    assert Ledger(compiled).drop_wrong(UNITS) == NOTHING


def test_a_run_reads_each_object_once(compiled):
    ledger = Ledger(compiled)
    ledger.drop_wrong(UNITS)
    write(compiled, "c10/a.cpp", b"changed since")
    assert ledger.drop_wrong(UNITS) == NOTHING
    assert Ledger(compiled).drop_wrong(UNITS).damaged == ("c10/a.cpp",)


def test_what_a_killed_run_did_not_write_down_is_unknown(compiled):
    write(compiled, "c10/late.cpp", b"compiled when the run was killed")
    dropped = Ledger(compiled).drop_wrong((*UNITS, "c10/late.cpp"))
    assert dropped == Dropped(damaged=(), unknown=("c10/late.cpp",))
    assert not compiled.find_object("c10/late.cpp").exists()


def test_what_nobody_named_is_written_down_at_the_end_of_a_wave(folder):
    ledger = Ledger(folder)
    write(folder, "c10/quiet.cpp", b"x")
    ledger.record_rest(["c10/quiet.cpp"])
    assert Ledger(folder).drop_wrong(["c10/quiet.cpp"]) == NOTHING


@pytest.mark.parametrize("tail", ["", "0123", "f" * 64, "f" * 64 + "  c10/a.cpp.o", "\xff\0"])
def test_a_torn_line_says_nothing_about_the_others(compiled, tail):
    file = compiled.root / "objects/size.sha256"
    with file.open("a") as stream:
        stream.write(tail)
    assert Ledger(compiled).drop_wrong(UNITS) == NOTHING
    assert file.read_text().endswith("\n")


def test_without_its_file_nothing_is_known(compiled):
    (compiled.root / "objects/size.sha256").unlink()
    assert Ledger(compiled).drop_wrong(UNITS) == Dropped(damaged=(), unknown=UNITS)


def test_the_file_does_not_grow_with_every_run(compiled):
    file = compiled.root / "objects/size.sha256"
    sizes = []
    for _ in range(3):
        ledger = Ledger(compiled)
        for unit_id in UNITS:
            ledger.record(unit_id)
        sizes.append(file.stat().st_size)
    assert sizes[1] == sizes[2]


def test_flavours_have_files_of_their_own(compiled, tmp_path):
    other = CompileFolder(
        root=tmp_path, ninja_file=Path("build.ninja"), objects="objects/speed", prefixes=()
    )
    write(other, "c10/a.cpp", b"optimised otherwise")
    Ledger(other).record("c10/a.cpp")
    assert Ledger(other).drop_wrong(["c10/a.cpp"]) == NOTHING
    assert Ledger(compiled).drop_wrong(UNITS) == NOTHING


def test_what_killed_compilers_left_is_swept(compiled):
    left = compiled.find_object("c10/a.cpp").parent
    for name in ("a.cpp-1a2b3c4d.o.tmp", "a.cpp.o.d", "a.cpp.o.bc.tmp", "x.ccache.tmp.1"):
        (left / name).touch()
    sweep_objects(compiled.root / "objects")
    assert sorted(path.name for path in left.iterdir()) == ["a.cpp.o", "b c.cpp.o", "b c.cpp.o.bc"]
    assert Ledger(compiled).drop_wrong(UNITS) == NOTHING
    sweep_objects(compiled.root / "not there")
