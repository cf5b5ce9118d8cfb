from __future__ import annotations

import json
import os
import time

import pytest

from builder.native import journal
from builder.native.journal import drop_torn_objects, wave


@pytest.fixture
def boot(monkeypatch):
    """Sets the boot id; the machine's own must not matter."""

    def start(boot_id: str) -> None:
        monkeypatch.setattr(journal, "read_boot_id", lambda: boot_id)

    monkeypatch.setattr(journal.os, "sync", lambda: None)
    start("first")
    return start


@pytest.fixture
def objects(tmp_path):
    def write(name: str, *, age: float) -> None:
        path = tmp_path / "objects" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        os.utime(path, (time.time() - age, time.time() - age))

    return write


def left(folder) -> set[str]:
    return {p.relative_to(folder / "objects").as_posix() for p in (folder / "objects").rglob("*.o")}


def die_in_wave(folder, work) -> None:
    def die() -> None:
        work()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), wave(folder):
        die()


def test_a_finished_wave_leaves_no_note(boot, tmp_path):
    with wave(tmp_path):
        assert (tmp_path / "wave.json").is_file()
    assert not (tmp_path / "wave.json").exists()


def test_the_note_goes_only_after_the_data_are_on_disk(boot, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(journal.os, "sync", lambda: seen.append((tmp_path / "wave.json").exists()))
    with wave(tmp_path):
        pass
    assert seen == [True]


def test_a_killed_build_loses_nothing(boot, tmp_path, objects):
    die_in_wave(tmp_path, lambda: objects("a.cpp.o", age=0))
    assert drop_torn_objects(tmp_path) == 0
    assert left(tmp_path) == {"a.cpp.o"}
    assert (tmp_path / "wave.json").is_file()


def test_after_a_power_loss_the_objects_of_the_wave_go(boot, tmp_path, objects):
    objects("old.cpp.o", age=100)
    objects("kept.txt", age=0)
    die_in_wave(tmp_path, lambda: objects("deep/new.cpp.o", age=0))
    boot("second")
    assert drop_torn_objects(tmp_path) == 1
    assert left(tmp_path) == {"old.cpp.o"}
    assert (tmp_path / "objects/kept.txt").exists()
    assert drop_torn_objects(tmp_path) == 0


def test_a_second_wave_of_one_boot_keeps_the_start_of_the_first(boot, tmp_path, objects):
    die_in_wave(tmp_path, lambda: None)
    first = (tmp_path / "wave.json").read_text()
    die_in_wave(tmp_path, lambda: None)
    assert (tmp_path / "wave.json").read_text() == first


@pytest.mark.parametrize("torn", ["", "{", "[]", '{"boot_id": 1}', '{"boot_id":"x","started":"y"}'])
def test_a_torn_note_drops_every_object(boot, tmp_path, objects, torn):
    objects("old.cpp.o", age=1e6)
    (tmp_path / "wave.json").write_text(torn)
    assert drop_torn_objects(tmp_path) == 1
    assert not (tmp_path / "wave.json").exists()


def test_without_a_note_nothing_happens(boot, tmp_path, objects):
    objects("a.cpp.o", age=0)
    assert drop_torn_objects(tmp_path) == 0
    assert left(tmp_path) == {"a.cpp.o"}


def test_no_objects_yet(boot, tmp_path):
    (tmp_path / "wave.json").write_text(json.dumps({"boot_id": "zeroth", "started": 0}))
    assert drop_torn_objects(tmp_path) == 0
