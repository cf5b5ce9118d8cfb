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


class Plain(nn.Module):
    """What runtimes for few dtypes do by plain loops, in all ways that tensors lie in memory."""

    def forward(self, x, case: int):  # noqa: C901 - one branch for each case
        # x has the sizes 2, 3, 5, 7.
        last = x.contiguous(memory_format=torch.channels_last)
        turned = x.permute(2, 0, 3, 1)
        whole = (x * 3).to(torch.int64)
        truth = x > 0
        row = x[0, 0, 0]
        one = row[0]
        result = x
        if case == 0:
            result = x + last
        elif case == 1:
            result = last + last
        elif case == 2:
            result = turned + x.permute(2, 0, 3, 1)
        elif case == 3:
            result = torch.add(x, row, alpha=2.5)
        elif case == 4:
            result = whole + x
        elif case == 5:
            result = torch.add(whole, whole[:, :, :1, :], alpha=-3)
        elif case == 6:
            result = truth + (last > 1)
        elif case == 7:
            result = truth * whole
        elif case == 8:
            result = x * one
        elif case == 9:
            result = one * whole
        elif case == 10:
            result = whole * truth[:, :1]
        elif case == 11:
            result = x.permute(3, 1, 0, 2) * x[:1].permute(3, 1, 0, 2)
        elif case == 12:
            result = last[:, :, ::2, 1:].clone().add_(x[:, :1, ::2, 1:])
        elif case == 13:
            result = x.clone()
            result[:, 1].mul_(row)
        elif case == 14:
            result = nn.functional.adaptive_avg_pool2d(x, [2, 3])
        elif case == 15:
            result = nn.functional.adaptive_avg_pool2d(last, [3, 4])
        elif case == 16:
            result = nn.functional.adaptive_avg_pool2d(x[0].transpose(1, 2), [4, 2])
        elif case == 17:
            result = nn.functional.adaptive_avg_pool2d(last, [1, 1])
        elif case == 18:
            result = nn.functional.adaptive_avg_pool2d(x[:, :, 1:, 2:5], [7, 9])
        elif case == 19:
            result = turned.contiguous().view(-1)
        elif case == 20:
            result = x.to(torch.bool).to(torch.int64).to(torch.float32)
        elif case == 21:
            result = x.transpose(0, 3).to(torch.int64)
        elif case == 22:
            result = x.clone()
            result[0].copy_(row)
        elif case == 23:
            result = whole.clone()
            result[1].copy_(last[0])
        elif case == 24:
            result = x.clone()
            result[:, :, 2].fill_(7.5)
            result[:, 1].zero_()
        elif case == 25:
            result = whole.clone()
            result.transpose(0, 1).fill_(one)
        elif case == 26:
            result = x[0, 0].clone().fill_diagonal_(3.0)
        elif case == 27:
            result = x.reshape(30, 7).clone().fill_diagonal_(3.0, True)
        elif case == 28:
            result = x[:, :, :0] + row
        elif case == 29:
            result = one + one
        elif case == 30:
            result = x + x[0, 0, :4]
        elif case == 31:
            result = row.expand(2, 7).add_(x[0, 0, :2])
        elif case == 32:
            result = row.clone().add_(x[0, 0])
        elif case == 33:
            result = whole.add_(x)
        elif case == 34:
            result = torch.add(whole, whole, alpha=0.5)
        elif case == 35:
            result = nn.functional.adaptive_avg_pool2d(whole, [2, 2])
        elif case == 36:
            result = x[0, 0, 0, :6].copy_(x[0, 0, 0, 1:])
        return result, result.stride()
