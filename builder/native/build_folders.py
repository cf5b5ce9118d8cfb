"""The folders of a native build inside the cache."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder.core.plan import BuildPlan


@dataclass(frozen=True, slots=True)
class SharedFolder:
    """A folder that configurations share; it is complete when its `listing` exists."""

    root: Path

    @property
    def listing(self) -> Path:
        """What it consists of."""
        # Beside the folder and not in it: a listing does not list itself.
        return self.root.with_name(f"{self.root.name}.sha256")

    @property
    def stamps(self) -> Path:
        """Sizes and times of its files."""
        return self.root.with_name(f"{self.root.name}.stamps")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """One configuration's folder: objects are shared, each operator list has a plan folder."""

    root: Path
    flavour: str
    plan_key: str
    generated: SharedFolder
    """What torchgen writes, shared by all targets."""
    shaders: SharedFolder
    """The compiled shaders of GPU backends, shared by all targets."""

    @classmethod
    def of(cls, cache: Path, plan: BuildPlan) -> Layout:
        """Returns the layout of `plan` in the cache folder."""
        return cls(
            # Targets, toolchains and flags that decide objects are in the key, operators are not.
            root=cache / "native" / plan.objects_key,
            flavour=plan.flavour.name,
            plan_key=plan.key,
            generated=SharedFolder(cache / "native" / f"generated-{plan.generated_key}"),
            shaders=SharedFolder(cache / "native" / f"shaders-{plan.shaders_key}"),
        )

    @property
    def configured(self) -> Path:
        """Upstream's CMake binary folder with everything generated."""
        return self.root / "configured"

    @property
    def configured_marker(self) -> Path:
        """Exists when `configured` is complete."""
        return self.root / "configured.json"

    @property
    def configured_listing(self) -> Path:
        """What `configured` consists of."""
        return self.root / "configured.sha256"

    @property
    def configured_stamps(self) -> Path:
        """Sizes and times of files in `configured`."""
        return self.root / "configured.stamps"

    @property
    def objects(self) -> Path:
        """Objects of one flavour, shared by all operator lists."""
        return self.root / "objects" / self.flavour

    @property
    def ledger(self) -> Path:
        """Digests of `objects`; without it, all are compiled again."""
        return self.root / "objects" / f"{self.flavour}.sha256"

    @property
    def source(self) -> Path:
        """Link to PyTorch's tree. Commands name it, so they stay the same when patches change."""
        return self.root / "pytorch"

    @property
    def limits(self) -> Path:
        """Headers that limit single units, named by their content."""
        return self.root / "limits"

    @property
    def registrations(self) -> Path:
        """Generated registrations, named by their content."""
        return self.root / "registrations"

    @property
    def slices(self) -> Path:
        """Sources cut from torchgen's, named by their content."""
        return self.root / "slices"

    @property
    def backend_sources(self) -> Path:
        """Sources that builder makes for backends: calls of their kernels, and their shaders."""
        return self.root / "backends"

    @property
    def runtime(self) -> Path:
        """Link to builder's own C++: commands that name it are the same on every machine."""
        return self.root / "torchlite"

    @property
    def sdk(self) -> Path:
        """Link to an SDK of Apple's or a sysroot, so that commands do not name its place."""
        return self.root / "sdk"

    @property
    def scratch(self) -> Path:
        """Temporary files of tools; each run begins with none."""
        return self.root / "tmp"

    @property
    def plan_folder(self) -> Path:
        """What belongs to one operator list."""
        return self.root / "plans" / self.plan_key

    @property
    def logs(self) -> Path:
        """Full output of every tool."""
        return self.plan_folder / "logs"
