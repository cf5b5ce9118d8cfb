"""Images whose batch may be gone, and images stored as NHWC, by torch's own lite interpreter."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from builder.graph.optimise import Optimisations
from tests.unit.graph.test_optimise_torch import leaves, needs_xnnpack, rewrite

pytestmark = [pytest.mark.torch, needs_xnnpack]
torch = pytest.importorskip("torch", reason="needs torch")

DROPPED = {
    "mean": "t = x.mean(0)",
    "squeeze": "t = x.squeeze() + self.k",
    "where": "t = x.squeeze()\nt = torch.where(t > 0, t, t)",
    "list": "l = [x.squeeze()]\nt = l[0]",
    "changed_list": "l = [x]\nl[0] = x.squeeze()\nt = l[0]",
    "grown_list": "l = [x]\nl.append(x.squeeze())\nt = l[1]",
    "dict": "l = {'a': x.squeeze()}\nt = l['a']",
    "tuple": "p = (x.squeeze(), 1)\nt = p[0]",
    "branch": "t = x\nif bool(x.sum() > -1e9):\n    t = x.squeeze()",
    "loop": "t = x\nfor i in range(1):\n    t = t.squeeze()",
    "iteration": "t = x\nfor u in x:\n    t = u",
    "chunk": "t = x.squeeze().chunk(1, 1)[0]",
    "unbind": "t = torch.unbind(x)[0]",
    "view": "s = x.size()\nt = x.view(s[1:])",
    "grown_sizes": "s = [4]\ns.append(8)\ns.append(8)\nt = x.view(s)",
    "index": "t = x[torch.tensor(0)]",
    "einsum": "t = torch.einsum('bchw->chw', [x])",
    "maximum": "t = torch.max(x, 0)[0]",
    "in_place": "t = x.clone()\nt.squeeze_()",
    "asked": "t = x.squeeze()\nif t.dim() == 3:\n    t = t.relu()",
}
TAILS = {
    "convolution": "return self.conv(t).relu()",
    "pool": "p = torch.max_pool2d(t, 2)\nreturn p, p.dim(), p.size(), p.flatten(1)",
}
NHWC = {
    "transposed": "return self.transposed(x).view(x.size(0), -1)",
    "changed": "y = self.transposed(x)\nz = y.view(-1)\nz.add_(1)\nreturn y",
    "flattened": "y = self.transposed(x)\nz = y.flatten()\nz.add_(1)\nreturn y",
    "strides": "return self.transposed(x).is_contiguous()",
    "row": "return self.row(x[0]).view(-1)",
    "changed_row": "y = self.row(x[0])\nz = y.view(-1)\nz.add_(1)\nreturn y",
    "linear": "return self.linear(x)",
}


def script(body: str) -> Any:
    torch.manual_seed(0)
    # Modules of one class share their methods, so each gets a class of its own.
    layers = type("Layers", (torch.nn.Module,), {})()
    layers.conv = torch.nn.Conv2d(4, 4, 3, padding=1)
    layers.transposed = torch.nn.ConvTranspose2d(4, 4, 3)
    layers.row = torch.nn.Conv1d(8, 4, 3)
    layers.linear = torch.nn.Linear(8, 3)
    layers.register_buffer("k", torch.randn(4, 8, 8))
    layers.register_buffer("m", torch.rand(4) + 0.5)
    made = torch.jit.script(layers.eval())
    made.define("def forward(self, x):\n" + textwrap.indent(body, "    ") + "\n")
    return made


def numbers(value: Any) -> list[Any]:
    if isinstance(value, torch.Tensor | int | bool):
        return [torch.as_tensor(value)]
    return [leaf for item in value for leaf in numbers(item)]


def known(ranks: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    return {"forward": ranks} if ranks else {}


def check(body: str, path: Path, image: Any, wanted: Optimisations) -> None:
    module = script(body)
    after, _ = rewrite(module, path, wanted)
    with torch.no_grad():
        expected, found = numbers(module(image.clone())), numbers(after(image.clone()))
    assert leaves(expected)
    for one, other in zip(found, expected, strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("drop", DROPPED)
def test_a_dropped_batch(drop: str, tail: str, tmp_path: Path):
    image = torch.randn(1, 4, 8, 8)
    body = f"{DROPPED[drop]}\n{TAILS[tail]}"
    for ranks in ((), (4,)):
        for prepack in (False, True):
            check(body, tmp_path, image, Optimisations(ranks=known(ranks), prepack=prepack))


def test_a_norm_over_what_would_be_the_channels_of_a_batch(tmp_path: Path):
    given = "None, None, self.m, self.m, False, 0.1, 1e-5, False"
    norm = f"torch.batch_norm(self.conv(x.mean(0)), {given})"
    # As many rows as channels.
    image = torch.randn(1, 4, 4, 4)
    for ranks in ((), (4,)):
        check(f"return {norm}", tmp_path, image, Optimisations(ranks=known(ranks)))


@pytest.mark.parametrize("ranks", [(), (4,)])
@pytest.mark.parametrize("case", NHWC)
def test_images_stored_as_nhwc(case: str, ranks: tuple[int, ...], tmp_path: Path):
    image = torch.randn(1, 4, 8, 8)
    stored = image.contiguous(memory_format=torch.channels_last)
    if "row" in NHWC[case]:
        # As a tensor over one dimension whose channels are last.
        image = torch.randn(1, 1, 6, 8).transpose(2, 3).contiguous()
        stored = image.transpose(2, 3).contiguous().transpose(2, 3)
    for one in (image, stored):
        check(NHWC[case], tmp_path, one, Optimisations(ranks=known(ranks)))


def test_a_file_says_which_images_it_takes(tmp_path: Path):
    after, _ = rewrite(script("y = self.conv(x)\nreturn y, y.dim()"), tmp_path)
    with pytest.raises(torch.jit.Error, match="takes x with 4 dimensions, of which the first"):
        after(torch.randn(4, 8, 8))
    assert after(torch.randn(2, 4, 8, 8))[1] == 4


def test_a_sample_without_a_batch_leaves_both_ways_open(tmp_path: Path):
    module = script("y = self.conv(x)\nreturn y, y.dim()")
    after, _ = rewrite(module, tmp_path, Optimisations(ranks={"forward": (3,)}))
    for shape in ((4, 8, 8), (2, 4, 8, 8)):
        assert after(torch.randn(shape))[1] == len(shape)
