"""Modules with what the committed models lack: kinds of prepacked operators, state, calls."""

from typing import Any

import torch
from torch import Tensor, nn


class Mobile(nn.Module):
    """What MobileNetV2 is made of, and so with its operators, a hundredth as large."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.pointwise = nn.Conv2d(8, 8, 1)
        self.linear = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        """Returns numbers for images of three channels."""
        x = nn.functional.hardtanh(self.first(x), 0.0, 6.0)
        x = x + self.pointwise(nn.functional.hardtanh(self.depthwise(x), 0.0, 6.0))
        x = nn.functional.adaptive_avg_pool2d(x, (1, 1))
        return self.linear(torch.flatten(x, 1))


class Upscaling(nn.Module):
    """A transposed convolution and some shapes."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(3, 4, 2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Returns numbers for images of three channels."""
        x = torch.relu(self.up(x))
        parts = torch.cat([x[:, :2], x.permute(0, 1, 3, 2)[:, 2:]], 1)
        return torch.softmax(parts.reshape(parts.size(0), -1), 1)


class Dynamic(nn.Module):
    """Two linear layers, to be quantised when they run."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Returns numbers for rows of eight."""
        return self.layers(x)


class Stateful(nn.Module):
    """Attributes that change, methods that call others, an exception, kinds that are asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(4))
        self.count = 0
        self.names: list[str] = ["a", "b"]

    @torch.jit.export
    def add(self, x: Tensor, times: int) -> tuple[Tensor, int]:
        """Adds to what the module keeps."""
        self.total = self.total * 0.5 + x
        self.count = (self.count + times) % 3
        if times < 0:
            raise ValueError("negative")
        return self.total, times

    def forward(self, x: Tensor, times: int) -> tuple[Tensor, list[str], int]:
        """Calls the other method a few times."""
        total, count = self.add(x, times)
        sizes: list[int] = []
        for name in self.names:
            sizes.append(len(name))
            x.add_(total[:2].sum())
        first, second = self.names
        found = x.view(2, 2)[0].to(torch.float32)
        if not torch.is_floating_point(found) or found.dim() != 1:
            found = total
        return found.clone(), [first + second], count + sizes[0]


class Shift(nn.Module):
    """Stands in for a linear layer, without an operator that an optimised model has not."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-1, 1, 24).reshape(3, 8))

    def forward(self, x: Tensor) -> Tensor:
        """Adds its weight."""
        return x + self.weight


class Written(nn.Module):
    """An operator that writes to one of its arguments."""

    def forward(self, x: Tensor) -> Tensor:
        """Returns twice its input."""
        return torch.add(x, x, out=torch.zeros(2, 3))


class Asking(nn.Module):
    """Asks what a value is, which only run time can tell."""

    def forward(self, x: Tensor) -> Tensor:
        """Adds one to its input."""
        values: list[Any] = [(x, x)]
        if isinstance(values[0], tuple[Tensor, Tensor]):
            return x + 1
        return x
