"""Models for NNAPI as torch's converter writes them, and files that it would not write."""

import struct

import torch
from torch import Tensor, nn
from torch.backends._nnapi.prepare import convert_model_to_nnapi
from torch.backends._nnapi.serializer import _NnapiSerializer

HEAD = ("version", "operands", "values", "operations", "inputs", "outputs")


class Small(nn.Module):
    """Each operation of MobileNetV2 once."""

    def __init__(self):
        super().__init__()
        self.full = nn.Conv2d(2, 4, 3, padding=1)
        self.depthwise = nn.Conv2d(4, 4, 3, groups=4)
        self.linear = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.hardtanh(self.depthwise(self.full(x)), 0.0, 6.0)
        return self.linear(nn.functional.adaptive_avg_pool2d(x + x, 1).flatten(1))


class Averaged(nn.Module):
    """`mean`, and an addition for which the converter transposes."""

    def __init__(self):
        super().__init__()
        self.register_buffer("shift", torch.randn(1, 3, 1, 1))

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return (x + y).mean([2, 3], keepdim=True), x.mean([2, 3]).relu()


def trace(module, inputs):
    return torch.jit.trace(module.eval(), inputs)


def serialize(module, inputs):
    """Returns the words of a converted model, and its weights."""
    frozen = torch.jit.freeze(trace(module, inputs))
    words, weights, *_ = _NnapiSerializer(None).serialize_model(frozen, inputs)
    return list(words), [weight.contiguous() for weight in weights]


def save(module, path):
    module._save_for_lite_interpreter(str(path))
    return path


def convert(module, inputs, path, **options):
    return save(convert_model_to_nnapi(trace(module, inputs), list(inputs), **options), path)


class Layout:
    """Where the parts of a serialized model are: indices of words."""

    def __init__(self, words):
        counts = dict(zip(HEAD, words, strict=False))
        self.operands = 6
        self.values = self.operands + 4 * counts["operands"]
        self.operations = self.values + 3 * counts["values"]
        self.sizes = self.operations + 3 * counts["operations"]
        dimensions = [words[self.operands + 4 * n + 1] for n in range(counts["operands"])]
        self.data = self.sizes + sum(dimensions)
        lengths = [words[self.values + 3 * n + 2] for n in range(counts["values"])]
        self.arguments = self.data + sum(-(-length // 4) for length in lengths)
        self.outputs = len(words) - counts["outputs"]
        self.inputs = self.outputs - counts["inputs"]

        self.buffers = [
            self.data + sum(-(-length // 4) for length in lengths[:n])
            for n in range(counts["values"])
            if words[self.values + 3 * n + 1] == 2
        ]


def bits(number: float) -> int:
    (word,) = struct.unpack("i", struct.pack("f", number))
    return word


class Misuse(nn.Module):
    """Calls the class as no converter does; `case` says how."""

    def __init__(self, words, weights):
        super().__init__()
        self.words = torch.tensor(words, dtype=torch.int32)
        self.weights: list[Tensor] = weights

    def forward(self, x: Tensor, case: int) -> Tensor:
        out = torch.zeros([1, 3])
        compiled = torch.classes._nnapi.Compilation()
        if case == 1:
            compiled.run([x], [out])
        preference = 3 if case == 2 else 2
        words = self.words.to(torch.int64) if case == 3 else self.words
        weights = self.weights
        if case == 4:
            weights = weights[:2]
        if case == 5:
            weights = [weight.to(torch.float64)[:1] for weight in weights]
        if case == 6:
            weights = [weight.expand([2] + weight.shape) for weight in weights]
        if case in [8, 15]:
            # No other object holds these weights and these words.
            weights = [weight + 0 for weight in weights]
            words = words + 0
        compiled.init2(words, weights, preference, case == 15)
        if case == 7:
            compiled.init2(words, weights, preference, False)
        if case == 8:
            weights[1].resize_([100000])
        if case == 9:
            compiled.run([x, x], [out])
        elif case == 10:
            compiled.run([x.to(torch.int32)], [out])
        elif case == 11:
            compiled.run([x[:, :1]], [out])
        elif case == 12:
            compiled.run([x], [torch.zeros([1, 2])])
        elif case == 13:
            compiled.run([x], [torch.zeros([1, 6])[:, ::2]])
        elif case == 14:
            compiled.run([x], [])
        else:
            weights = []
            words = torch.zeros([1])
            compiled.run([x], [out])
        return out


MISUSES = {
    1: "run before it is compiled",
    2: "no preference 3",
    3: "has the dtype int32 or uint8, and not int64",
    4: "names buffer",
    5: "ends behind buffer",
    6: "only dense, contiguous tensors of the CPU as weights",
    7: "compiled twice",
    8: "have changed since it was compiled",
    9: "takes 1 inputs and 1 outputs, and was given 2 and 1",
    10: "does not fit input 0, which is int32[1, 2, 6, 6]",
    11: "does not fit input 0, which is float32[1, 1, 6, 6]",
    12: "does not fit output 0, which is float32[1, 2]",
    13: "only dense, contiguous tensors of the CPU as output",
    14: "was given 1 and 0",
}
