"""Writes lite files for the Java tests; prints `NAME: why` for what torch cannot make.

python java_models.py values FOLDER
python java_models.py upstream FOLDER TREE NAME...
"""

import sys
from pathlib import Path
from typing import Optional

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from upstream_models.modules import choose, load_modules


class Values(nn.Module):
    """A method for each kind of value, each way to fail, each owner of memory."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.arange(6.0).reshape(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return x * 2 + self.weight

    @torch.jit.export
    def same(self, x: Tensor) -> Tensor:
        return x

    @torch.jit.export
    def weights(self) -> Tensor:
        return self.weight

    @torch.jit.export
    def zeros(self, count: int) -> Tensor:
        return torch.zeros([count])

    @torch.jit.export
    def comparison(self, x: Tensor) -> Tensor:
        return x > 0

    @torch.jit.export
    def count(self, times: int) -> int:
        total = 0
        for i in range(times):
            total += i
        return total

    @torch.jit.export
    def fail(self, text: str) -> Tensor:
        raise RuntimeError("the model says: " + text)

    @torch.jit.export
    def text(self, x: str) -> str:
        return x

    @torch.jit.export
    def texts(self, x: list[str]) -> list[str]:
        return x

    @torch.jit.export
    def numbers(self, x: list[float], y: list[bool]) -> tuple[list[float], list[bool]]:
        return x, y

    @torch.jit.export
    def tensors(self, x: list[Tensor]) -> list[Tensor]:
        return x

    @torch.jit.export
    def given(self, x: list[Optional[Tensor]]) -> list[bool]:  # noqa: UP045 - TorchScript
        return [one is not None for one in x]

    @torch.jit.export
    def written(self, x: Tensor) -> Tensor:
        return x.add_(1)

    @torch.jit.export
    def nested(self, x: dict[str, list[tuple[int, Tensor]]]) -> dict[str, list[tuple[int, Tensor]]]:
        return x

    @torch.jit.export
    def by_number(self, x: dict[int, str]) -> dict[int, str]:
        return x

    @torch.jit.export
    def by_real(self) -> dict[float, int]:
        return {0.5: 1}


def write_values(folder: str) -> None:
    scripted = torch.jit.script(Values().eval())
    extra = {"labels.txt": "Käse\N{CHEESE WEDGE}", "packed.bin": b"\x00\xff\xc3\x01"}
    scripted._save_for_lite_interpreter(str(Path(folder, "values.ptl")), _extra_files=extra)


def write_upstream(folder: str, tree: str, *names: str) -> None:
    """Saves modules of upstream's gen_test_model.py as it saves them."""
    for module in choose(load_modules(Path(tree)), names):
        try:
            module.script()._save_for_lite_interpreter(str(Path(folder, f"{module.name}.ptl")))
        except Exception as error:  # noqa: BLE001 - the reason is the result
            sys.stdout.write(f"{module.name}: {' '.join(str(error).split())[:200]}\n")


if __name__ == "__main__":
    {"values": write_values, "upstream": write_upstream}[sys.argv[1]](*sys.argv[2:])
