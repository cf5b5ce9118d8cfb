"""Models that the native tests export: `models:control_flow` and friends."""

import torch
from torch import Tensor, nn


class ControlFlow(nn.Module):
    """Loops, branches on data, dicts, lists, strings and numbers: what tracing cannot carry."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)
        self.limits: dict[str, float] = {"low": -0.5, "high": 0.5}

    def step(self, x: Tensor, name: str) -> Tensor:
        if name == "tanh":
            return torch.tanh(x)
        if name == "clamp":
            return x.clamp(self.limits["low"], self.limits["high"])
        return x * 2.0 + 1.0

    def forward(self, x: Tensor) -> tuple[dict[str, Tensor], list[Tensor], int]:
        out: dict[str, Tensor] = {}
        trail: list[Tensor] = []
        names = ["tanh", "clamp", "scale"]
        count = 0
        while count < 5:
            name = names[count % len(names)]
            x = self.step(self.linear(x), name)
            if bool((x.sum() > 0).item()):
                trail.append(x.mean(dim=1))
            else:
                trail.append(x.std(dim=1))
            out[f"{name}_{count}"] = x
            count += 1
        for key in list(out.keys()):
            if key.startswith("clamp"):
                out[key] = out[key].abs()
        return out, trail, count + len(names)


def control_flow() -> nn.Module:
    """Returns the control-flow model, to be scripted."""
    return ControlFlow().eval()


class Needy(nn.Module):
    """Calls operators that the other models do not."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cumsum(x, 0).erf() + torch.linalg.norm(x)


def needy() -> nn.Module:
    """Returns a model that a runtime for the others must refuse."""
    return Needy().eval()


class Identity(nn.Module):
    """Returns its input: the output must not point into the caller's memory."""

    def forward(self, x: Tensor) -> Tensor:
        return x.view(-1)


def identity() -> nn.Module:
    """Returns a model whose output is a view of its input."""
    return Identity().eval()
