"""Computes the prices of operators from the reference graph of a library."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from builder.core.artifacts import OperatorPrice
from builder.core.near_names import near_names
from builder.errors import Hint, ModelError, Run, Use
from builder.size.reference_graph import ReferenceGraph


def price_operators(
    graph: ReferenceGraph, wanted_by: Mapping[str, tuple[str, ...]]
) -> dict[str, OperatorPrice]:
    """Returns operator -> price.

    Bytes that several operators need are exclusive bytes of none of them.

    Args:
        graph: the reference graph of the library.
        wanted_by: operator -> names of the models that use it.
    """
    core = _core(graph)
    reached = _reach_beyond(graph, core)
    users = Counter(node for nodes in reached.values() for node in nodes)
    return {
        # Counted beyond the core alone: what every build has anyway is the price of no operator.
        operator: OperatorPrice(
            exclusive=graph.weigh(n for n in reached[operator] if users[n] == 1),
            # The core counts here too: all that the operator reaches, whoever else does.
            inclusive=graph.weigh(graph.reach([graph.operators[operator]])),
            models=wanted_by.get(operator, ()),
        )
        for operator in sorted(graph.operators)
    }


def price_set(graph: ReferenceGraph, names: Iterable[str]) -> int:
    """Returns the bytes that the library would lose without all operators in `names`.

    A name without an overload means all overloads.

    Raises:
        ModelError: the library does not have one of the operators.
    """
    gone = frozenset().union(*(_find(graph, name) for name in sorted(set(names))))
    return graph.weigh(find_exclusive(graph, gone))


def _find(graph: ReferenceGraph, name: str) -> frozenset[str]:
    matching = frozenset(o for o in graph.operators if name in {o, o.partition(".")[0]})
    if not matching:
        near = near_names(name, graph.operators)
        raise ModelError(
            f"the runtime has no operator {name}",
            hint=f"did you mean {', '.join(near)}?"
            if near
            else Hint(Run("size", ("OUT", Use("operators")))),
        )
    return matching


def find_exclusive(graph: ReferenceGraph, operators: frozenset[str]) -> set[int]:
    """Returns the nodes that only `operators` reach."""
    # Operators that stay keep everything that they share with those that go.
    staying = [node for name, node in graph.operators.items() if name not in operators]
    stays = frozenset(graph.reach([*graph.roots, *staying]))
    return graph.reach((graph.operators[name] for name in operators), known=stays)


def _core(graph: ReferenceGraph) -> frozenset[int]:
    return frozenset(graph.reach(graph.roots))


def _reach_beyond(graph: ReferenceGraph, core: frozenset[int]) -> dict[str, set[int]]:
    return {name: graph.reach([node], known=core) for name, node in graph.operators.items()}
