"""Makes bytecode of graphs, with registers that are used again.

The form is that of upstream's emitter (torch/csrc/jit/runtime/interpreter/code_impl.h), which the
lite interpreter, the verifier of builder's runtime and `builder.graph.lift` rely on. A value that
is used once, by the step that follows it, stays on the stack. All others are stored in a register,
which the last use in the value's own block clears.
"""

from __future__ import annotations

from builder.core.operator_schemas import Schemas
from builder.graph.emit import emit_function
from builder.graph.program import Program
from builder.lite.model import LiteModel

BYTECODE_VERSIONS = range(4, 9)
"""The versions that can be written; upstream has written the last since PyTorch 1.12."""


def lower_program(
    program: Program, schemas: Schemas, bytecode_version: int = BYTECODE_VERSIONS[-1]
) -> LiteModel:
    """Returns the model as a lite file holds it.

    Records of TorchScript's code are left out: they would say what the model was before.

    Args:
        program: its graphs are not changed.
        schemas: of the release's operators, which tell the defaults that are left out.
        bytecode_version: one of BYTECODE_VERSIONS. Runtimes that are older than the release may
            lack operators, or know them with fewer arguments.

    Raises:
        ModelError: bytecode has no form for a node, such as a list of more than 65,535 items.
    """
    return LiteModel(
        bytecode_version=bytecode_version,
        operator_version=program.operator_version,
        functions=tuple(
            emit_function(graph, schemas, program.operator_version, bytecode_version)
            for graph in program.graphs.values()
        ),
        root=program.root,
        extra_files=program.extra_files,
        records={name: program.records[name] for name in program.records if _is_kept(name)},
    )


def _is_kept(record: str) -> bool:
    # The map of debug handles refers to the ranges of source that stand beside the sources.
    return not record.startswith("code/") or record.endswith(".debug_pkl")
