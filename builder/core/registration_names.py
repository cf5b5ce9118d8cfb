"""Names of the functions that register one operator each.

Prices find the registration of an operator in a library by the name of this function.
"""

from __future__ import annotations

import re

from builder.core.operators import Operator

_PREFIX = "register_operator_"
"""Start of the names of the functions that register one operator each."""
_SYMBOL = re.compile(rf"^(?:_ZL\d+)?{_PREFIX}(?P<escaped>[A-Za-z0-9_]+)")
# The names have to be valid in C and to be decoded without doubt, so `_` is escaped as well.
_ESCAPES = {"_": "_u", "::": "_c", ".": "_o"}
_ESCAPED = re.compile("|".join(map(re.escape, _ESCAPES.values())))


def registration_name(operator: Operator) -> str:
    """Returns the name of the function in C, e.g. `register_operator_aten_cadd_oTensor`."""
    return _PREFIX + re.sub(r"_|::|\.", lambda match: _ESCAPES[match[0]], str(operator))


def parse_registration(symbol: str) -> Operator | None:
    """Returns the operator that the function `symbol` registers; None for any other function.

    Link-time optimisation may have appended something like `.llvm.123` to the name.
    """
    match = _SYMBOL.match(symbol)
    if match is None:
        return None
    plain = {escape: text for text, escape in _ESCAPES.items()}
    try:
        return Operator.parse(_ESCAPED.sub(lambda found: plain[found[0]], match["escaped"]))
    except ValueError:
        return None
