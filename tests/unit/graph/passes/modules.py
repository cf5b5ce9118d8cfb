"""Modules whose optimised forms are compared with eager PyTorch.

TorchScript reads annotations, so they are not postponed here.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CASES: dict[str, Any] = {}
"""Name -> the class, inputs, and how TorchScript is made of it."""
IMAGES = ((1, 3, 16, 16), (2, 3, 20, 12))
BOTH = ("trace", "script")


def case(*shapes: tuple[int, ...], ways: tuple[str, ...] = BOTH, integers: int = 0) -> Any:
    def add(module: Any) -> Any:
        CASES[module.__name__] = (module, shapes, ways, integers)
        return module

    return add


def make(name: str) -> tuple[nn.Module, list[Tensor], tuple[str, ...]]:
    """Returns the module in evaluation with statistics that are not trivial, and its inputs."""
    module, shapes, ways, integers = CASES[name]
    torch.manual_seed(0)
    made = module()
    for part in made.modules():
        if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)):
            part.running_mean.normal_(0, 0.2)
            part.running_var.uniform_(0.5, 2)
            if part.affine:
                nn.init.uniform_(part.weight, 0.5, 1.5)
                nn.init.normal_(part.bias, 0, 0.2)
    if integers:
        inputs = [torch.arange(s[0] * s[1]).view(s) * 3 % integers for s in shapes]
    else:
        inputs = [torch.randn(s) for s in shapes]
    return made.eval(), inputs, ways


RUN = "prepacked::conv2d_clamp_run"
UP = "prepacked::conv2d_transpose_clamp_run"
LINEAR = "prepacked::linear_clamp_run"
WANTED = {
    "MobileBlock": {RUN: 4, "aten::relu6": 0, "aten::batch_norm": 0, "aten::contiguous": 2},
    "ResidualBlock": {
        RUN: 3,
        "aten::_add_relu_.Tensor": 1,
        "aten::batch_norm": 0,
        "aten::contiguous": 1,
        LINEAR: 1,
    },
    "UNet": {UP: 1, RUN: 3, "aten::batch_norm": 0},
    "OneDimension": {RUN: 3, "aten::relu": 0, "aten::unsqueeze": 1, "aten::squeeze.dim": 1},
    "Ungrouped": {UP: 2, "aten::batch_norm": 0, "aten::relu": 0},
    "Dense": {"aten::append.t": 0},
    "Shuffle": {"aten::channel_shuffle": 1, "aten::view": 0},
    "Attention": {LINEAR: 6, "aten::dropout": 0},
    "Recurrent": {LINEAR: 1},
    "State": {"prim::SetAttr": 2, RUN: 1},
}
"""Name -> how often operators are in the optimised graph, for both ways of making TorchScript."""


@case(*IMAGES)
class MobileBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i, o, size, groups in ((3, 8, 3, 1), (8, 16, 1, 1), (16, 16, 3, 16), (16, 8, 1, 1)):
            pad = size // 2
            layers.append(nn.Conv2d(i, o, size, padding=pad, groups=groups, bias=False))
            layers += [nn.BatchNorm2d(o), nn.ReLU6(inplace=True), nn.Dropout(0.2)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


@case(*IMAGES)
class ResidualBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.third = nn.Conv2d(8, 8, 3, padding=1)
        self.norms = nn.ModuleList([nn.BatchNorm2d(8) for _ in range(3)])
        self.end = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norms[0](self.first(x)), inplace=True)
        y = F.relu(self.norms[1](self.second(x)), inplace=True)
        y = self.norms[2](self.third(y))
        y += x
        y = F.max_pool2d(F.relu(y, inplace=True), 2)
        return self.end(torch.flatten(F.adaptive_avg_pool2d(y, 1), 1))


@case(*IMAGES)
class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.LeakyReLU(0.1, True)
        )
        self.deep = nn.Sequential(
            nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()
        )
        self.up = nn.ConvTranspose2d(16, 8, 2, stride=2)
        self.norm = nn.BatchNorm2d(8)
        self.end = nn.Conv2d(16, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = self.down(x)
        b = F.relu(self.norm(self.up(self.deep(a))))
        b = F.interpolate(b, size=a.shape[2:], mode="bilinear", align_corners=False)
        return torch.sigmoid(self.end(torch.cat([a, b], 1)))


@case((2, 4, 9), (1, 4, 14))
class OneDimension(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(4, 8, 5, padding=2, stride=2), nn.BatchNorm1d(8), nn.ReLU(),
            nn.Conv1d(8, 8, 3, padding=2, dilation=2, groups=4), nn.BatchNorm1d(8), nn.ReLU(),
            nn.Conv1d(8, 6, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).mean(2)


@case(*IMAGES)
class Ungrouped(nn.Module):
    """Norms before layers, padding by name, groups, dilation and output padding."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.ReLU(), nn.BatchNorm2d(8), nn.Conv2d(8, 4, 3, groups=2),
            nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, padding=1, bias=False),
            nn.Conv2d(4, 4, 3, padding="same"), nn.BatchNorm2d(4, affine=False),
            nn.ConvTranspose2d(4, 8, 3, stride=2, padding=1, output_padding=1, groups=2),
            nn.BatchNorm2d(8), nn.ConvTranspose2d(8, 4, 3, dilation=2, bias=False), nn.ReLU(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


@case(*IMAGES)
class Dense(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.BatchNorm2d(c) for c in (3, 7, 11)])
        self.layers = nn.ModuleList([nn.Conv2d(c, 4, 3, padding=1) for c in (3, 7, 11)])

    def forward(self, x: Tensor) -> Tensor:
        found: list[Tensor] = [x]
        for norm, layer in zip(self.norms, self.layers):
            found.append(layer(F.relu(norm(torch.cat(found, 1)))))
        return torch.cat(found, 1)


