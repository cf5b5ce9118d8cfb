"""Models that the native tests export: `models:control_flow` and friends."""

import warnings
from typing import List, Optional  # noqa: UP035

import torch
import torchvision.ops as vision
from torch import Tensor, nn
from torch.nn import functional


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


class Nested(nn.Module):
    """Takes and returns values in values, numbers among them."""

    def forward(
        self, pairs: list[tuple[Tensor, Tensor]], named: dict[str, Tensor], by: float, times: int
    ) -> tuple[list[Tensor], dict[str, Tensor], float]:
        found = {key: value * by for key, value in named.items()}
        return [left @ right for left, right in pairs] * times, found, by * times


def nested() -> nn.Module:
    """Returns a model whose inputs are no tensors, to be scripted."""
    return Nested().eval()


class Everything(nn.Module):
    """Takes and returns each kind of value that the C API has, strings and None too."""

    def forward(
        self,
        named: dict[str, list[Tensor]],
        text: str,
        maybe: Optional[int],  # noqa: UP045 - torch 1.13 knows no `|`
        pair: tuple[bool, float],
        numbers: list[float],
    ) -> tuple[dict[str, Tensor], list[str], Optional[int], tuple[bool, float], Tensor]:  # noqa: UP045
        sums: dict[str, Tensor] = {}
        for key, items in named.items():
            sums[text + key] = torch.stack(items).sum()
        return sums, [text, "é"], maybe, (not pair[0], pair[1] + sum(numbers)), named["first"][0]


def everything() -> nn.Module:
    """Returns a model for the C API's values, to be scripted."""
    return Everything().eval()


class Attention(nn.Module):
    """Matrices of each layout, rows of odd widths, masked elements, and elements that are apart."""

    def forward(self, x: Tensor) -> list[Tensor]:
        query, key = x.permute(0, 2, 1, 3), x.permute(0, 2, 3, 1)
        scores = (query @ key) / 4
        masked = scores.masked_fill(scores > 1.0, float("-inf"))
        weights = torch.softmax(masked, -1)
        apart = functional.gelu(x[..., ::2]) + functional.leaky_relu(x[..., ::2], 0.1)
        wide = torch.softmax(200 * x, -1)
        return [weights, weights @ query, functional.gelu(x), functional.leaky_relu(x), apart, wide]


def attention() -> nn.Module:
    return Attention()


class Speaker(nn.Module):
    """Takes strings and None, has defaults, and methods with inputs of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, 2.0, 4.0]))

    def forward(
        self,
        words: list[str],
        past: Optional[Tensor] = None,  # noqa: UP045
        end: str = ".",
        mask: Optional[Tensor] = None,  # noqa: UP045
    ) -> Tensor:
        x = self.weight * len(words)
        for word in words:
            x = x * 2 + len(word) + (0 if word == end else 1)
        if past is not None:
            x = x + past
        return x if mask is None else x * mask

    @torch.jit.export
    def repeat(self, x: Tensor, times: int) -> Tensor:
        return x.repeat(times, 1) + self.weight

    @torch.jit.export
    def initial(self) -> list[Tensor]:
        return [self.weight + 1, self.weight * 2]


def speaker() -> nn.Module:
    """Returns a model of strings and methods, to be scripted."""
    return Speaker().eval()


class Scaling(nn.Module):
    """Arithmetic that has a kernel per dtype."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 2 + 1


def scaling() -> nn.Module:
    """Returns a model that runs with inputs of any dtype."""
    return Scaling().eval()


def upscaling() -> nn.Module:
    """Returns a transposed convolution, in groups."""
    return nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2, output_padding=1).eval()


class Quantisable(nn.Module):
    """Convolution, depthwise convolution, addition and linear, on quantised tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.quant = torch.ao.quantization.QuantStub()
        self.dequant = torch.ao.quantization.DeQuantStub()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.relu = nn.ReLU()
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.add = torch.nn.quantized.FloatFunctional()
        self.linear = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.conv(self.quant(x)))
        x = self.add.add(x, self.depthwise(x)).mean([2, 3])
        return self.dequant(self.linear(x))


def quantised() -> nn.Module:
    """Returns a statically quantised model for QNNPACK, calibrated on seeded noise."""
    torch.backends.quantized.engine = "qnnpack"
    torch.manual_seed(0)
    model = Quantisable().eval()
    model = torch.ao.quantization.fuse_modules(model, [["conv", "relu"]])
    model.qconfig = torch.ao.quantization.get_default_qconfig("qnnpack")
    torch.ao.quantization.prepare(model, inplace=True)
    for _ in range(4):
        model(torch.randn(1, 3, 16, 16))
    return torch.ao.quantization.convert(model)


class Spoken(nn.Module):
    """A recurrent and a linear layer, whose weights can be quantised."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(16, 32, 2, batch_first=True)
        self.linear = nn.Linear(32, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.lstm(x)[0][:, -1])


