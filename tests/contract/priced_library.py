"""What the small libraries share whose prices are held against links without operators."""

from builder.core.operators import Operator
from builder.size.linked_graph import Registry

PRIMS = """
#ifndef WITHOUT_length
static const int lengths[900] = {4};
static int length(int x) { return lengths[x % 899]; }
#endif
static const int widths[300] = {4};
static int width(int x) { return widths[x % 299]; }
static const int starts[700] = {4};
static int startswith(int x) { return starts[x % 699]; }
static const int stops[800] = {4};
static int endswith(int x) { return stops[x % 799]; }
static const Entry entries[20] = {
#ifdef WITHOUT_startswith
  {},
#else
  {"prim::startswith(str self) -> bool", startswith},
#endif
  {},
  {"prim::endswith(str self) -> bool", endswith},
};
static const bool registered = [] {
  add_all(entries, 20);
#ifndef WITHOUT_length
  add("prim::length(int x) -> int", length);
#endif
  add("prim::width(int x) -> int", width);
  return true;
}();
"""
"""Registers operators by hand, in a table and one by one."""
BY_HAND = ("prim::length", "prim::width", "prim::startswith", "prim::endswith")
OPERATORS = tuple(map(Operator.parse, ("aten::einsum", "aten::cumsum.out", *BY_HAND)))
REGISTRY = Registry(
    operators=OPERATORS,
    by_hand={operator: frozenset({"prims.cpp"}) for operator in OPERATORS[2:]},
    always=frozenset({"torchlite/api.cpp"}),
    limited=frozenset({"prims.cpp"}),
)


def name_operators(without):
    """Returns the operators that `WITHOUT_...` leaves out."""
    names = {"einsum": "aten::einsum", "cumsum": "aten::cumsum.out"}
    return [names.get(name, f"prim::{name}") for name in without]
