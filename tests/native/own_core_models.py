"""Models for builder's own core: each walks through builtins of TorchScript."""

from typing import Any, Optional

import torch
from torch import Tensor, nn


class Numbers(nn.Module):
    """Arithmetic on int, float and bool, with the rules of Python."""

    def forward(self, x: Tensor) -> tuple[list[int], list[float], list[bool]]:
        a, b = int(x.size(0)) * 7 - 4, -3
        c, d = float(x.sum().item()), 2.5
        whole = [a + b, a - b, a * b, a // b, a % b, -a // b, -a % b, abs(b), min(a, b), max(a, b)]
        whole += [a & 6, a | 8, a ^ 5, int(c), int(d), len(whole)]
        real = [a / b, c + d, c - a, a * d, c // d, c % d, -c // d, -c % d, d**2, a**-1, 2**0.5]
        real += [float(a), min(c, d), max(a, d), abs(-d), round(d), round(3.5), round(-0.5)]
        truth = [a < b, a <= a, c > d, c >= a, a == 3, d != 2.5, not bool(a), a > 0 and b > 0]
        truth += [bool(a), bool(0.0), a > 0 or b > 0, True ^ (a > b)]
        for i in range(10, -10, b):
            whole.append(i)
        return whole, real, truth


class Texts(nn.Module):
    """Strings: slices, joins, formats, comparisons."""

    def forward(self, x: Tensor, name: str) -> int:
        parts = [name.upper(), name.lower(), name[1], name[-1], name[1:3], name[::-1], name[:-1:2]]
        parts.append(name + "-" + str(x.size(1)))
        parts.append(f"{name} has {len(name)} of {1.5} and {[1, 2]}")
        parts.append("none" if name < "m" else "some")
        parts.append(", ".join([one.lower() for one in parts]))
        parts.append(str(x.dim()) + str(True) + str(0.1) + str(1e20) + str(3.0) + str(-2))
        parts.extend(" one, two ,three".split(", ") + " a  b\tc ".split() + "a-b-c-d".split("-", 2))
        parts.append("  spaces ".strip() + "xxyxx".strip("x") + str(ord(name[0])))
        if name.startswith("Na") or name.endswith("bra") or "abc".startswith("bc", 1):
            parts.append("begins or ends")
        # The runner shows no strings, but errors.
        raise ValueError(", ".join(sorted(parts)))


class Lists(nn.Module):
    """Lists and dicts, which are references as in Python."""

    def forward(self, x: Tensor) -> tuple[list[int], list[list[int]], dict[str, int], list[Tensor]]:
        numbers = [3, 1, 2]
        other = numbers
        other.append(7)
        numbers.extend([9, 8])
        numbers.insert(1, 5)
        last = numbers.pop()
        del numbers[0]
        numbers[-1] = last
        numbers += [4] * 2
        nested = [
            numbers[1:4],
            numbers[::2],
            numbers[::-1],
            numbers[10:],
            list(numbers),
            sorted(numbers),
        ]
        nested[0].reverse()
        numbers.sort(reverse=True)
        counts: dict[str, int] = {"b": 2, "a": 1}
        same = counts
        same["c"] = len(nested)
        counts.update({"d": max(numbers), "e": sum(numbers)})
        if "a" in counts and 99 not in numbers:
            counts["f"] = counts.pop("a")
        counts["g"] = counts.get("nothing", -1)
        del counts["b"]
        for key, value in counts.items():
            numbers.append(value + len(key))
        many: dict[int, int] = {}
        for i in range(40):
            many[i * i % 23] = i
        for i in range(0, 23, 2):
            if i in many:
                many.pop(i)
        numbers.extend(list(many.keys()))
        numbers.extend(list(many.values()))
        tensors = [x, x + 1]
        tensors[0] = tensors[1]
        tensors[0].add_(1)
        return numbers, nested, counts, tensors


class Tensors(nn.Module):
    """Tensors of numbers and lists, views, optional values, tuples and objects."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.arange(6.0).reshape(2, 3))
        self.count = 0

    def pick(self, x: Tensor, scale: Optional[float] = None) -> tuple[Tensor, int]:
        if scale is None:
            return x, 0
        return x * scale, 1

    def forward(
        self, x: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor, int], list[int], bool]:
        y = x.clone().mul_(1)  # nothing but the call holds the copy
        row = y[0]
        row.mul_(2)
        made = torch.tensor([[1, 2], [3, 4]], dtype=torch.float32) + torch.tensor(0.5)
        parts = torch.split(y, [1, 2])
        first, second = self.pick(y), self.pick(y, 0.5)
        sizes = [y.numel(), y.dim(), len(y), int(y.sum().item() * 0) + second[1] + first[1]]
        sizes.extend(y.size())
        sizes.extend(y.stride())
        if bool(y.sum() > -1000.0):
            made = torch.cat([made, made.to(torch.float32)], 0)
        self.count += 1
        product = torch.nn.functional.linear(parts[1][:, :3], self.weight)
        return y, made, product, second, sizes, isinstance(scale_of(y), float)


def scale_of(x: Tensor) -> Optional[float]:
    if x.dim() > 1:
        return float(x.size(0))
    return None


class Raising(nn.Module):
    """Fails in the way that its input asks for."""

    def forward(self, kind: int, numbers: list[int], table: dict[str, int]) -> int:
        if kind == 0:
            raise ValueError(f"the model says no: {numbers}")
        if kind == 1:
            return numbers[len(numbers)]
        if kind == 2:
            return table["nothing"]
        if kind == 3:
            return 1 // (kind - 3)
        if kind == 4:
            return numbers.pop() + numbers.pop()
        if kind == 5:
            return int("word"[9 - kind :] == "") + int(max(numbers[3:]))
        return numbers[-1] + table["a"]


class Deep(nn.Module):
    """Makes a value that holds values in more levels than the stack of a thread has room for."""

    def forward(self, levels: int) -> int:
        chain: dict[str, Any] = {"inner": levels}
        for _ in range(levels):
            outer: dict[str, Any] = {"inner": chain}
            chain = outer
        return levels
