"""A runtime without a library, and a runner that replays recorded output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from builder.core.dtypes import EVERYTHING
from builder.core.model_facts import BytecodeVersions
from builder.core.operators import Operator
from builder.core.runtime_manifest import Manifest
from builder.system.process import Completed, Runner

OPERATORS = ("aten::add.Tensor", "aten::relu")


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeRunner(Runner):
    """Answers every command with the next recorded answer."""

    answers: list[Completed]
    commands: list[tuple[str, ...]] = field(default_factory=list)
    before: Callable[[tuple[str, ...]], None] = lambda _: None

    @classmethod
    def of(cls, *answers: Completed, before: Callable[[tuple[str, ...]], None] = lambda _: None):
        return cls(environment={}, answers=list(answers), before=before)

    def run(self, command: tuple[str, ...], **_: object) -> Completed:
        self.commands.append(command)
        self.before(command)
        return self.answers.pop(0)


def make_manifest(abi: str) -> Manifest:
    return Manifest(
        abi=abi,
        operators=tuple(map(Operator.parse, OPERATORS)),
        custom_classes=("xnnpack.Conv2dOpContext",),
        bytecode_versions=BytecodeVersions(min=4, max=9),
        dtypes=EVERYTHING,
        features=(),
        models=(),
        source_version="2.6.0",
        source_digest="s",
        plan_key="k",
        static_dispatch=("CPU",),
        toolchain=(),
        files={},
    )


def make_runtime(out: Path, abi: str) -> Path:
    root = out / abi
    (root / "bin").mkdir(parents=True)
    (root / "lib").mkdir()
    (root / "bin" / "torchlite-run").write_text("")
    (root / "lib" / "libtorchlite.so").write_text("")
    (root / "manifest.json").write_text(make_manifest(abi).to_text())
    return root
