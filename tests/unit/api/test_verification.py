"""Where torch cannot be confined, it runs nothing that nobody said can be trusted."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.api import verification
from builder.api.read_torchscript import read_torchscript
from builder.errors import ToolchainError
from builder.export import interpreter
from builder.system import sandbox
from builder.system.limits import Limits
from builder.system.progress import Silent

MODELS = Path(__file__).parents[2] / "data/models"
REASON = "builder has no seccomp filter for riscv64"


class Notes(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch):
    """A machine without a boundary, on which no child of Python may start."""
    monkeypatch.setattr(sandbox, "find_obstacle", lambda: REASON)

    def start(*arguments, **options):
        pytest.fail("torch was started")

    monkeypatch.setattr(interpreter, "PythonChild", start)


def test_verify_compares_with_nothing_and_says_so():
    progress = Notes()
    computed = verification._run_in_torch(
        MODELS / "conv.ptl", (), (), method="forward", limits=Limits(), progress=progress
    )
    assert computed is None
    (note,) = progress.notes
    assert note.startswith("no expected outputs: ")
    assert REASON in note


def test_models_for_a_gpu_are_not_run_in_torch(monkeypatch):
    progress = Notes()
    monkeypatch.setattr(sandbox, "find_obstacle", lambda: "")
    computed = verification._run_in_torch(
        *(MODELS / "conv.ptl", (), ()),
        method="forward",
        limits=Limits(),
        device="vulkan",
        progress=progress,
    )
    assert computed is None
    assert "torch runs lite files on the CPU" in progress.notes[0]


def test_torchscript_is_not_read():
    path = MODELS / "control.pt"
    with pytest.raises(ToolchainError, match=REASON) as caught:
        read_torchscript(path, Limits())
    assert caught.value.exit_code == 5
