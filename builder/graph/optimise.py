"""Runs the passes on a whole model, in the order in which they help each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from builder.core.operator_schemas import Schemas
from builder.errors import Hint, ModelError, Run, Use
from builder.graph.graph import Graph
from builder.graph.operands import CALLS, find_fault
from builder.graph.passes.assume_batches import assume_batches, drop_guards
from builder.graph.passes.batch_norm import fold_batch_norms
from builder.graph.passes.channel_shuffles import find_channel_shuffles
from builder.graph.passes.dead_code import drop_dead_code
from builder.graph.passes.drop_attributes import drop_attributes
from builder.graph.passes.drop_identities import drop_identities
from builder.graph.passes.fold_constants import fold_constants
from builder.graph.passes.fold_scales import fold_scales
from builder.graph.passes.fold_shapes import fold_shapes
from builder.graph.passes.follow_in_place import follow_in_place
from builder.graph.passes.freeze import freeze
from builder.graph.passes.fuse_add_relu import fuse_add_relu
from builder.graph.passes.fuse_clamps import fuse_clamps
from builder.graph.passes.inline import inline
from builder.graph.passes.layout import keep_channels_last
from builder.graph.passes.merge_common import merge_common
from builder.graph.passes.pass_result import PassResult, merge
from builder.graph.passes.prepack import prepack
from builder.graph.passes.prepack_vulkan import prepack_vulkan
from builder.graph.passes.settle_lists import settle_lists
from builder.graph.passes.settle_strides import settle_strides
from builder.graph.passes.share_constants import share_constants
from builder.graph.passes.simplify_layers import simplify_layers
from builder.graph.passes.unpack_xnnpack import unpack_xnnpack
from builder.graph.passes.vulkan_forms import use_vulkan_forms
from builder.graph.program import Program
from builder.graph.rewriting import MOST_NESTED, nesting
from builder.graph.shapes import infer
from builder.graph.work import is_too_large
from builder.lite.objects import ScriptObject, walk

_MOST_ROUNDS = 6
"""Freezing and folding help each other; models need two or three rounds."""
_TOO_LARGE = "the model has too many steps to be optimised, and is written as it is"


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimisations:
    """Which passes run. The docstring of each pass says why one would leave it out."""

    methods: frozenset[str] | None = None
    """Names of the methods that stay, such as `forward`; None: all."""
    freeze: bool = True
    """Make constants of attributes, and compute what depends on constants only."""
    fold_batch_norms: bool = True
    """Fold batch norms into the layers beside them."""
    prepack: bool = True
    """Give convolutions and linear layers to XNNPACK, with the clamps behind them."""
    vulkan: bool = False
    """Give layers to Vulkan and not to XNNPACK, if `prepack` is wanted; images stay NCHW. What is
    packed for XNNPACK already becomes plain layers, also without `prepack`."""
    channels_last: bool = True
    """Keep images in the order NHWC between operators of XNNPACK; needs `prepack`."""
    ranks: Mapping[str, tuple[int | None, ...]] = field(default_factory=dict)
    """Method -> the numbers of dimensions of its arguments in a known call; None: no tensor.

    Empty if nothing is known of any call. Of a method that is missing beside others, nothing is
    guessed.
    """


def optimise(
    program: Program, schemas: Schemas, wanted: Optimisations | None = None
) -> dict[str, PassResult]:
    """Changes the graphs of `program` for a runtime with the operators `schemas`.

    Returns what each pass did. A program that is too large for the passes stays as it is, or as
    calls in it were inlined. Outputs are those of the given program, in evaluation, up to the
    rounding of floats.

    Raises:
        ModelError: branches and loops are nested too deep, a node has another number of inputs
            than its operator, or constants in the file are damaged.
    """
    for graph in program.graphs.values():
        _check(graph, schemas, program.operator_version)
    run = _Run(program, schemas, Optimisations() if wanted is None else wanted)
    # A weight or a limit that float32 cannot hold is infinite in torch too.
    with np.errstate(all="ignore"):
        run.everything()
    return run.results


def _check(graph: Graph, schemas: Schemas, operator_version: int) -> None:
    if nesting(graph) > MOST_NESTED:
        raise ModelError(
            f"{graph.name} has more than {MOST_NESTED} branches and loops inside of each other",
            hint=Hint(
                "export the model without optimisation: ",
                Run("export", ("SOURCE", Use("optimisation.enabled", False))),
            ),
        )
    for _, node in graph.block.walk():
        fault = find_fault(node, schemas, operator_version)
        if fault is not None:
            raise ModelError(
                f"{graph.name} is damaged: {fault}",
                hint=Hint("export the model again with ", Run("export", ("SOURCE",))),
            )


class _Run:
    def __init__(self, program: Program, schemas: Schemas, wanted: Optimisations) -> None:
        self.results: dict[str, PassResult] = {}
        self._program = program
        self._schemas = schemas
        self._wanted = wanted

    def everything(self) -> None:
        """Runs the passes that are wanted, unless they would take too long."""
        if self._is_too_large():
            return
        if self._wanted.vulkan:
            self._each(unpack_xnnpack)
        if self._wanted.freeze:
            self._note("inline", inline(self._program))
            self._drop_methods()
            if self._is_too_large():
                return
            self._fold()
        self._assume()
        # These come after freezing, when weights are constants, and before the passes that look for
        # one form of a layer.
        for rule in (follow_in_place, simplify_layers):
            self._each(rule)
        self._infer()
        self._each(fold_scales)
        if self._wanted.fold_batch_norms:
            # Folded norms are gone before layers are packed, because packed weights cannot be
            # changed any more.
            self._each(fold_batch_norms)
        if self._wanted.prepack:
            self._infer()
            if self._wanted.vulkan:
                self._pack_for_vulkan()
            else:
                self._pack_for_xnnpack()
        self._each(drop_dead_code)
        # The passes above make many equal constants.
        self._each(merge_common)
        self._note("share_constants", share_constants(self._program, self._schemas))
        if self._wanted.freeze:
            self._note("drop_attributes", drop_attributes(self._program))
            self._drop_methods()

    def _pack_for_xnnpack(self) -> None:
        # A clamp goes into a packed layer, so it comes behind packing.
        for rule in (prepack, fuse_clamps):
            self._each(rule)
        self._infer()
        self._drop_guards()
        for rule in (fuse_add_relu, drop_identities, drop_dead_code):
            self._each(rule)
        if self._wanted.channels_last:
            self._each(find_channel_shuffles)
            self._each(keep_channels_last)
        self._each(settle_strides)

    def _pack_for_vulkan(self) -> None:
        for rule in (find_channel_shuffles, use_vulkan_forms):
            # Each needs the shapes that the one before it has made known.
            self._each(rule)
            self._infer()
        self._each(prepack_vulkan)
        self._drop_guards()
        for rule in (fuse_clamps, drop_identities):
            self._each(rule)
        self._infer()

    def _drop_guards(self) -> None:
        # Without a known call, the words of the check are those that a user needs.
        if self._wanted.ranks:
            self._each(drop_guards)

    def _is_too_large(self) -> bool:
        found = is_too_large(self._program)
        if found:
            self._note("optimise", PassResult(0, (_TOO_LARGE,)))
        return found

    def _drop_methods(self) -> None:
        """Drops what is not wanted and not called, after inlining has emptied most calls."""
        wanted = self._wanted.methods
        if wanted is None:
            return
        names = {f"{self._program.root.class_name}.{method}" for method in wanted}
        # The loader calls these for objects that are stored as what `__getstate__` returned.
        names |= {
            f"{item.class_name}.__setstate__"
            for item in walk([self._program.root])
            if isinstance(item, ScriptObject) and item.state is not None
        }
        called = {
            str(node.attributes.get("name"))
            for graph in self._program.graphs.values()
            for _, node in graph.block.walk()
            if node.operator in CALLS
        }
        for name in tuple(self._program.graphs):
            if name not in names and name not in called and name.rpartition(".")[2] not in called:
                del self._program.graphs[name]

    def _fold(self) -> None:
        """Freezes and folds until nothing changes."""
        for _ in range(_MOST_ROUNDS):
            self._note("freeze", freeze(self._program, self._schemas))
            self._infer()
            passes = (
                settle_lists,
                fold_shapes,
                fold_constants,
                drop_identities,
                drop_dead_code,
                merge_common,
            )
            # `sum` runs all of them, where `any` would stop at the first that changed something.
            if not sum(self._each(rule) for rule in passes):
                break

    def _assume(self) -> None:
        """Has methods check for a batch, where layers profit from it."""
        self._infer()
        wanted = self._wanted
        known = {
            graph: wanted.ranks[method]
            for method in wanted.ranks
            if (graph := self._program.method(method)) is not None
        }
        result = merge(
            assume_batches(
                graph,
                self._schemas,
                known.get(graph, ()),
                packs=wanted.prepack,
                folds=wanted.fold_batch_norms,
            )
            for graph in self._program.graphs.values()
            if graph in known or not wanted.ranks
        )
        self._note("assume_batches", result)
        if result.changed and self._wanted.freeze:
            self._fold()

    def _infer(self) -> None:
        for graph in self._program.graphs.values():
            infer(graph, self._schemas)

    def _each(self, rule: Callable[[Graph, Schemas], PassResult]) -> int:
        graphs = self._program.graphs.values()
        result = merge(rule(graph, self._schemas) for graph in graphs)
        self._note(rule.__name__, result)
        return result.changed

    def _note(self, name: str, result: PassResult) -> None:
        """Adds a result; the reasons of the last run of a pass are those that count."""
        before = self.results.get(name)
        changed = result.changed + (0 if before is None else before.changed)
        self.results[name] = PassResult(changed, result.left)
