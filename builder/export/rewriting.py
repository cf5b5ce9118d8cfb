"""Rewrites models for mobile as graphs, without torch."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace

from builder.core.schemas import Schemas
from builder.errors import Hint, ModelError, Use
from builder.export.request import LiteFormat, Optimisation, Pass, Saving
from builder.graph.lift import lift_program
from builder.graph.lower import BYTECODE_VERSIONS, lower_program
from builder.graph.optimise import Optimisations, optimise
from builder.graph.packed import check_packed
from builder.graph.program import Program
from builder.lite.mobile_module_writer import write_mobile_module
from builder.lite.read import parse_lite
from builder.lite.zip_writer import write_zip_model


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewritten:
    """The lite files of a model that was rewritten."""

    plain: bytes
    """A zip file that any torch can run: nothing in it is packed for XNNPACK."""
    content: bytes
    """The file for builder's runtimes."""
    remarks: tuple[str, ...]
    """Why some layers were left as they were, as sentences."""
    is_packed: bool = False
    """Whether only a torch with XNNPACK can run the file."""
    is_changed: bool = True
    """Whether the passes made other code of it."""


def lift_lite(content: bytes, schemas: Schemas) -> Program:
    """Returns the graphs of a lite file in memory.

    Raises:
        ModelError: the file is damaged, or it calls operators that the release lacks.
    """
    return lift_program(parse_lite(content), schemas)


def rewrite(
    program: Program,
    wanted: Optimisation,
    saving: Saving,
    schemas: Schemas,
    methods: frozenset[str] | None = None,
) -> Rewritten:
    """Returns the files of `program`, whose graphs change.

    Args:
        program: the model.
        wanted: which passes run.
        saving: the format of the final file, and its version of the bytecode.
        schemas: of the operators of the release that is to run the file.
        methods: those that stay; all when None.

    Raises:
        ModelError: the model cannot be written as a lite file.
    """
    check_packed(program)
    if not wanted.enabled:
        return Rewritten(
            plain=format_program(program, LiteFormat.ZIP, schemas),
            content=format_program(program, saving.format, schemas, saving.bytecode_version),
            remarks=(),
            is_changed=False,
        )
    passes = replace(_choose(wanted), methods=methods)
    # They describe the code as it was: its sources, and which line an instruction comes from.
    program.records = {}
    before = format_program(program, LiteFormat.ZIP, schemas)
    results = optimise(program, schemas, replace(passes, prepack=False))
    plain = after = format_program(program, LiteFormat.ZIP, schemas)
    if passes.prepack:
        results = optimise(program, schemas, passes)
        after = format_program(program, LiteFormat.ZIP, schemas)
    remarks = dict.fromkeys(reason for result in results.values() for reason in result.left)
    return Rewritten(
        plain=plain,
        content=format_program(program, saving.format, schemas, saving.bytecode_version),
        remarks=tuple(remarks),
        is_packed=after != plain,
        is_changed=after != before,
    )


def format_program(
    program: Program, kind: LiteFormat, schemas: Schemas, bytecode_version: int | None = None
) -> bytes:
    """Returns the bytes of a lite file, by default with the newest bytecode of the format.

    Raises:
        ModelError: the model cannot be written in this format.
    """
    version = BYTECODE_VERSIONS[-1] if bytecode_version is None else bytecode_version
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


def _choose(wanted: Optimisation) -> Optimisations:
    return Optimisations(
        freeze=Pass.FREEZE not in wanted.left_out,
        fold_batch_norms=Pass.FOLD_BATCH_NORMS not in wanted.left_out,
        prepack=Pass.PREPACK not in wanted.left_out,
        channels_last=Pass.CHANNELS_LAST not in wanted.left_out,
    )
