"""Models that the probes export: `nets:Small` and friends."""

import torch
from torch import Tensor, nn
from torch.ao.quantization import DeQuantStub, QuantStub, fuse_modules


class Small(nn.Module):
    """Convolution, batch norm, linear."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.out = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.relu(self.norm(self.conv(x))).mean((2, 3)))


class Stubbed(Small):
    """The same, told where numbers become quantised."""

    def __init__(self) -> None:
        super().__init__()
        self.quant, self.dequant = QuantStub(), DeQuantStub()

    def fuse_model(self) -> None:
        """What eager quantisation calls first."""
        fuse_modules(self, ["conv", "norm"], inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.dequant(super().forward(self.quant(x)))


class Control(nn.Module):
    """What only a script carries."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)
        self.limits: dict[str, float] = {"low": -0.5, "high": 0.5}

    def forward(self, x: Tensor) -> tuple[dict[str, Tensor], list[Tensor], int]:
        found: dict[str, Tensor] = {}
        trail: list[Tensor] = []
        for name in ["tanh", "clamp", "scale"]:
            if name == "tanh":
                x = torch.tanh(self.linear(x))
            elif name == "clamp":
                x = x.clamp(self.limits["low"], self.limits["high"])
            else:
                x = x * 2.0 + 1.0
            trail.append(x.mean(dim=1) if bool((x.sum() > 0).item()) else x.std(dim=1))
            found[name + "_x"] = x
        return found, trail, len(trail)


class Nested(nn.Module):
    """Takes a list, a dict and a number."""

    def forward(
        self, pair: list[Tensor], named: dict[str, Tensor], by: float
    ) -> tuple[Tensor, Tensor]:
        return pair[0] @ pair[1] * by, named["bias"] + 1


class Methods(nn.Module):
    """A method beside forward()."""

    def forward(self, x: Tensor) -> Tensor:
        return self.encode(x) * 2

    @torch.jit.export
    def encode(self, x: Tensor) -> Tensor:
        """What is to be kept."""
        return x + 1


class Sum(nn.Module):
    """What NNAPI can express."""

    def forward(self, x: Tensor) -> Tensor:
        return x + x
