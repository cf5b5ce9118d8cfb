"""Models that attack whoever loads or runs them, made with the installed torch."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Dict, List, NamedTuple, Tuple  # noqa: UP035 - the TorchScript of torch 1.13 reads these

import torch
from torch import nn

VICTIM, WRITTEN = "victim.sh", "written-by-the-model.txt"
PRECIOUS = "echo my own file, longer than what the model writes\n"
State = Tuple[torch.Tensor, bool]  # noqa: UP006


class _Loading(nn.Module):
    """Runs `attack` when it is loaded: torch calls `__setstate__`."""

    def __init__(self) -> None:
        super().__init__()
        self.x = torch.full((11,), 88, dtype=torch.uint8)

    def forward(self, a: torch.Tensor) -> torch.Tensor:
        return a + self.x

    @torch.jit.export
    def __getstate__(self) -> State:
        return self.x, self.training

    @torch.jit.export
    def __setstate__(self, state: State) -> None:
        self.x = state[0]
        self.training = state[1]
        self.attack()


class Writes(_Loading):
    @torch.jit.export
    def attack(self) -> None:
        torch.save(self.x, "written-by-the-model.txt")


class Patches(_Loading):
    @torch.jit.export
    def attack(self) -> None:
        mapped = torch.from_file("victim.sh", shared=True, size=11, dtype=torch.uint8)
        self.x = mapped.copy_(self.x)


class Loops(_Loading):
    @torch.jit.export
    def attack(self) -> None:
        while True:
            self.x += 1


class TakesMemory(_Loading):
    @torch.jit.export
    def attack(self) -> None:
        while True:
            self.x = torch.cat([self.x, self.x])


class Prints(_Loading):
    @torch.jit.export
    def attack(self) -> None:
        print('{"operators": {}}')  # noqa: T201 - it is what the model does


class Raises(_Loading):
    @torch.jit.export
    def attack(self) -> None:
        raise ValueError("\x1b[2J of the model's own")


LOADING = {
    "writes": Writes,
    "patches": Patches,
    "loops": Loops,
    "takes_memory": TakesMemory,
    "prints": Prints,
    "raises": Raises,
}


class Double(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + x


class Scaled(nn.Module):
    def forward(self, x: torch.Tensor, scale: float, n: int) -> torch.Tensor:
        return torch.add(x, x, alpha=scale) * n


# Not as a class, whose annotations would be texts here, which torch 1.13 does not read.
Pair = NamedTuple("Pair", [("a", torch.Tensor), ("b", torch.Tensor)])  # noqa: UP014


class SumOfPair(nn.Module):
    def forward(self, p: Pair) -> torch.Tensor:
        return p.a + p.b


class Named(nn.Module):
    def forward(self, values: Dict[str, float], x: torch.Tensor) -> torch.Tensor:  # noqa: UP006
        return x * values["scale"]


class Listed(nn.Module):
    def forward(self, x: torch.Tensor, counts: List[int]) -> torch.Tensor:  # noqa: UP006
        return x * len(counts)


class RunPatches(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mapped = torch.from_file("victim.sh", shared=True, size=4, dtype=torch.uint8)
        return x + mapped.fill_(88)


class RunLoops(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        while bool(x.sum() == x.sum()):
            x = x + x - x
        return x


class RunTakesMemory(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.zeros(1 << 40) + x.sum()


class RunRaises(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise ValueError("this runtime lacks operators of the model: a::b.c.d. \x1b[2J")


RUNNING = {
    "double": Double,
    "scaled": Scaled,
    "sum_of_pair": SumOfPair,
    "named": Named,
    "listed": Listed,
    "run_patches": RunPatches,
    "run_loops": RunLoops,
    "run_takes_memory": RunTakesMemory,
    "run_raises": RunRaises,
}


def write_torchscript(name: str, path: Path) -> Path:
    """Writes a TorchScript file that attacks when it is loaded."""
    torch.jit.save(torch.jit.script(LOADING[name]()), str(path))
    return path


def write_lite(name: str, path: Path) -> Path:
    """Writes a lite file that attacks when it runs, or that is to be run wrongly."""
    torch.jit.script(RUNNING[name]())._save_for_lite_interpreter(str(path))
    return path


def write_crashing(path: Path) -> Path:
    """Writes a lite file whose code calls operator 1,000,000 of one: torch reads foreign memory."""
    content = torch.jit.script(Double())._save_to_buffer_for_lite_interpreter()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    (name,) = (name for name in records if name.endswith("/bytecode.pkl"))
    before, call, after = records[name].partition(b"X\x02\x00\x00\x00OP")
    memo, index, rest = after.partition(b"K\x00")
    assert call
    assert index
    assert len(memo) < 4
    records[name] = before + call + memo + b"J\x40\x42\x0f\x00" + rest
    with zipfile.ZipFile(path, "w") as archive:
        for record, data in records.items():
            archive.writestr(record, data)
    return path
