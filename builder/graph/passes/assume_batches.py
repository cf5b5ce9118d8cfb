"""Takes the images that a method is given to have a batch dimension, and checks it at run time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from builder.core.operator_schemas import Schemas
from builder.graph.graph import IF, Block, Graph, Node, TensorInfo, Value
from builder.graph.guards import RAISE, add_guard, decide, find_guards
from builder.graph.operands import Call, find_call, static
from builder.graph.passes.batch_norm import find_affine
from builder.graph.passes.deciding_ranks import find_deciding
from builder.graph.passes.pass_result import PassResult
from builder.graph.shape_questions import ranked
from builder.graph.shapes import Inference, restore_infos, save_infos

_DIMENSIONS: Final = {
    **{f"aten::conv{dims}d": dims for dims in (1, 2, 3)},
    **{f"aten::conv_transpose{dims}d": dims for dims in (1, 2, 3)},
    **{f"aten::max_pool{dims}d": dims for dims in (1, 2, 3)},
    **{f"aten::avg_pool{dims}d": dims for dims in (1, 2, 3)},
    **{f"aten::adaptive_avg_pool{dims}d": dims for dims in (1, 2, 3)},
}
"""Operators that take images with and without a batch, and over how many dimensions they go."""
_BY_WEIGHT: Final = frozenset(
    {"aten::_convolution", "aten::_convolution_mode", "aten::convolution"}
)
"""Convolutions whose weight tells over how many dimensions they go."""
_PACKED: Final = frozenset(
    {
        "prepacked::conv2d_clamp_run",
        "prepacked::conv2d_transpose_clamp_run",
        "vulkan_prepack::run_conv2d_context",
        "vulkan_prepack::run_tconv2d_context",
    }
)
"""Layers that refuse tensors of other than four dimensions."""
_KEEPING: Final = frozenset(
    f"aten::{name}"
    for name in (
        *("alias", "clamp", "clamp_max", "clamp_min", "clone", "contiguous", "detach", "elu"),
        *("gelu", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "relu", "relu6", "sigmoid"),
        *("silu", "tanh", "to", "constant_pad_nd", "pad", "reflection_pad2d", "transpose"),
    )
)
"""Operators whose result has as many dimensions as their first argument."""
_RANKS: Final = (4, 3, 2, 5, 1)
"""How many dimensions an argument may have, the most frequent number first."""
_MOST_ARGUMENTS = 6
_MOST_WORK = 400_000
"""Nodes that are looked at in all trials together."""
_NARROWED: Final = (
    "{method}() takes {name} with {rank} dimensions only, of which the first is the batch; if your "
    "images have no batch, describe such inputs when you export"
)


def assume_batches(
    graph: Graph,
    schemas: Schemas,
    ranks: Sequence[int | None] = (),
    *,
    packs: bool = True,
    folds: bool = True,
) -> PassResult:
    """Lets a method refuse images without a batch, if its layers profit from knowing the batch.

    ATen's convolutions take images with and without a batch, and XNNPACK's only those with one.
    Where the rank of an argument is not known, it is tried which rank gives the layers behind it
    images with a batch. This rank is checked when the method runs, so nothing that follows from it
    is ever wrong. Only layers that run in each call count, since the others could leave the rank
    to the caller. Nothing is guessed of an argument whose rank decides what runs.

    Args:
        graph: a method.
        schemas: of the operators.
        ranks: of the arguments without `self` in a known call; None for one that is no tensor or
            is not known. Empty if no call is known.
        packs: whether convolutions will be packed.
        folds: whether batch norms will be folded into the layers beside them.

    Returns:
        A reason for each argument whose rank is a guess, or one of several that the model takes.
    """
    trials = _Trials(graph, schemas, packs=packs, folds=folds)
    if not trials.gaining:
        return PassResult(0)
    asked, checks = find_deciding(graph, schemas)
    open_arguments = [
        (value, ranks[place] if place < len(ranks) else None)
        for place, value in enumerate(graph.block.inputs[1:])
        if _is_tensor(graph, value, schemas) and (value.info is None or value.info.sizes is None)
        if (place < len(ranks) and ranks[place] is not None) or not (ranks or value in asked)
    ]
    if not open_arguments or len(open_arguments) > _MOST_ARGUMENTS:
        return PassResult(0)
    assumed = trials.choose(open_arguments, checks)
    for value, rank in reversed(assumed.items()):
        value.info = TensorInfo(None if value.info is None else value.info.dtype, (None,) * rank)
        add_guard(graph, value, rank)
    method = graph.name.rpartition(".")[2]
    reasons = tuple(
        _NARROWED.format(method=method, name=value.name or "a tensor", rank=rank)
        for value, rank in assumed.items()
        if not ranks or value in asked
    )
    return PassResult(len(assumed), reasons)


def _is_tensor(graph: Graph, value: Value, schemas: Schemas) -> bool:
    """Whether an argument is a tensor in each call that does not fail."""
    # Old files do not tell the types of arguments.
    return value.type == "Tensor" or (
        not value.type and any(_takes_tensor(node, value, schemas) for node in graph.block.nodes)
    )


def _takes_tensor(node: Node, value: Value, schemas: Schemas) -> bool:
    call = find_call(node, schemas)
    return call is not None and any(
        given is value and argument.type == "Tensor"
        for given, argument in zip(node.inputs, call.schema.arguments, strict=False)
    )


class _Trials:
    """Tries what is known of the layers of a graph if its arguments have some ranks."""

    def __init__(self, graph: Graph, schemas: Schemas, *, packs: bool, folds: bool) -> None:
        self._graph = graph
        self._schemas = schemas
        layers = list(_find_layers(graph.block, schemas))
        self._open = {node: dims for node, dims in layers if _rank(node.inputs[0]) is None}
        """Layers of whose images it is not known whether they have a batch."""
        packed = {node for node in self._open if packs and _is_packable(node, schemas)}
        folded = _find_folding(graph, schemas) if folds else set()
        self.gaining = packed | (folded & self._open.keys())
        """Those of them that profit from an image with a batch."""
        self._checks: Mapping[Node, Collection[Value]] = {}
        nodes = sum(1 for _ in graph.block.walk())
        self._left = _MOST_WORK // max(nodes, 1)

    def choose(
        self,
        arguments: Sequence[tuple[Value, int | None]],
        checks: Mapping[Node, Collection[Value]],
    ) -> dict[Value, int]:
        """Returns the ranks of the arguments that give layers images with a batch.

        A guess has to pass the `checks` of the model that depend on the argument.
        """
        self._checks = checks
        given = {value: rank for value, rank in arguments if rank is not None}
        if given:
            return self._thin(given, self._try(given))
        chosen: dict[Value, int] = {}
        most = 0
        for value, _ in arguments:
            tried = [{**chosen, value: rank} for rank in _RANKS]
            gain, found = self._best(tried)
            if gain > most:
                most, chosen = gain, found
        if not chosen and len(arguments) > 1:
            gain, found = self._best(
                [dict.fromkeys((value for value, _ in arguments), rank) for rank in _RANKS]
            )
            chosen = self._thin(found, gain)
        return chosen

    def _best(self, tried: Sequence[dict[Value, int]]) -> tuple[int, dict[Value, int]]:
        """Returns the first of those guesses that most layers profit from."""
        gains = [self._try(ranks, is_guess=True) for ranks in tried]
        return max(gains), tried[gains.index(max(gains))]

    def _thin(self, ranks: Mapping[Value, int], gain: int) -> dict[Value, int]:
        """Leaves out arguments whose rank does not matter."""
        chosen = dict(ranks) if gain else {}
        for value in tuple(chosen):
            fewer = {one: rank for one, rank in chosen.items() if one is not value}
            if fewer and self._try(fewer) >= gain:
                chosen = fewer
        return chosen

    def _try(self, ranks: Mapping[Value, int], *, is_guess: bool = False) -> int:
        """Returns how many more convolutions get an image with a batch.

        0 also if a layer would not take its image, or the model does not take such an argument. A
        guess must not let the first of these images have less dimensions than the argument: the one
        that is dropped may be the batch.
        """
        if self._left <= 0:
            return 0
        self._left -= 1
        before = save_infos(self._graph)
        for value, rank in ranks.items():
            value.info = ranked(rank)
        Inference(self._graph, self._schemas).run()
        reached = list(_reached(self._graph.block))
        found = [(node, _rank(node.inputs[0])) for node in reached if node in self._open]
        fails = any(map(self._fails, reached)) or (is_guess and self._may_fail(ranks))
        restore_infos(before)
        if fails:
            return 0
        known = [(node, rank, rank - self._open[node]) for node, rank in found if rank is not None]
        if any(over not in (1, 2) for _, _, over in known):
            return 0
        gained = [rank for node, rank, over in known if over == 2 and node in self.gaining]
        if is_guess and gained and gained[0] < max(ranks.values()):
            return 0
        return len(gained)

    def _fails(self, node: Node) -> bool:
        """Whether a node that runs takes tensors of another rank only, or is a failure itself."""
        if node.operator == RAISE:
            return True
        if node.operator == "prim::ListUnpack":
            sizes = node.inputs[0].producer
            whole = sizes is not None and sizes.operator == "aten::size"
            rank = _rank(sizes.inputs[0]) if sizes is not None and whole else None
            return rank is not None and rank != len(node.outputs)
        if node.operator != "aten::permute":
            return False
        dims, rank = static(node.inputs[1]), _rank(node.inputs[0])
        return isinstance(dims, list) and rank is not None and rank != len(dims)

    def _may_fail(self, ranks: Mapping[Value, int]) -> bool:
        """Whether a check of the model may refuse an argument of which a rank is guessed."""
        return any(
            decide(node.inputs[0]) is None and not ranks.keys().isdisjoint(arguments)
            for node, arguments in self._checks.items()
        )


def drop_guards(graph: Graph, schemas: Schemas) -> PassResult:
    """Drops checks of ranks that a packed layer makes itself."""
    guards = find_guards(graph.block)
    checking = {
        _source(node.inputs[0], schemas) for node in graph.block.nodes if node.operator in _PACKED
    }
    dropped = {node for value, (node, rank) in guards.items() if (value, rank) in checking}
    graph.block.nodes = [node for node in graph.block.nodes if node not in dropped]
    return PassResult(len(dropped))


def _source(image: Value, schemas: Schemas) -> tuple[Value, int]:
    """Returns the tensor from which an image of four dimensions has its rank, and that rank."""
    rank = 4
    while (node := image.producer) is not None:
        call = find_call(node, schemas)
        name = None if call is None else call.name
        if name in ("aten::unsqueeze", "aten::embedding"):
            rank -= 1
        elif name not in _KEEPING:
            break
        image = node.inputs[1 if name == "aten::embedding" else 0]
    return image, rank


def _find_layers(block: Block, schemas: Schemas) -> Iterator[tuple[Node, int]]:
    for _, node in block.walk():
        call = find_call(node, schemas)
        dims = None if call is None else _dimensions(call)
        if dims is not None:
            yield node, dims


def _reached(block: Block) -> Iterator[Node]:
    """Yields the nodes that run in each call, with the branches that known ranks decide for."""
    waiting = [block]
    while waiting:
        for node in waiting.pop().nodes:
            yield node
            taken = decide(node.inputs[0]) if node.operator == IF else None
            if taken is not None:
                waiting.append(node.blocks[0 if taken else 1])


def _is_packable(node: Node, schemas: Schemas) -> bool:
    """Whether XNNPACK has a convolution like `node`, so far as its weight tells."""
    call = find_call(node, schemas)
    weight = None if call is None else call.tensor("weight")
    if call is None or weight is None or weight.dtype != "float32" or weight.quantizer is not None:
        return False
    transposed = "transpose" in call.name or call.static("transposed") is True
    return all(weight.sizes) and len(weight.sizes) in ((4,) if transposed else (3, 4))


def _find_folding(graph: Graph, schemas: Schemas) -> set[Node]:
    """Returns the nodes in front of or behind a batch norm that may be folded into them."""
    users = graph.uses()
    found: set[Node] = set()
    for _, node in graph.block.walk():
        if find_affine(node, schemas) is not None:
            found.update(user for user, _ in users.get(node.output, ()) if isinstance(user, Node))
            if node.inputs[0].producer is not None:
                found.add(node.inputs[0].producer)
    return found


def _dimensions(call: Call) -> int | None:
    if call.name in _BY_WEIGHT:
        weight = call.value("weight")
        rank = None if weight is None else _rank(weight)
        return rank - 2 if rank is not None and rank > 2 else None
    return _DIMENSIONS.get(call.name)


def _rank(value: Value) -> int | None:
    sizes = None if value.info is None else value.info.sizes
    return None if sizes is None else len(sizes)
