from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from samples import FakeRunner
from sources_support import make_lock, make_pin

from builder.errors import SourceError
from builder.sources.choice import FetchRequest, add_pip, choose_providers
from builder.sources.providers import DistributionProvider, FolderProvider, Unavailable
from builder.sources.store import ArchiveStore
from builder.sources.wheels import WheelProvider
from builder.system.distribution import AptConfiguration
from builder.system.network import Downloader
from builder.system.process import Completed

NAME = "thing-1.0-py3-none-manylinux_2_12_x86_64.manylinux2010_x86_64.whl"


@pytest.fixture
def wheel(tmp_path):
    path = tmp_path / "there" / NAME
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("thing/header.h", "int a;")
    return path


@pytest.fixture
def store(tmp_path):
    return ArchiveStore(folder=tmp_path / "downloads")


def pip(content, *, own=True):
    """A runner whose pip leaves `content` where it is told to."""

    def answer(command):
        if "--version" in command:
            return Completed(0 if own else 1, "pip 23\n")
        if content is None:
            return Completed(1, "ERROR: no such index\nERROR: No matching distribution found\n")
        folder = Path(command[command.index("--dest") + 1])
        (folder / NAME).write_bytes(content)
        return Completed(0, "")

    return FakeRunner(answer=answer)


def test_pip_downloads_the_wheel_of_its_tags_and_installs_nothing(wheel, store):
    runner, received = pip(wheel.read_bytes()), []
    pin = make_pin(wheel)
    delivery = WheelProvider(runner=runner, store=store).deliver(pin, received.append)
    assert (delivery.provider, delivery.strip, received) == ("pip", 1, [pin.size])
    assert delivery.archive == store.path(pin)
    assert delivery.archive.read_bytes() == wheel.read_bytes()
    command = runner.commands[-1]
    assert {"download", "--no-deps", "thing==1.0", "manylinux2010_x86_64", "none"} <= set(command)
    assert [path.name for path in store.folder.iterdir()] == [delivery.archive.name]


def test_other_bytes_are_refused(wheel, store):
    provider = WheelProvider(runner=pip(b"other"), store=store)
    with pytest.raises(SourceError, match="is not the pinned file"):
        provider.deliver(make_pin(wheel), lambda _: None)


def test_what_pip_says_is_the_reason(wheel, store):
    provider = WheelProvider(runner=pip(None), store=store)
    with pytest.raises(Unavailable, match="ERROR: No matching distribution found"):
        provider.deliver(make_pin(wheel), lambda _: None)


def test_without_pip_of_its_own_the_one_on_path_is_asked(wheel, store, monkeypatch):
    runner = pip(wheel.read_bytes(), own=False)
    monkeypatch.setattr(FakeRunner, "find_program", lambda _, name: Path("/usr/bin", name))
    WheelProvider(runner=runner, store=store).deliver(make_pin(wheel), lambda _: None)
    assert runner.commands[-1][0] == "/usr/bin/pip3"
    monkeypatch.setattr(FakeRunner, "find_program", lambda _, name: None)
    with pytest.raises(Unavailable, match="apt install python3-pip"):
        WheelProvider(runner=runner, store=store).deliver(make_pin(wheel), lambda _: None)


def test_pip_is_asked_for_wheels_only_and_after_the_users_folder(wheel, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "builder.sources.choice.read_apt_configuration", lambda _: AptConfiguration(mirrors=())
    )
    runner = FakeRunner()
    providers = choose_providers(runner, tmp_path, FetchRequest(source_folder=wheel.parent))
    lock = make_lock(make_pin(wheel))
    names = [one.name for one in add_pip(providers, lock, runner, tmp_path)]
    assert names == ["folder", "pip", "distribution", "git"]
    assert isinstance(providers[0], FolderProvider)
    tar = make_lock(make_pin(wheel, file="thing.tar.gz"))
    assert add_pip(providers, tar, runner, tmp_path) == providers


def test_the_distribution_is_not_asked_for_a_wheel(wheel, store):
    provider = DistributionProvider(
        apt=AptConfiguration(mirrors=()), downloader=Downloader(), store=store
    )
    with pytest.raises(Unavailable, match="a Python package"):
        provider.deliver(make_pin(wheel), lambda _: None)
