"""Modules of all kinds, each with inputs, for tests that read and write their lite files."""

from typing import Dict, List, NamedTuple, Optional, Tuple  # noqa: UP035 - for torch 1.13

import torch
from torch import nn
from torch.utils.bundled_inputs import augment_model_with_bundled_inputs
from torch.utils.mobile_optimizer import optimize_for_mobile

X = torch.linspace(-1, 1, 3 * 8 * 8).reshape(1, 3, 8, 8)


class Pair(NamedTuple):
    first: torch.Tensor
    second: torch.Tensor


@torch.jit.script
class Counter:
    """Its object is an attribute that changes."""

    def __init__(self, start: int):
        self.count = start

    def add(self, step: int) -> int:
        self.count += step
        return self.count


class Lists(nn.Module):
    ints: List[int]  # noqa: UP006
    floats: List[float]  # noqa: UP006
    bools: List[bool]  # noqa: UP006
    texts: List[str]  # noqa: UP006
    nested: List[List[int]]  # noqa: UP006
    tensors: List[torch.Tensor]  # noqa: UP006
    none: Optional[int]  # noqa: UP045

    def __init__(self):
        super().__init__()
        self.ints = [1, -1, 255, 65_536, -(2**40)]
        self.floats = [0.5, -0.0, float("inf"), 1e-300]
        self.bools = [True, False]
        self.texts = ["", "é\n", "a" * 300]
        self.nested = [[1], [], [2, 3]]
        self.tensors = [torch.ones(2), torch.zeros(2)]
        self.none = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        total = x + float(self.ints[1]) + self.floats[0] + len(self.texts[2]) + len(self.nested)
        for tensor in self.tensors:
            total = total + tensor.sum()
        return total if self.bools[0] and self.none is None else x


class Dicts(nn.Module):
    words: Dict[str, int]  # noqa: UP006
    numbers: Dict[int, float]  # noqa: UP006
    tables: Dict[str, List[torch.Tensor]]  # noqa: UP006
    empty: Dict[str, torch.Tensor]  # noqa: UP006

    def __init__(self):
        super().__init__()
        self.words = {f"word{i}": i for i in range(400)}
        self.numbers = {3: 0.5, -1: 2.0}
        self.tables = {"a": [torch.ones(3)], "b": []}
        self.empty = {}

    def forward(self, x: torch.Tensor, word: str) -> Dict[str, torch.Tensor]:  # noqa: UP006
        result = {"n": x * self.words[word], "e": x + len(self.empty)}
        for key, tensors in self.tables.items():
            result[key] = x * len(tensors)
        result["numbers"] = x * self.numbers[3]
        return result


class Tuples(nn.Module):
    pair: Tuple[int, str]  # noqa: UP006
    five: Tuple[int, int, int, int, int]  # noqa: UP006

    def __init__(self):
        super().__init__()
        self.pair = (7, "seven")
        self.five = (1, 2, 3, 4, 5)

    def forward(self, x: torch.Tensor) -> Tuple[torch.Tensor, str, Tuple[int, float]]:  # noqa: UP006
        return x * self.pair[0] * self.five[4], self.pair[1], (self.five[2], 0.5)


