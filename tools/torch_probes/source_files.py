"""Saves a model of networks.py as torch itself saves it, for `builder export FILE`.

    PYTHON source_files.py pt2|traced|scripted|lite MODEL FILE

pt2: a program of torch.export. traced, scripted: TorchScript. lite: a trace that was saved for the
lite interpreter without any optimisation. The numbers of the weights are the same in each.
"""

from __future__ import annotations

import sys

import networks
import torch
from torch import Tensor, nn


class Plain(nn.Module):
    """A model whose results are tensors in a tuple, as traces need them."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Returns the results of the model in their order."""
        found = self.model(x)
        return (found,) if isinstance(found, Tensor) else tuple(found.values())


def main(kind: str, name: str, file: str) -> None:
    """Writes the file."""
    torch.manual_seed(0)
    model, inputs = getattr(networks, name)(), networks.make_inputs(name)
    if kind == "pt2":
        torch.export.save(torch.export.export(model, (), inputs), file)
    elif kind == "scripted":
        torch.jit.script(model).save(file)
    else:
        with torch.no_grad():
            traced = torch.jit.trace(Plain(model), tuple(inputs.values()), check_trace=False)
        if kind == "lite":
            traced._save_for_lite_interpreter(file)  # noqa: SLF001 - torch has no public name
        else:
            traced.save(file)


if __name__ == "__main__":
    main(*sys.argv[1:])
