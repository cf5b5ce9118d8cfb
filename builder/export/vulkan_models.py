"""What exports for Vulkan do besides the passes on the graph: inputs, refusals, the mark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from builder.core.nesting import InputSpec, Named
from builder.core.operator_schemas import Schemas
from builder.core.tensors import TensorSpec
from builder.core.vulkan import VulkanKernels
from builder.errors import Hint, ModelError, Use
from builder.export.request import MobileBackend, VulkanSplit
from builder.graph.graph import Graph, TensorInfo
from builder.graph.passes.pass_result import describe
from builder.graph.program import Program
from builder.graph.shapes import merge_infos
from builder.graph.vulkan_devices import Placement
from builder.graph.vulkan_placing import place_on_vulkan

FOR_VULKAN = "optimized_for_vulkan"
"""Attribute of a module whose float32 inputs a runtime brings to the GPU: what upstream's
`vulkanOptimizeForMobile` sets (torch/csrc/jit/passes/vulkan_rewrite.cpp)."""
_MOST_SHOWN = 50
"""Operators in one message."""
_FOR_CPU = Use("optimisation.backend", MobileBackend.CPU)


def is_for_vulkan(program: Program) -> bool:
    """Returns whether a model was made for Vulkan."""
    return program.root.attributes.get(FOR_VULKAN) is True


def refuse_vulkan_model(program: Program) -> None:
    """Raises ModelError for a model that was made for Vulkan: its weights are packed."""
    if is_for_vulkan(program):
        raise ModelError(
            "it was exported for Vulkan already, and its layers cannot be given to another backend",
            hint="export the model that it was made from",
        )


def note_inputs(graph: Graph, specs: Sequence[InputSpec]) -> None:
    """Notes dtypes and numbers of dimensions of tensors that `graph` is called with.

    Sizes are not noted: a model may take others. Kernels depend on dimensions, and passes compute
    what depends on their number.
    """
    for value, spec in zip(graph.block.inputs[1:], specs, strict=False):
        held = spec.spec if isinstance(spec, Named) else spec
        if isinstance(held, TensorSpec):
            info = TensorInfo(str(held.dtype), (None,) * len(held.shape))
            value.info = merge_infos(value.info, info)


def split_program(
    program: Program, schemas: Schemas, kernels: VulkanKernels, *, allow_cpu: bool
) -> VulkanSplit:
    """Adds the transfers between the GPU and the CPU, and marks the model as one for Vulkan.

    Raises:
        ModelError: a part of the model cannot run on the GPU, and `allow_cpu` is not set or does
            not help, or nothing of it runs on the GPU.
    """
    # Placing takes what is not known for float32.
    unknown = _ask_for_inputs(program)
    placements = [place_on_vulkan(graph, schemas, kernels) for graph in program.graphs.values()]
    impossible = _sum(one.impossible for one in placements)
    on_cpu = _sum(one.cpu for one in placements)
    gpu = sum(sum(one.gpu.values()) for one in placements)
    if impossible:
        raise ModelError(
            _list("the model cannot run on Vulkan", impossible),
            hint=Hint("change the model, or export it for the CPU: ", _FOR_CPU),
        )
    if not gpu:
        raise ModelError(
            _list("nothing in this model runs on Vulkan", on_cpu),
            hint=Hint(*unknown, "export it for the CPU: ", _FOR_CPU),
        )
    if on_cpu and not allow_cpu:
        raise ModelError(
            _list("Vulkan does not run all of the model", on_cpu),
            hint=Hint(
                *unknown,
                *("run them on the CPU, between transfers: ", Use("optimisation.allow_cpu", True)),
                *("; or export the model for the CPU: ", _FOR_CPU),
            ),
        )
    program.root.attributes[FOR_VULKAN] = True
    return _describe(placements, gpu, on_cpu)


def _ask_for_inputs(program: Program) -> tuple[str | Use, ...]:
    """Returns how to say what the inputs are, if that is not known."""
    forward = program.method("forward")
    given = () if forward is None else forward.block.inputs[1:]
    tensors = (value.info for value in given if value.type in ("", "Tensor"))
    if all(info is not None and info.dtype is not None for info in tensors):
        return ()
    # Some forms are exact for one dtype only.
    return ("say what the inputs are: ", Use("inputs", "float32[1,3,224,224]"), "; or ")


def _describe(
    placements: Sequence[Placement], gpu: int, on_cpu: Counter[tuple[str, str]]
) -> VulkanSplit:
    return VulkanSplit(
        gpu=gpu,
        cpu=sum(on_cpu.values()),
        transfers=sum(one.transfers for one in placements),
        on_cpu=tuple(_lines(on_cpu)),
    )


def _sum(counters: Iterable[Counter[tuple[str, str]]]) -> Counter[tuple[str, str]]:
    total: Counter[tuple[str, str]] = Counter()
    for one in counters:
        total.update(one)
    return total


def _lines(found: Counter[tuple[str, str]]) -> tuple[str, ...]:
    return describe(
        Counter({f"{name}: {reason}": times for (name, reason), times in found.items()})
    )


def _list(what: str, found: Counter[tuple[str, str]]) -> str:
    lines = _lines(found)
    shown = [f"\n  {line}" for line in lines[:_MOST_SHOWN]]
    more = f"\n  and {len(lines) - _MOST_SHOWN} more" if len(lines) > _MOST_SHOWN else ""
    return what + ":" * bool(lines) + "".join(shown) + more