@case(*IMAGES)
class Shuffle(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3)
        self.second = nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        b, c, h, w = y.shape
        y = y.view(b, 2, c // 2, h, w).transpose(1, 2).contiguous().view(b, -1, h, w)
        return self.second(y).relu()


@case(*IMAGES)
class ConvNeXtBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 4, 4)
        self.depth = nn.Conv2d(16, 16, 7, padding=3, groups=16)
        self.norm = nn.LayerNorm(16)
        self.wide = nn.Linear(16, 64)
        self.end = nn.Linear(64, 16)
        self.scale = nn.Parameter(torch.rand(16))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.norm(self.depth(x).permute(0, 2, 3, 1))
        return x + (self.scale * self.end(F.gelu(self.wide(y)))).permute(0, 3, 1, 2)


@case((1, 3, 12, 12), (3, 3, 5, 12))
class LinearOfImages(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 1), nn.Linear(10, 5), nn.Linear(5, 5)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


@case(*IMAGES)
class Views(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.layers(x)
        a = y.view(y.size(0), -1)
        c = y.view(y.size(0), 8, -1).transpose(1, 2)
        p, q = y.chunk(2, 1)
        return a.sum(1) + torch.matmul(c, c.transpose(1, 2)).sum((1, 2)) + (p - q).flatten(1).sum(1)


@case(*IMAGES)
class InPlace(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 8, 1)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        z = self.norm(y)
        y.add_(1.0)
        w = self.second(y)
        F.relu(w, inplace=True)
        v = w.view(w.size(0), -1)
        v.mul_(2.0)
        w[:, 0] = 0.5
        return w + z + y


@case(*IMAGES)
class InputChanges(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        x = x.clone()
        y = self.layer(x)
        x.zero_()
        return self.norm(y) + self.layer(x).relu()


@case(*[(n, 1, h, w) for n, _, h, w in IMAGES])
class OneChannel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 8, 3),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3),
            nn.BatchNorm2d(8),
            nn.Conv2d(8, 1, 1),
            nn.Conv2d(1, 4, 3),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).clamp(-0.1, 0.3)


@case(*IMAGES, ways=("script",))
class Control(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 3, padding=1)])
        self.end = nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.cat([layer(x) for layer in self.layers], 1)
        for i in range(3):
            y = torch.relu(y) + float(i)
        if bool(y.sum() > 0):
            z = self.end(y)
        else:
            z = self.end(y * 2)
        return z


@case((1, 10), (2, 12), integers=50)
class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(50, 32)
        self.places = nn.Parameter(torch.rand(1, 64, 32))
        self.parts = nn.ModuleList([nn.Linear(32, 32) for _ in range(4)])
        self.norm = nn.LayerNorm(32)
        self.end = nn.Sequential(nn.Linear(32, 64), nn.GELU(), nn.Dropout(0.1), nn.Linear(64, 32))
        self.drop = nn.Dropout(0.2)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.words(ids) + self.places[:, : ids.size(1)]
        q = self.parts[0](x).view(x.size(0), -1, 4, 8).transpose(1, 2)
        k = self.parts[1](x).view(x.size(0), -1, 4, 8).transpose(1, 2)
        v = self.parts[2](x).view(x.size(0), -1, 4, 8).transpose(1, 2)
        a = self.drop(F.softmax(torch.matmul(q, k.transpose(-1, -2)) / 2.8, -1))
        c = torch.matmul(a, v).transpose(1, 2).contiguous().view(x.size(0), -1, 32)
        x = self.norm(x + self.drop(self.parts[3](c)))
        return self.norm(x + self.end(x))


@case((1, 10), (2, 7), integers=20)
class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(20, 8)
        self.cells = nn.LSTM(8, 8, 2, batch_first=True, dropout=0.1)
        self.end = nn.Linear(8, 3)

    def forward(self, ids: Tensor) -> Tensor:
        y, _ = self.cells(self.words(ids))
        return self.end(y[:, -1])


@case((1, 6), (5, 6))
class Rows(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(6, 8))
        self.bias = nn.Parameter(torch.rand(8))
        self.layers = nn.Sequential(
            nn.BatchNorm1d(8), nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        y = torch.addmm(self.bias, x, self.weight)
        return self.layers(y) + torch.matmul(x, self.weight) + self.bias


@case((1, 2, 6, 7, 8))
class Volumes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv3d(2, 4, 3),
            nn.BatchNorm3d(4),
            nn.ReLU(True),
            nn.ConvTranspose3d(4, 2, 2, stride=2),
            nn.BatchNorm3d(2),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


@case(*IMAGES)
class Excitation(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.gate = nn.Linear(8, 8)
        self.norms = nn.Sequential(nn.InstanceNorm2d(8), nn.GroupNorm(2, 8))
        self.second = nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect")

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.first(x)
        w = torch.sigmoid(self.gate(y.mean((2, 3)))).unsqueeze(-1).unsqueeze(-1)
        y = F.hardswish(self.second(self.norms(w * y)))
        return F.pixel_shuffle(y, 2), y.permute(0, 2, 3, 1)


@case(*IMAGES, ways=("script",))
class State(nn.Module):
    count: int

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 1)
        self.count = 0
        self.register_buffer("sum", torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        self.count += 1
        y = self.layer(x)
        self.sum += y.mean((0, 2, 3))
        return y + self.sum.view(-1, 1, 1) * self.count