def spoken() -> nn.Module:
    """Returns a model for dynamic quantisation, with seeded weights."""
    torch.manual_seed(0)
    return Spoken().eval()


class Detector(nn.Module):
    """Calls each of torchvision's C++ operators, on boxes of which some overlap."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = nn.Conv2d(4, 18, 3, padding=1)
        self.mask = nn.Conv2d(4, 9, 3, padding=1)
        self.deform = vision.DeformConv2d(4, 4, 3, padding=1)

    def forward(self, x: Tensor, boxes: Tensor, scores: Tensor) -> list[Tensor]:
        corners = boxes[:, :2].abs() * 4
        boxes = torch.cat([corners, corners + 8 + boxes[:, 2:].abs()], 1)
        x = self.deform(x, self.offset(x), self.mask(x).sigmoid())
        keep = vision.nms(boxes, scores, 0.5)
        rois = torch.cat([torch.zeros_like(boxes[keep, :1]), boxes[keep]], 1)
        return [
            keep,
            x,
            vision.roi_align(x, rois, [3, 3], 0.5, 2, True),
            vision.ps_roi_align(x, rois, 2, 0.5, 2),
            vision.roi_pool(x, rois, [3, 3], 0.5),
            vision.ps_roi_pool(x, rois, 2, 0.5),
        ]


def detector() -> nn.Module:
    """Returns a model of torchvision's operators, with seeded weights."""
    torch.manual_seed(0)
    return Detector().eval()


class Spectrum(nn.Module):
    """Fourier transforms in each direction, of real and complex numbers, with conjugates."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.hann_window(32))

    def forward(self, x: Tensor) -> list[Tensor]:
        half = torch.fft.rfft(x)
        plane = torch.fft.fft2(x)
        frames = torch.stft(x, 32, hop_length=8, window=self.window, return_complex=True)
        inverse = torch.fft.ihfft(x)
        return [
            half.abs(),
            torch.fft.irfft(half * 0.5),
            plane.imag,
            torch.fft.ifft(plane).real,
            torch.view_as_real(frames),
            torch.istft(frames * 2.0, 32, hop_length=8, window=self.window),
            torch.fft.hfft(half),
            inverse.imag,
        ]


def spectrum() -> nn.Module:
    """Returns a model of FFT operators whose outputs are real."""
    return Spectrum().eval()


class Callers(nn.Module):
    """Takes and gives what apps pass: named values, lists, dicts, strings, None, other methods."""

    def __init__(self) -> None:
        super().__init__()
        self.names = ["cat", "dog"]

    def forward(
        self,
        x: Tensor,
        scale: float = 2.0,
        mask: Optional[Tensor] = None,  # noqa: UP045 - torch 1.13 reads no other
    ) -> dict[str, Tensor]:
        scaled = x * scale
        if mask is not None:
            scaled = scaled * mask
        return {"out": scaled, "sum": scaled.sum()}

    @torch.jit.export
    def detect(self, images: list[Tensor]) -> tuple[int, list[dict[str, Tensor]]]:
        """As detection models do: images of several sizes, a dict for each."""
        found: list[dict[str, Tensor]] = []
        for image in images:
            labels = torch.ones([2], dtype=torch.int64)
            found.append({"boxes": image * 3.0, "labels": labels})
        return len(images), found

    @torch.jit.export
    def recognize(
        self,
        x: Tensor,
        words: Optional[List[str]] = None,  # noqa: UP006, UP045 - torch 1.13 reads no other
        state: Optional[Tensor] = None,  # noqa: UP045
    ) -> tuple[str, list[str], Tensor]:
        """As models of speech do: the result of one call goes into the next one."""
        total = x.sum() if state is None else x.sum() + state
        heard = [self.names[0]] if words is None else words + [self.names[1]]  # noqa: RUF005
        return " ".join(heard), heard, total

    @torch.jit.export
    def get_classes(self) -> list[str]:
        """Returns texts."""
        return self.names

    @torch.jit.export
    def talk(self, x: Tensor) -> Tensor:
        """Writes where a log is, or to the streams of the process."""
        print("printed", x.size(0))  # noqa: T201
        warnings.warn("warned\nof something", stacklevel=2)
        return x * 1.0


def callers() -> nn.Module:
    """Returns the model of programs that use the C API and the headers around it."""
    return Callers().eval()