class Named(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pair = Pair(x + 1, x * 2)
        return pair.first * pair.second


class ScriptClass(nn.Module):
    """torch refuses code that makes an object; one that is there already is fine."""

    def __init__(self):
        super().__init__()
        self.counter = Counter(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.counter.add(3)


class Shared(nn.Module):
    """One submodule, one tensor and one storage that are used twice."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(8, 8)
        self.second = self.first
        self.weight = self.first.weight
        base = torch.arange(12.0)
        self.register_buffer("whole", base)
        self.register_buffer("part", base[2:8].reshape(2, 3).t())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x)) + self.weight.sum() + self.part.sum() + self.whole[0]


class Writes(nn.Module):
    """Changes a buffer that another attribute sees, too."""

    def __init__(self):
        super().__init__()
        base = torch.zeros(4)
        self.register_buffer("base", base)
        self.register_buffer("view", base[1:3])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.view.add_(1)
        return x + self.base.sum()


class Methods(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.full((1,), 3.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.encode(x, 2, "it's", -0.0) - self.decode(x, None)

    @torch.jit.export
    def encode(self, x: torch.Tensor, times: int = 1, text: str = "it's", real: float = -0.0):
        return x * self.scale * times + len(text) + real

    @torch.jit.export
    def decode(self, x: torch.Tensor, shape: Optional[List[int]] = None):  # noqa: UP006, UP045
        return x / self.scale if shape is None else x.reshape(shape)


class States(nn.Module):
    """A submodule with `__getstate__`."""

    class Part(nn.Module):
        def __init__(self):
            super().__init__()
            self.value = torch.full((2,), 4.0)
            self.training = False

        @torch.jit.export
        def __getstate__(self):
            return self.value * 2, self.training

        @torch.jit.export
        def __setstate__(self, state: Tuple[torch.Tensor, bool]):  # noqa: UP006
            self.value = state[0] / 2
            self.training = state[1]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.value.sum()

    def __init__(self):
        super().__init__()
        self.part = States.Part()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.part(x)


class Devices(nn.Module):
    def __init__(self):
        super().__init__()
        self.device = torch.device("cpu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.zeros(3, device=self.device) + x.sum().to(torch.device("cpu"))


class Complexes(nn.Module):
    number: complex

    def __init__(self):
        super().__init__()
        self.number = 1.5 - 2j
        self.register_buffer("roots", torch.tensor([1j, 2.0 + 0j]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.view_as_real(self.roots * self.number) + x.sum()


class Dtypes(nn.Module):
    def __init__(self):
        super().__init__()
        for dtype in (
            *(torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
            *(torch.float16, torch.float64, torch.bfloat16, torch.bool),
        ):
            self.register_buffer(f"a_{dtype}".replace("torch.", ""), torch.ones(3).to(dtype))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        whole = self.a_uint8.sum() + self.a_int8.sum() + self.a_int16.sum() + self.a_int32.sum()
        real = self.a_float16.float().sum() + self.a_bfloat16.float().sum() + self.a_float64.sum()
        return x + whole + self.a_int64.sum() + self.a_bool.sum() + real


class Empty(nn.Module):
    items: List[int]  # noqa: UP006

    def __init__(self):
        super().__init__()
        self.register_buffer("nothing", torch.zeros(0, 3))
        self.register_buffer("scalar", torch.tensor(2.5))
        self.items = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.nothing.sum() + self.scalar + len(self.items)


class Flow(nn.Module):
    def forward(self, x: torch.Tensor, count: int) -> torch.Tensor:
        total = torch.zeros(1)
        for i in range(count):
            if i % 3 == 0:
                continue
            if i > 7:
                break
            total = total + x.sum() * i
        while bool(total.abs().sum() > 1):
            total = total / 2
        return total


class Strings(nn.Module):
    def __init__(self):
        super().__init__()
        self.greeting = "grüß dich\x00\n"

    def forward(self, name: str) -> str:
        return f"{self.greeting} {name.upper()}" + ",".join([name, "x"])


class Raises(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.dim() != 4:
            raise ValueError("four dimensions are needed")
        return x.contiguous(memory_format=torch.channels_last).to(torch.float64)


class Lambda(nn.Module):
    def __init__(self, call):
        super().__init__()
        self.call = call

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.call(x)


def _vision() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU6(),
        nn.Conv2d(8, 8, 3, groups=8),
        nn.Hardtanh(-0.5, 0.5),
        nn.ConvTranspose2d(8, 4, 2),
        nn.Flatten(),
        nn.Dropout(),
        nn.Linear(4 * 7 * 7, 5),
    ).eval()


def _static(per_channel: bool = False) -> torch.jit.ScriptModule:
    torch.backends.quantized.engine = "qnnpack"
    quantization = torch.ao.quantization
    model = nn.Sequential(
        quantization.QuantStub(), nn.Conv2d(3, 4, 3), nn.ReLU(), quantization.DeQuantStub()
    ).eval()
    observer = (
        quantization.default_per_channel_weight_observer
        if per_channel
        else quantization.default_weight_observer
    )
    model.qconfig = quantization.QConfig(
        activation=quantization.HistogramObserver.with_args(reduce_range=False), weight=observer
    )
    quantization.prepare(model, inplace=True)
    model(X)
    return torch.jit.trace(quantization.convert(model), X)


def _dynamic(*layers: nn.Module) -> nn.Module:
    torch.backends.quantized.engine = "qnnpack"
    model = nn.Sequential(*layers).eval()
    return torch.ao.quantization.quantize_dynamic(model, {nn.Linear, nn.LSTM, nn.GRU})


class QuantizedTensors(nn.Module):
    def __init__(self):
        super().__init__()
        weight = torch.linspace(-1, 1, 12).reshape(3, 4)
        scales, zeros = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0, 1, 2])
        self.register_buffer("whole", torch.quantize_per_tensor(weight, 0.1, 3, torch.quint8))
        self.register_buffer(
            "channels", torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8)
        )
        self.register_buffer(
            "real",
            torch.quantize_per_channel(weight, scales, zeros.float(), 0, torch.quint8),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (
            x.sum() + self.whole.dequantize() + self.channels.dequantize() + self.real.dequantize()
        )


class LastOf(nn.Module):
    def __init__(self, part: nn.Module):
        super().__init__()
        self.part = part

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.part(x)[0]


def _bundled() -> torch.jit.ScriptModule:
    model = torch.jit.trace(nn.Linear(3, 2), torch.ones(1, 3))
    augment_model_with_bundled_inputs(model, [(torch.ones(1, 3),), (torch.randn(2, 3),)])
    return model


def _script(module: nn.Module) -> torch.jit.ScriptModule:
    return torch.jit.script(module.eval())


SEQUENCE = torch.linspace(-1, 1, 2 * 5 * 4).reshape(2, 5, 4)
MODULES = {
    "lists": lambda: (_script(Lists()), (X,)),
    "dicts": lambda: (_script(Dicts()), (X, "word7")),
    "tuples": lambda: (_script(Tuples()), (X,)),
    "named tuple": lambda: (_script(Named()), (X,)),
    "script class": lambda: (_script(ScriptClass()), (X,)),
    "shared": lambda: (_script(Shared()), (X,)),
    "writes": lambda: (_script(Writes()), (X,)),
    "methods": lambda: (_script(Methods()), (X,)),
    "states": lambda: (_script(States()), (X,)),
    "devices": lambda: (_script(Devices()), (X,)),
    "complexes": lambda: (_script(Complexes()), (X,)),
    "dtypes": lambda: (_script(Dtypes()), (X,)),
    "empty": lambda: (_script(Empty()), (X,)),
    "flow": lambda: (_script(Flow()), (X, 9)),
    "strings": lambda: (_script(Strings()), ("ann",)),
    "raises": lambda: (_script(Raises()), (X,)),
    "vision": lambda: (torch.jit.trace(_vision(), X), (X,)),
    "vision scripted": lambda: (_script(_vision()), (X,)),
    "vision frozen": lambda: (torch.jit.freeze(_script(_vision())), (X,)),
    "vision optimised": lambda: (optimize_for_mobile(torch.jit.trace(_vision(), X)), (X,)),
    "vision optimised scripted": lambda: (optimize_for_mobile(_script(_vision())), (X,)),
    "static": lambda: (_static(), (X,)),
    "static per channel": lambda: (_static(per_channel=True), (X,)),
    "static optimised": lambda: (optimize_for_mobile(_static()), (X,)),
    "quantised tensors": lambda: (_script(QuantizedTensors()), (X,)),
    "dynamic linear": lambda: (_script(_dynamic(nn.Linear(8, 4))), (X,)),
    "dynamic lstm": lambda: (_script(_dynamic(LastOf(nn.LSTM(4, 3)))), (SEQUENCE,)),
    "dynamic gru": lambda: (_script(_dynamic(LastOf(nn.GRU(4, 3)))), (SEQUENCE,)),
    "lstm": lambda: (_script(LastOf(nn.LSTM(4, 3, num_layers=2, bidirectional=True))), (SEQUENCE,)),
    "gru": lambda: (_script(LastOf(nn.GRU(4, 3))), (SEQUENCE,)),
    "attention": lambda: (
        torch.jit.trace(nn.TransformerEncoderLayer(4, 2, 8).eval(), SEQUENCE),
        (SEQUENCE,),
    ),
    "embedding": lambda: (_script(nn.EmbeddingBag(10, 3)), (torch.tensor([[1, 2], [3, 4]]),)),
    "module list": lambda: (_script(nn.Sequential(*(nn.Linear(8, 8) for _ in range(300)))), (X,)),
    "bundled": lambda: (_bundled(), (torch.ones(1, 3),)),
}
