"""Reads lite files and programs of torch.export as programs, without torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from builder.core.nesting import InputSpec
from builder.core.signatures import Signature
from builder.errors import ConfigurationError, ModelError
from builder.export.knowledge import Knowledge
from builder.export.request import ExportRequest, LiteFormat
from builder.export.rewrite_models import describe_method, format_program
from builder.graph.lift import lift_program
from builder.graph.program import Program
from builder.lite.mobile_module_writer import FIRST_BYTECODE
from builder.lite.read import LITE, name_kind, open_model, read_lite_stream
from builder.pt2.read import read_program


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSource:
    """A file as a program."""

    program: Program
    content: bytes
    """As a lite file: what was read, if it is one."""
    before: bytes
    """What builder writes of it before any pass, to tell whether the passes changed anything."""
    is_lite: bool
    inputs: tuple[InputSpec, ...]
    """What the file says of its inputs; empty if it says nothing."""
    remarks: tuple[str, ...]
    torch_version: str

    def signature(self, method: str = "forward") -> Signature:
        """Of `method`; ModelError when there is none."""
        graph = self.program.method(method)
        if graph is None:
            raise ModelError(f"it has no method {method}", hint="export a model that has one")
        return describe_method(graph)


def read_source(path: Path, request: ExportRequest, knowledge: Knowledge) -> FileSource:
    """Returns the program in the file at `path`, with the extra files of `request`.

    Raises:
        ModelError: the file is damaged or hostile, or cannot be written as a lite file.
    """
    schemas = knowledge.schemas
    extra = request.saving.read_extra_files()
    if name_kind(path) == LITE:
        # Opened once: the file may be replaced meanwhile.
        with open_model(path) as stream:
            model = read_lite_stream(stream, path)
            _refuse_newer(model.bytecode_version)
            program = lift_program(model, schemas)
            stream.seek(0)
            content = stream.read()
        program.extra_files = {**program.extra_files, **extra}
        return FileSource(
            program=program,
            content=content,
            before=format_program(replace(program, records={}), LiteFormat.ZIP, schemas),
            is_lite=True,
            inputs=(),
            remarks=(),
            torch_version="",
        )
    exported = read_program(path, schemas, knowledge.raising)
    exported.program.extra_files = extra
    # A size that was not recorded may be anything, and 1 is always small.
    sizes = {symbol.name: symbol.value or 1 for symbol in exported.symbols}
    try:
        inputs = tuple(one.spec(sizes) for one in exported.inputs)
    except ConfigurationError:
        inputs = ()  # of a kind that the setting `inputs` cannot describe
    content = format_program(exported.program, LiteFormat.ZIP, schemas)
    return FileSource(
        program=exported.program,
        content=content,
        before=content,
        is_lite=False,
        inputs=inputs,
        remarks=exported.notes,
        torch_version=exported.torch_version,
    )


def _refuse_newer(version: int) -> None:
    if version > FIRST_BYTECODE:
        raise ModelError(
            f"its bytecode has version {version}, which is newer than {FIRST_BYTECODE}, the newest "
            "that builder knows",
            hint="use a newer builder, or write the file again with an older torch",
        )
