"""Symbolic sizes: expressions of integers and symbols, parsed from text and evaluated.

Since torch 2.6 the text is that of sympy's srepr, such as
`Mul(Integer(2), Symbol('s0', integer=True))`; before, and in range constraints, it is `2*s0`.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

# Numbers of up to 19 digits are those of 64 bits. Each alternative is bounded, so a match takes
# little time.
_TOKEN = re.compile(r"\s*(?:(\d{1,19})|([A-Za-z_]\w{0,63})|'([^'\\]{0,64})'|(\*\*|//|[-+*/%(),=]))")
_LONGEST, _DEEPEST = 4096, 64
_LARGEST = 1 << 62


def _power(base: int, exponent: int) -> int:
    # A tower of powers would otherwise fill the memory before `_LARGEST` is compared.
    if not 0 <= exponent <= 62 or abs(base) > 1 << 31:
        raise ValueError("the power is too large")
    return int(base**exponent)


_FUNCTIONS: dict[str, Callable[[Sequence[int]], int]] = {
    "Add": sum,
    "Mul": prod,
    "Max": max,
    "Min": min,
    "Pow": lambda values: _power(*values),
    "PowByNatural": lambda values: _power(*values),
    "FloorDiv": lambda values: operator.floordiv(*values),
    "CleanDiv": lambda values: operator.floordiv(*values),
    "Mod": lambda values: operator.mod(*values),
    "PythonMod": lambda values: operator.mod(*values),
}
"""Functions of sympy and of torch/utils/_sympy/functions.py -> what they compute."""
_SIGNS = {"Add": "+", "Mul": "*", "FloorDiv": "//", "CleanDiv": "//", "Mod": "%", "PythonMod": "%"}
_BINARY = {"+": ("Add", 1), "-": ("Add", 1), "*": ("Mul", 2), "//": ("FloorDiv", 2)}
_BINARY |= {"%": ("Mod", 2), "**": ("Pow", 4)}
_UNARY = 3
"""How strongly a minus sign binds; the numbers in `_BINARY` compare with it."""


@dataclass(frozen=True, slots=True)
class Expression:
    """An integer, a symbol, or a function of expressions."""

    function: str
    """`Integer`, `Symbol`, or a function that `evaluate` knows or not."""
    value: int = 0
    name: str = ""
    of: tuple[Expression, ...] = ()
    depth: int = field(default=0, repr=False, compare=False)
    """How many expressions stand inside one another."""

    def evaluate(self, symbols: Mapping[str, int]) -> int:
        """Returns the value for the values of its symbols.

        Raises:
            ValueError: a symbol has no value, a function is unknown, or a number is too large.
        """
        if self.function == "Integer":
            return self.value
        if self.function == "Symbol":
            if self.name not in symbols:
                raise ValueError(f"{self.name} has no value")
            return symbols[self.name]
        compute = _FUNCTIONS.get(self.function)
        if compute is None:
            raise ValueError(f"the function {self.function} is unknown")
        try:
            # The depth is bounded by the parser, so recursion is safe.
            result = compute([inner.evaluate(symbols) for inner in self.of])
        except (TypeError, ZeroDivisionError) as error:
            raise ValueError(f"{self} cannot be computed") from error
        if abs(result) > _LARGEST:
            raise ValueError(f"{self} is too large")
        return result

    @property
    def symbols(self) -> Iterator[str]:
        """Yields the names of its symbols, each as often as it occurs."""
        if self.function == "Symbol":
            yield self.name
        for inner in self.of:
            yield from inner.symbols

    def __str__(self) -> str:
        if self.function in ("Integer", "Symbol"):
            return self.name or str(self.value)
        sign = _SIGNS.get(self.function)
        if sign is None:
            return f"{self.function}({', '.join(map(str, self.of))})"
        # Parentheses around every inner operator are safe without comparing precedence.
        return sign.join(f"({one})" if one.function in _SIGNS else str(one) for one in self.of)


def parse_expression(text: str) -> Expression:
    """Returns the expression that `text` describes.

    Raises:
        ValueError: the text is not an expression, or is very long.
    """
    if len(text) > _LONGEST:
        raise ValueError(f"an expression has {len(text):,} characters")
    parser = _Parser(list(_split(text)))
    result = parser.parse(0, 0)
    if parser.rest:
        raise ValueError(f"not an expression: {text[:80]!r}")
    return result


def _split(text: str) -> Iterator[tuple[str, str]]:
    """Yields kind and text of each token."""
    at = 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"not an expression: {text[:80]!r}")
        at = match.end()
        kind = ("number", "name", "string", "sign")[(match.lastindex or 1) - 1]
        yield kind, match[match.lastindex or 1]


@dataclass(slots=True)
class _Parser:
    """Parses by precedence: operators bind as in Python."""

    rest: list[tuple[str, str]]

    def __post_init__(self) -> None:
        # The next token is at the end, where taking it costs the same for any length.
        self.rest.reverse()

    def parse(self, binding: int, depth: int) -> Expression:
        """Returns the expression before the next operator that binds no more than `binding`."""
        if depth > _DEEPEST:
            raise ValueError("an expression is nested too deeply")
        left = self._first(depth)
        while self.rest and (found := _BINARY.get(self.rest[-1][1])) and found[1] > binding:
            sign = self._take()[1]
            # The same binding on the right makes `a-b-c` mean `(a-b)-c`.
            right = self.parse(found[1], depth + 1)
            if sign == "-":
                right = _negative(right)
            left = _apply(found[0], left, right)
        return left

    def _first(self, depth: int) -> Expression:
        kind, text = self._take()
        if kind == "number":
            return Expression("Integer", int(text))
        if kind == "name":
            if self.rest and self.rest[-1] == ("sign", "("):
                self._take()
                return self._call(text, depth)
            return Expression("Symbol", name=text)
        if text == "-":
            return _negative(self.parse(_UNARY, depth + 1))
        if text == "(":
            inner = self.parse(0, depth + 1)
            self._expect(")")
            return inner
        raise ValueError(f"an expression has {text[:20]!r} in a wrong place")

    def _call(self, name: str, depth: int) -> Expression:
        if name == "Symbol":
            return Expression("Symbol", name=self._symbol())
        arguments: list[Expression] = []
        while not self._accept(")"):
            if arguments:
                self._expect(",")
            # srepr may add assumptions, such as `evaluate=False`.
            if len(self.rest) > 1 and self.rest[-2] == ("sign", "="):
                del self.rest[-3:]
                continue
            arguments.append(self.parse(0, depth + 1))
        if name == "Integer" and len(arguments) == 1:
            return arguments[0]
        return _apply(name, *arguments)

    def _symbol(self) -> str:
        """Returns the name in `'s0', positive=True, integer=True)`; assumptions are skipped."""
        kind, name = self._take()
        while self._take()[1] != ")":
            pass
        if kind != "string" or not name.isidentifier():
            raise ValueError(f"not a symbol: {name[:40]!r}")
        return name

    def _take(self) -> tuple[str, str]:
        if not self.rest:
            raise ValueError("an expression ends too early")
        return self.rest.pop()

    def _accept(self, sign: str) -> bool:
        if self.rest and self.rest[-1] == ("sign", sign):
            self.rest.pop()
            return True
        return False

    def _expect(self, sign: str) -> None:
        if not self._accept(sign):
            raise ValueError(f"an expression lacks {sign!r}")


def _negative(inner: Expression) -> Expression:
    if inner.function == "Integer":
        return Expression("Integer", -inner.value)
    return _apply("Mul", Expression("Integer", -1), inner)


def _apply(function: str, *of: Expression) -> Expression:
    depth = 1 + max((inner.depth for inner in of), default=0)
    # The parser takes any number of `+` in turn, each of which has the ones before inside.
    if depth > _DEEPEST:
        raise ValueError("an expression is nested too deeply")
    return Expression(function, of=of, depth=depth)
