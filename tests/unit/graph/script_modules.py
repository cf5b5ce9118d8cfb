"""Modules in TorchScript that together use the whole language, each with inputs.

TorchScript reads annotations, so they are not postponed here.
"""

from collections.abc import Callable
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import torch
from torch import Tensor, nn

CASES: dict[str, tuple[Callable[[], nn.Module], list[tuple[Any, ...]]]] = {}
"""Name -> the module's class, and arguments for `forward`."""


def case(*inputs: tuple[Any, ...]) -> Callable[[Any], Any]:
    def add(module: Any) -> Any:
        CASES[module.__name__] = (module, list(inputs))
        return module

    return add


def tensor(*shape: int) -> Tensor:
    count = 1
    for size in shape:
        count *= size
    return (torch.arange(count, dtype=torch.float32).reshape(shape) * 37 % 11 - 4) / 3


X, Y = tensor(2, 3), tensor(3, 2)


class Pair(NamedTuple):
    left: Tensor
    right: Tensor


@case((X,), (-X,))
class Branch(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:
            y = x + 1
        else:
            y = x - 1
        return y * 2


@case((X, 3), (X, 0), (X, -1), (X, 7))
class Elif(nn.Module):
    def forward(self, x: Tensor, n: int) -> Tensor:
        if n == 0:
            return x
        elif n < 0:
            x = -x
        elif n == 3:
            x = x * 3
            n = 5
        else:
            x = x / 2
        return x + n


@case((X, 4), (X, 0))
class For(nn.Module):
    def forward(self, x: Tensor, n: int) -> Tensor:
        for i in range(n):
            x = x + i
        return x


@case((X, 5), (X, 0), (X, 1))
class While(nn.Module):
    def forward(self, x: Tensor, n: int) -> Tuple[Tensor, int]:
        count = 0
        while n > 0 and bool(x.sum() < 1000):
            x = x * 2
            n -= 1
            count += 2
        return x, count


@case((X, 6), (X, 2))
class BreakContinue(nn.Module):
    def forward(self, x: Tensor, n: int) -> Tensor:
        for i in range(10):
            if i == n:
                break
            if i % 2 == 0:
                continue
            x = x + i
        return x


@case((X, 6), (X, 0))
class WhileBreak(nn.Module):
    def forward(self, x: Tensor, n: int) -> Tensor:
        while True:
            n -= 1
            if n < 0:
                break
            x = x + n
        return x


@case((X, 3))
class NestedLoops(nn.Module):
    def forward(self, x: Tensor, n: int) -> Tensor:
        total = torch.zeros_like(x)
        for i in range(n):
            for j in range(i):
                if (i + j) % 2 == 0:
                    total = total + x * j
                else:
                    for k in range(2):
                        total = total - k * i
            x = x + total
        return total


@case((X, 3), (X, 20))
class EarlyReturn(nn.Module):
    def forward(self, x: Tensor, n: int) -> Tensor:
        for i in range(n):
            x = x * 2
            if bool(x.abs().max() > 50):
                return x + i
        return -x


@case((X, 1), (X, -1))
class Raises(nn.Module):
    def forward(self, x: Tensor, n: int) -> Tensor:
        if n < 0:
            raise ValueError("negative: {}".format(n))
        return x * n


@case((X, 3), (X, 30))
class RaisesInLoop(nn.Module):
    def forward(self, x: Tensor, n: int) -> Tensor:
        for i in range(n):
            if i > 5:
                raise RuntimeError("too many")
            x = x + i
        return x


@case((X,), (Y,))
class Asserts(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        assert x.size(0) == 2, "two rows"
        return x.t()


@case((X, "up"), (X, "down"), (X, "other"))
class Strings(nn.Module):
    def forward(self, x: Tensor, way: str) -> Tuple[Tensor, str]:
        text = way + "!"
        if way == "up":
            x = x + 1
        elif way.startswith("d"):
            x = x - len(way)
            text = f"{way} by {len(way)}"
        parts = "a,b,c".split(",")
        return x, text + parts[1].upper() + "%s-%d" % (way, 3)


@case(({"a": X, "b": X * 2},), ({"a": X},))
class Dicts(nn.Module):
    def forward(self, given: Dict[str, Tensor]) -> Dict[str, Tensor]:
        result: Dict[str, Tensor] = {}
        for key, value in given.items():
            result[key + "2"] = value * 2
        if "b" in given:
            result["sum"] = given["a"] + given["b"]
        else:
            result["none"] = torch.zeros(1)
        return result


@case((X,))
class IntDict(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        table = {1: 10, 2: 20, 3: 30}
        total = 0
        for key in table.keys():
            total += key * table[key]
        table[1] += 1
        return x + total + table.get(7, 5) + table[1]


@case((X, 4), (X, 0))
class Lists(nn.Module):
    def forward(self, x: Tensor, n: int) -> Tuple[List[Tensor], List[int]]:
        items: List[Tensor] = []
        numbers = [1, 2, 3]
        for i in range(n):
            items.append(x + i)
            numbers.append(i)
        numbers[0] = 7
        return items, numbers[1:]


@case((X,))
class Comprehension(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        doubles = [2 * i for i in [1, 2, 3]]
        parts = [row * 2 for row in x.unbind(0)]
        return torch.stack(parts) + doubles[2]


@case((X,))
class DictComprehension(nn.Module):
    def forward(self, x: Tensor) -> Dict[int, Tensor]:
        return {i: x * i for i in [1, 2, 3]}


@case((X,))
class Tuples(nn.Module):
    def forward(self, x: Tensor) -> Tuple[Tensor, Tuple[int, str]]:
        pair = (x, (1, "one"))
        a, b = pair
        c, d = b
        triple = (a, c, d, x * 2)
        return triple[3] + triple[1], (c + 1, d + "!")


@case((X, 1), (X, 0))
class TupleSlices(nn.Module):
    def forward(self, x: Tensor, n: int) -> Tensor:
        many = (x, x + 1, x + 2, x + 3)
        if n > 0:
            pair = many[1:3]
        else:
            pair = many[:2]
        return pair[0] * pair[1]


@case((X,))
class NamedTuples(nn.Module):
    def forward(self, x: Tensor) -> Tuple[Tensor, Tensor]:
        pair = Pair(x, x * 2)
        if bool(x.sum() > 0):
            pair = Pair(left=pair.right, right=pair.left + 1)
        return pair.left, pair[1]


@case((X,))
class NamedTupleItems(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        pair = Pair(x, x * 3)
        left, right = pair
        return left - right + pair.left


@case((X, None), (X, X))
class Optionals(nn.Module):
    def forward(self, x: Tensor, y: Optional[Tensor] = None) -> Tensor:
        if y is None:
            y = torch.ones_like(x)
        z: Optional[Tensor] = None
        if bool(x.sum() > 100):
            z = x
        if z is not None:
            return z
        return x * y


@case((X, 3), (X, 1.5), (X, "s"))
class IsInstance(nn.Module):
    def forward(self, x: Tensor, n: Any) -> Tensor:
        if isinstance(n, int):
            return x + n
        elif isinstance(n, float):
            return x * n
        else:
            return x - len(n)


@case((X,), (X.double(),))
class InPlace(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = x.clone()
        y.add_(1).mul_(2)
        y[0] = 5
        y[:, 1:] += 3
        z = y.relu()
        y.zero_()
        return z + y


@case((X,))
class InPlaceOrder(nn.Module):
    """The order of reads and writes must stay."""

    def forward(self, x: Tensor) -> Tensor:
        y = x.clone()
        before = y.sum()
        y += 1
        after = y.sum()
        y *= 3
        return torch.stack([before, after, y.sum(), before + after])


@case((X,))
class Attributes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.register_buffer("total", torch.zeros(2, 3))
        self.name = "n"

    def forward(self, x: Tensor) -> Tuple[Tensor, int, str]:
        self.count += 1
        self.total = self.total + x
        if self.count > 1:
            self.name = self.name + "x"
        return self.total, self.count, self.name


class Inner(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)
        with torch.no_grad():
            self.linear.weight.copy_(tensor(3, 3))
            self.linear.bias.copy_(tensor(3))

    def forward(self, x: Tensor, scale: float = 2.0) -> Tensor:
        return self.linear(x) * scale


@case((X,))
class Submodules(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inners = nn.ModuleList([Inner(), Inner()])
        self.last = nn.Sequential(Inner(), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        for inner in self.inners:
            x = inner(x)
        for i, inner in enumerate(self.inners):
            x = x + inner(x, 0.5) * i
        return self.last(x)


@torch.jit.interface
class Step(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        pass


class Doubles(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if bool(x.sum() > 0):
            return x * 2
        return x


class Adds(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.amount = 3

    def forward(self, x: Tensor) -> Tensor:
        return x + self.amount


@case((X,), (-X,))
class InterfaceCall(nn.Module):
    step: Step
    other: Step

    def __init__(self) -> None:
        super().__init__()
        self.step = Doubles()
        self.other = Adds()

    def forward(self, x: Tensor) -> Tensor:
        x = self.step.forward(x)
        for _ in range(2):
            x = self.other.forward(x) + self.step.forward(x)
        return x


@case((X,))
class SeveralMethods(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return self.helper(x, 2) + self.other(x)

    @torch.jit.export
    def helper(self, x: Tensor, n: int = 3) -> Tensor:
        return x * n

    @torch.jit.export
    def other(self, x: Tensor) -> Tensor:
        return self.helper(x, 3) - 1


@case((tensor(2, 3, 8, 8),))
class Convolutions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1, bias=False),
            nn.BatchNorm2d(4),
            nn.ReLU6(),
            nn.Conv2d(4, 4, 3, groups=4, stride=2),
            nn.Hardswish(),
            nn.AdaptiveAvgPool2d(1),
        )
        self.classifier = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.body(x), 1))


@case((tensor(5, 2, 3),))
class Lstm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, 4, 2)

    def forward(self, x: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
        y, (h, c) = self.lstm(x)
        return y, h, c


@case((tensor(5, 2, 3),))
class GruCell(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.zeros(x.size(1), 4)
        outputs: List[Tensor] = []
        for step in x.unbind(0):
            h = self.cell(step, h)
            outputs.append(h)
        return torch.stack(outputs)


@case(
    (tensor(4, 2, 8), None),
    (tensor(4, 2, 8), torch.tensor([[False, True], [False, False]] * 1).t().repeat(1, 2)),
)
class Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16)

    def forward(self, x: Tensor, mask: Optional[Tensor] = None) -> Tensor:
        return self.layer(x, src_key_padding_mask=mask)


@case((X,))
class Quantised(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        q = torch.quantize_per_tensor(x, 0.1, 3, torch.quint8)
        r = torch.ops.quantized.add(q, q, 0.2, 1)
        return r.dequantize() + q.q_zero_point() + q.int_repr()


@case((X,))
class Multiple(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        values, indices = x.max(dim=1)
        low, _ = x.min(1)
        a, b, c = x.unbind(1)
        return values + low + indices + a * b - c


@case((X,))
class UnusedResults(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        _, _, v = torch.svd(x)
        x.sum()
        _, b = x.split(1)
        return b * v.size(1)


@case((X, 2))
class Numbers(nn.Module):
    def forward(self, x: Tensor, n: int) -> Tuple[float, int, bool, complex]:
        a = float(n) / 3 + n // 2 + n % 2
        b = int(a) << 1
        c = a > b or not n == 2
        return a * -0.0 + a, b, c, complex(a, n)


@case((X,))
class Constants(nn.Module):
    def forward(self, x: Tensor) -> Tuple[float, float, float, int, bool]:
        y = x.sum().item()
        return -0.0, 0.0, float(y) + 1.0, 1, True


@case((X,))
class SizesAndItems(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        n, m = x.size()
        shape = x.shape
        k = int(x.argmax().item())
        return x.reshape([m, n]) + k + shape[0] * shape[-1] + x.numel()


@case((X, [1, 2]), (X, [7]))
class ListArgument(nn.Module):
    def forward(self, x: Tensor, add: List[int]) -> Tensor:
        for one in add:
            x = x + one
        return x if len(add) > 0 else -x


@case((X,))
class Ternary(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        a = 1 if x.size(0) == 2 else 2
        b = (3 if a == 1 else 4) + (5 if a != 1 else 6)
        return x * (b if b > a else a)


@case((X, 4))
class CarriedLists(nn.Module):
    def forward(self, x: Tensor, n: int) -> Tuple[Tensor, List[Tensor], Dict[str, int]]:
        stack: List[Tensor] = []
        counts: Dict[str, int] = {}
        for i in range(n):
            if i % 2 == 0:
                stack = [x] + stack
            else:
                stack.append(x + i)
            counts[str(i)] = len(stack)
            if len(stack) > 2:
                x = stack.pop(0) + 1
        return x, stack, counts


@case((X,))
class SwapInLoop(nn.Module):
    def forward(self, x: Tensor) -> Tuple[Tensor, Tensor, int, int]:
        y = x + 1
        a, b = 0, 1
        for _ in range(5):
            x, y = y, x + y
            a, b = b, a + b
        return x, y, a, b


@case((X,))
class LoopInvariant(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        scale = x.mean()
        shift = x.max()
        for i in range(3):
            if i > 1:
                x = x * scale
            x = x + shift
        return x


@case((X, 1), (X, 2), (X, 9))
class DeepBranches(nn.Module):
    def forward(self, x: Tensor, n: int) -> Tensor:
        a = x
        if n > 0:
            b = a + 1
            if n > 1:
                c = b * 2
                if n > 5:
                    d = c - b
                else:
                    d = c + a
                b = d
            a = b + 1
        return a - x


@case((X,))
class Enumerates(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        for i, (a, b) in enumerate(zip([1, 2, 3], [4, 5, 6])):
            x = x + i * a - b
        for j in range(5, 0, -2):
            x = x + j
        return x


@case((X,))
class ToList(nn.Module):
    def forward(self, x: Tensor) -> List[List[float]]:
        rows: List[List[float]] = x.tolist()
        return rows


@case((X,))
class Devices(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = torch.zeros(2, 3, dtype=x.dtype, device=x.device)
        if x.is_cuda or x.dim() != 2:
            return y
        if x.dtype == torch.float32 and x.device.type == "cpu":
            y = y.to(torch.float64)
        return y.to(x) + torch.tensor(3)


@case((X,))
class Warns(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.size(0) == 2:
            torch.nn.functional.upsample(x[None, None], scale_factor=2.0)
        return x


@case((X,))
class Prints(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        print("size", x.size(0))
        return x


@case((X,))
class Defaults(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        a = torch.add(x, x, alpha=1)
        b = torch.add(x, x, alpha=2)
        c = torch.sum(x, dim=1, keepdim=False)
        d = torch.nn.functional.conv1d(x[None], torch.ones(1, 2, 1), stride=[1], padding=[0])
        e = torch.nn.functional.max_pool2d(x[None], 2, 1)
        return a + b + c.unsqueeze(1) + d.sum() + e.sum() + torch.arange(0, 3).sum()


@case((X,))
class OutArguments(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = torch.empty_like(x)
        torch.add(x, x, out=y)
        z = torch.empty(2, 3)
        torch.add(x, x, alpha=3, out=z)
        return y + z


@case((X,))
class Slices(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = x[:, 0:2]
        z = x[..., -1:]
        w = x[None, 1, ::2]
        return torch.cat([y, z], 1)[0] + w.sum() + x[x > 0].sum()


@case((X, X))
class Einsum(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return torch.einsum("ij,kj->ik", x, y) @ torch.matmul(x, y.t())


@case((X, True, False), (X, False, True), (X, True, True))
class ShortCircuit(nn.Module):
    def forward(self, x: Tensor, a: bool, b: bool) -> Tensor:
        if (a and b) or (not a and x.size(0) > 1):
            x = x + 1
        if a and not (b or x.size(1) > 5):
            x = x * 2
        return x


@case((X,))
class LoopWithBranchOutputs(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        best = x[0]
        index = -1
        for i in range(x.size(0)):
            row = x[i]
            if bool(row.sum() >= best.sum()):
                best = row
                index = i
            else:
                x = x + 1
        return best * index


@case((X, 3), (X, 0))
class ExpressionTrees(nn.Module):
    def forward(self, x: Tensor, n: int) -> Tensor:
        return (x + n) * (x - n) / ((x * x + 1) - (x if n > 1 else -x)) + (x * (n + 1))


@case((X, None), (X, [1, 2]))
class OptionalList(nn.Module):
    def forward(self, x: Tensor, n: Optional[List[int]]) -> int:
        total = 0
        if n is not None:
            for one in n:
                total += one
        return total


@case((X,))
class Nothing(nn.Module):
    def forward(self, x: Tensor) -> None:
        x.add_(0)


@case((X,))
class EmptyContainers(nn.Module):
    def forward(self, x: Tensor) -> Tuple[List[int], Dict[str, Tensor], Tuple[Tensor]]:
        a: List[int] = []
        b: Dict[str, Tensor] = {}
        return a, b, (x,)


@case((X,), (torch.zeros(0, 3),))
class EmptyTensor(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.numel() == 0:
            return torch.zeros(1)
        while x.size(0) > 1:
            x = x[1:]
        return x


@case((X,))
class StringLoop(nn.Module):
    def forward(self, x: Tensor) -> str:
        text = ""
        for letter in "hello":
            if letter in ["l", "o"]:
                text += letter.upper()
            else:
                text = letter + text
        return text + "{}/{}".format(x.size(0), [1, 2])


@case((X,))
class Gelu(nn.Module):
    """Operators that the runtime upgrades in older files."""

    def forward(self, x: Tensor) -> Tensor:
        y = (
            torch.nn.functional.gelu(x)
            + torch.div(x, 3)
            + torch.div(x, x + 9, rounding_mode="floor")
        )
        return y + torch.linspace(0, 1, 3) + torch.logspace(0, 1, 3) + torch.full([2, 3], 2.0)


@case((X,))
class Complex(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.view_as_real(torch.fft.fft(x)) * abs(complex(3, 4))
