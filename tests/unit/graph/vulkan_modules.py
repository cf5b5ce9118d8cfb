"""Modules that are made for Vulkan and compared with eager PyTorch.

TorchScript reads annotations, so they are not postponed here.
"""

import torch
from torch import Tensor, nn


class Sequence1d(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv1d(4, 6, 3, padding=1, groups=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).relu()


class Transposed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.layer(x))


class Perceptron(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 16), nn.Linear(16, 5, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.softmax(self.second(torch.relu(self.first(x))), -1)


class Norms(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.up = nn.Conv2d(3, 8, 3), nn.Upsample(scale_factor=2.0, mode="bilinear")
        self.norm = nn.LayerNorm([8, 6, 6])
        self.plain = nn.LayerNorm(6, elementwise_affine=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.up(torch.sigmoid(self.plain(self.norm(self.layer(x)))))


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.down = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 16, 3, 2, 1)
        self.up, self.last = nn.ConvTranspose2d(16, 8, 2, stride=2), nn.Conv2d(16, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = torch.relu(self.a(x))
        return self.last(torch.cat([a, self.up(torch.relu(self.down(a)))], 1))


class Pools(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.pool = nn.Conv2d(3, 8, 3, padding=1), nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.hardswish(self.pool(self.layer(x))).mean([2, 3])


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.norm = nn.LayerNorm(8)

    def forward(self, x: Tensor) -> Tensor:
        scores = torch.bmm(self.q(x), self.k(x).transpose(1, 2)) * 0.35
        return self.norm(torch.bmm(torch.softmax(scores, -1), self.v(x)) + x)


class MobileBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wide, self.deep = nn.Conv2d(8, 16, 1), nn.Conv2d(16, 16, 3, 1, 1, groups=16)
        self.norm, self.clamp = nn.BatchNorm2d(16), nn.ReLU6(inplace=True)
        self.narrow = nn.Conv2d(16, 8, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.narrow(self.clamp(self.norm(self.deep(self.clamp(self.wide(x))))))


class Grouped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(8, 12, 3, groups=4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.layer(x))


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.pool = nn.Conv2d(8, 8, 3, padding=1), nn.MaxPool2d(3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        out = self.layer(x)
        out += x
        return self.pool(nn.functional.relu(out, inplace=True))


class Forms(nn.Module):
    """Operators that Vulkan lacks."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.act = nn.Conv2d(3, 4, 3), nn.SiLU(inplace=True)
        self.slope, self.group = nn.PReLU(4), nn.GroupNorm(2, 4)
        self.instance, self.one = nn.InstanceNorm2d(4, affine=True), nn.GroupNorm(1, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.layer(x))
        x = self.slope(self.one(self.group(self.instance(x))))
        x = 2.5 - x + 1.0 / (x.square() + 3) + torch.rsqrt(x * x + 1) - (-x).clamp_min(0.25)
        return x**3 + (x * x).mean()


class Shuffles(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.pixels = nn.Conv2d(3, 8, 3, padding=1), nn.PixelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.cat([self.layer(x), self.layer(-x)], 1)
        n, c, h, w = y.shape
        y = y.view(n, 2, c // 2, h, w).transpose(1, 2).contiguous().view(n, c, h, w)
        return self.pixels(torch.relu(y))[:, :1].squeeze(1)


class Norm3(nn.Module):
    """A batch norm that no layer takes, of channels that no texels fill."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.four = nn.BatchNorm2d(3), nn.BatchNorm2d(4, affine=False)
        self.layer = nn.Conv2d(3, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.four(self.layer(torch.relu(self.norm(x))).sigmoid())


class Steps(nn.Module):
    """One step of a decoder, with states of what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.last = nn.LSTM(4, 6, 2, batch_first=True), nn.GRU(6, 6, batch_first=True)
        self.start = nn.Linear(4, 12)

    def forward(self, x: Tensor) -> Tensor:
        h = self.start(x).view(-1, 2, 6).transpose(0, 1)
        y, (h, c) = self.cell(x.unsqueeze(1), (h, h * 0.5))
        return self.last(y, h[1:])[0] + c[:1].transpose(0, 1)


TRACED = {Norms, Forms, Steps}
"""Scripts of them compute sizes with Python code of torch that is not folded."""
CASES = {
    Sequence1d: (1, 4, 10),
    Transposed: (1, 4, 5, 5),
    Perceptron: (2, 8),
    Norms: (1, 3, 8, 8),
    UNet: (2, 3, 8, 8),
    Pools: (1, 3, 8, 8),
    Attention: (2, 6, 8),
    MobileBlock: (1, 8, 6, 6),
    Grouped: (2, 8, 6, 6),
    Residual: (1, 8, 7, 7),
    Forms: (2, 3, 7, 8),
    Shuffles: (2, 3, 4, 6),
    Norm3: (2, 3, 4, 4),
    Steps: (3, 4),
}
