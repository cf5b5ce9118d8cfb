"""The networks, with one set of weights each, and what is made of them for all converters.

    PYTHON -m peer_engines.networks FOLDER NAME

PYTHON is that of the peers' environment. FOLDER receives the network as a program of torch.export
(`program.pt2`), its weights, its inputs, what eager PyTorch makes of them, and images to calibrate
with.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

from zoo_models.models import BertQuestionAnswering, LanguageModel

WORDS = 10_000
CALIBRATION = 8
"""Images that quantisers see."""


class _Block(nn.Sequential):
    """Reflection padding, convolution, a norm over all channels, leaky ReLU."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 3, *, stride: int = 1, groups: int = 1
    ) -> None:
        pad = (0, 1, 0, 1) if stride == 2 else kernel // 2
        super().__init__(
            *([nn.ReflectionPad2d(pad)] if kernel > 1 else []),
            nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=groups > 1),
            nn.GroupNorm(1, outputs),
            nn.LeakyReLU(0.2, inplace=True),
        )


class _Residual(nn.Module):
    """Widens, convolves each channel by itself, and narrows; added to its input where that fits."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        wide, self.adds = 2 * inputs, inputs == outputs
        self.layers = nn.Sequential(
            _Block(inputs, wide, 1),
            _Block(wide, wide, groups=wide),
            nn.Conv2d(wide, outputs, 1, bias=False),
            nn.GroupNorm(1, outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        out = self.layers(x)
        return x + out if self.adds else out


class AnimeGenerator(nn.Module):
    """A generator with the layers and widths that AnimeGANv2 publishes: 2.1 million parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.middle = nn.Sequential(
            *(_Block(3, 32, 7), _Block(32, 64, stride=2), _Block(64, 64)),
            *(_Block(64, 128, stride=2), _Block(128, 128), _Block(128, 128)),
            *(_Residual(128, 256), *(_Residual(256, 256) for _ in range(3)), _Block(256, 128)),
        )
        self.smaller = nn.Sequential(_Block(128, 128), _Block(128, 128))
        self.larger = nn.Sequential(_Block(128, 64), _Block(64, 64), _Block(64, 32, 7))
        self.out = nn.Sequential(nn.Conv2d(32, 3, 1, bias=False), nn.Tanh())

    def forward(self, picture: Tensor) -> Tensor:
        x = _double(self.middle(picture))
        return self.out(self.larger(_double(self.smaller(x))))


def _double(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


class _FirstOutput(nn.Module):
    """A language model that gives its scores only."""

    def __init__(self) -> None:
        super().__init__()
        self.model = LanguageModel(256)
        self.model.words, self.model.out = nn.Embedding(WORDS, 256), nn.Linear(256, WORDS)

    def forward(self, ids: Tensor) -> Tensor:
        return self.model(ids)[0]


def _classifier() -> nn.Module:
    """Returns MobileNetV2 whose batch norms have the statistics of random images."""
    model = torchvision.models.mobilenet_v2(weights=None)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None  # an average over what it has seen
    with torch.no_grad():
        model.train()(torch.randn(CALIBRATION, 3, 224, 224))
    return model


def _bert() -> nn.Module:
    return BertQuestionAnswering(width=256, layers=4)


def _image(size: int) -> tuple[Tensor, ...]:
    return (torch.randn(1, 3, size, size),)


def _sentence() -> tuple[Tensor, ...]:
    ids = torch.randint(0, 500, (1, 128))
    return ids, torch.zeros_like(ids), torch.ones_like(ids)


NETWORKS: dict[str, tuple[Callable[[], nn.Module], Callable[[], tuple[Tensor, ...]]]] = {
    "mobilenet_v2": (_classifier, lambda: _image(224)),
    "mobilenet_v2_int8": (_classifier, lambda: _image(224)),
    "animegan_v2_256": (AnimeGenerator, lambda: _image(256)),
    "animegan_v2_400": (AnimeGenerator, lambda: _image(400)),
    "lstm": (_FirstOutput, lambda: (torch.randint(0, WORDS, (1, 64)),)),
    "bert": (_bert, _sentence),
}
"""Name -> what makes the network and its inputs."""
INPUT_NAMES = {"lstm": ("ids",), "bert": ("ids", "types", "mask")}
"""Names of the inputs; `image` where there is no entry."""


def make_network(name: str) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """Returns the network in evaluation mode, and its inputs; the same ones in each process."""
    network, inputs = NETWORKS[name]
    torch.manual_seed(0)
    model = network().eval()
    return model, inputs()


def calibration_images(inputs: tuple[Tensor, ...]) -> list[np.ndarray]:
    """Returns images for quantisers, of which the network's input is the first."""
    generator = torch.Generator().manual_seed(1)
    others = (torch.randn(inputs[0].shape, generator=generator) for _ in range(CALIBRATION - 1))
    return [image.numpy() for image in (inputs[0], *others)]


def main() -> None:
    """Writes the files of a network."""
    folder, name = Path(sys.argv[1]), sys.argv[2]
    folder.mkdir(parents=True, exist_ok=True)
    model, inputs = make_network(name)
    with torch.no_grad():
        results = model(*inputs)
    outputs = results if isinstance(results, tuple) else (results,)
    np.savez(folder / "inputs.npz", *(x.numpy() for x in inputs))
    np.savez(folder / "outputs.npz", *(x.numpy() for x in outputs))
    (folder / "inputs.txt").write_text(" ".join(INPUT_NAMES.get(name, ("image",))))
    torch.save(model.state_dict(), folder / "weights.pt")
    images = folder / "calibration"
    images.mkdir(exist_ok=True)
    if name.endswith("_int8"):
        for index, image in enumerate(calibration_images(inputs)):
            np.save(images / f"{index}.npy", image)
    torch.export.save(torch.export.export(model, inputs), folder / "program.pt2")


if __name__ == "__main__":
    main()
