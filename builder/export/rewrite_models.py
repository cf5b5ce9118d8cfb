"""Rewrites models for mobile as graphs, without torch."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from builder.core.nesting import InputSpec, Named
from builder.core.operator_schemas import Schemas
from builder.core.signatures import Signature, make_signature
from builder.core.tensors import TensorSpec
from builder.core.vulkan import VulkanKernels
from builder.errors import Hint, ModelError, Use
from builder.export.request import (
    LiteFormat,
    MobileBackend,
    Optimisation,
    Pass,
    Saving,
    VulkanSplit,
)
from builder.export.vulkan_models import note_inputs, refuse_vulkan_model, split_program
from builder.graph.graph import Graph
from builder.graph.lower import BYTECODE_VERSIONS, lower_program
from builder.graph.optimise import Optimisations, optimise
from builder.graph.packed import check_packed
from builder.graph.program import Program
from builder.lite.mobile_module_writer import write_mobile_module
from builder.lite.zip_writer import write_zip_model


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewritten:
    """The lite files of a model that was rewritten."""

    plain: bytes
    """A zip file that any torch can run: nothing in it is packed for a backend."""
    packed: bytes
    """A zip file with the newest bytecode, after all passes."""
    content: bytes
    """The file for builder's runtimes, in the format that was asked for."""
    remarks: tuple[str, ...]
    """Why some layers were left as they were, as sentences."""
    split: VulkanSplit | None = None
    """Of a model for Vulkan."""

    @property
    def is_packed(self) -> bool:
        """Whether only a torch with XNNPACK or Vulkan can run the file."""
        return self.packed != self.plain


def describe_method(graph: Graph) -> Signature:
    """Returns the signature of a method that is known as a graph."""
    return make_signature(
        graph.name.rpartition(".")[2],
        [(one.name, one.type, one.default) for one in graph.arguments],
        [one.type for one in graph.results],
    )


def rewrite(
    program: Program,
    wanted: Optimisation,
    saving: Saving,
    schemas: Schemas,
    methods: frozenset[str] | None = None,
    *,
    vulkan: VulkanKernels | None = None,
    specs: Mapping[str, Sequence[InputSpec]] | None = None,
) -> Rewritten:
    """Returns the files of `program`, whose graphs change.

    Args:
        program: the model.
        wanted: which passes run.
        saving: the format of the final file, and its version of the bytecode.
        schemas: of the operators of the release that is to run the file.
        methods: those that stay; all when None.
        vulkan: what Vulkan's kernels compute, for a model for Vulkan; None for the CPU.
        specs: method -> its inputs, by position; None if no call is known.

    Raises:
        ModelError: the model cannot be written as a lite file, or not for Vulkan.
    """
    # Weights that are packed already may be damaged, and the passes would hand them on.
    check_packed(program)
    if not wanted.enabled:
        plain = format_program(program, LiteFormat.ZIP, schemas)
        return Rewritten(
            plain=plain, packed=plain, content=_format(program, saving, schemas, plain), remarks=()
        )
    refuse_vulkan_model(program)
    specs = {} if specs is None else specs
    ranks = {method: _ranks(given) for method, given in specs.items()}
    passes = replace(_choose(wanted), methods=methods, ranks=ranks)
    # They describe the code as it was: its sources, and which line an instruction comes from.
    program.records = {}
    if vulkan is not None and (forward := program.method("forward")) is not None:
        note_inputs(forward, tuple(specs.get("forward", ())))
    # The first run stops before packing, because any torch can compare that form. The second run
    # goes on from there.
    results = optimise(program, schemas, replace(passes, prepack=False))
    # A model that is too large is left as it is.
    narrowed = results["assume_batches"].left if "assume_batches" in results else ()
    split = None
    plain = packed = format_program(program, LiteFormat.ZIP, schemas)
    if passes.prepack:
        results = optimise(program, schemas, passes)
        if vulkan is not None:
            split = split_program(program, schemas, vulkan, allow_cpu=wanted.allow_cpu)
        packed = format_program(program, LiteFormat.ZIP, schemas)
    # Several passes may give the same reason; a user reads it once, in the order of the passes.
    remarks = dict.fromkeys(
        (*narrowed, *(reason for result in results.values() for reason in result.left))
    )
    return Rewritten(
        plain=plain,
        packed=packed,
        content=_format(program, saving, schemas, packed),
        remarks=tuple(remarks),
        split=split,
    )


def _format(program: Program, saving: Saving, schemas: Schemas, usual: bytes) -> bytes:
    """Returns the file as `saving` asks for it; `usual` is the one that it asks for by default."""
    if saving.format is LiteFormat.ZIP and saving.bytecode_version is None:
        return usual
    return format_program(program, saving.format, schemas, saving.bytecode_version)


def format_program(
    program: Program, kind: LiteFormat, schemas: Schemas, bytecode_version: int | None = None
) -> bytes:
    """Returns the bytes of a lite file, by default with the newest bytecode of the format.

    Raises:
        ModelError: the model cannot be written in this format.
    """
    version = BYTECODE_VERSIONS[-1] if bytecode_version is None else bytecode_version
    # A flatbuffer has no older versions of the bytecode that builder could write.
    if version not in BYTECODE_VERSIONS or (bytecode_version and kind is LiteFormat.FLATBUFFER):
        most = BYTECODE_VERSIONS[-1]
        raise ModelError(
            f"a {kind} lite file is written with another bytecode version, not {version}",
            hint=Hint(
                *(Use("bytecode_version"), f" takes at most {most}, with "), Use("format", "zip")
            ),
        )
    model, stream = lower_program(program, schemas, version), io.BytesIO()
    if kind is LiteFormat.FLATBUFFER:
        write_mobile_module(model, stream)
    else:
        write_zip_model(model, stream)
    return stream.getvalue()


def _ranks(specs: Sequence[InputSpec]) -> tuple[int | None, ...]:
    """Returns how many dimensions each argument has; None for one that is no tensor."""
    plain = [spec.spec if isinstance(spec, Named) else spec for spec in specs]
    return tuple(len(one.shape) if isinstance(one, TensorSpec) else None for one in plain)


def _choose(wanted: Optimisation) -> Optimisations:
    for_vulkan = wanted.backend is MobileBackend.VULKAN
    return Optimisations(
        freeze=Pass.FREEZE not in wanted.left_out,
        fold_batch_norms=Pass.FOLD_BATCH_NORMS not in wanted.left_out,
        prepack=for_vulkan or Pass.PREPACK not in wanted.left_out,
        channels_last=Pass.CHANNELS_LAST not in wanted.left_out,
        vulkan=for_vulkan,
    )
