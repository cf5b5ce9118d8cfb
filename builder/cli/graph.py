"""`builder graph`: shows what the methods of a model compute."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import click

from builder import api
from builder.cli.console import echo, print_json
from builder.cli.settings_options import settings_options
from builder.core.setting_fields import Setting
from builder.errors import ModelError
from builder.graph.text import draw_graphs, list_graph, render_graph

if TYPE_CHECKING:
    from builder.graph.graph import Graph
    from builder.graph.program import Program


class Form(StrEnum):
    """The languages in which graphs are printed."""

    TEXT = "text"
    DOT = "dot"


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphOptions:
    """Which graphs to print, and how."""

    model: Path
    """The lite file or program of torch.export (.pt2) to read."""
    format: Form = Form.TEXT
    """How the graph is printed: as text like TorchScript's, or in the language of Graphviz, which
    draws it."""
    method: Annotated[str | None, Setting(placeholder="NAME")] = None
    """Print only this method, e.g. forward, or __torch__.Net.forward for one of a submodule
    (default: all)."""
    pytorch: Annotated[str | None, Setting(placeholder="VERSION")] = None
    """The release of PyTorch that runtimes are built from, e.g. 2.6.0 (default: the one that this
    version of builder declares)."""


@click.command("graph")
@settings_options(GraphOptions, "options")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def command(options: GraphOptions, as_json: bool) -> None:
    """Shows what the methods of a model compute, as a graph of operators.

    MODEL is a lite file (.ptl, zip or flatbuffer) or a program of torch.export (.pt2). No code in
    it is executed. Each line of the text is one step: the values that it makes, with their types as
    far as they are known, then the operator with its attributes, and the values that it takes. The
    steps of a prim::If or prim::Loop are indented below it.

    \b
    Examples:
      builder graph mobilenet_v2.ptl
      builder graph mobilenet_v2.ptl --method forward --json
      builder graph whisper.pt2
      builder graph mobilenet_v2.ptl --format dot > mobilenet_v2.dot
    """
    if as_json and options.format is not Form.TEXT:
        raise click.UsageError("--json and --format exclude each other.")
    program = api.read_graphs(options.model, version=options.pytorch)
    graphs = _choose(program, options.model, options.method)
    if as_json:
        print_json(
            "graph",
            {
                "graphs": [list_graph(graph) for graph in graphs],
                "model": options.model.name,
                "operator_version": program.operator_version,
            },
        )
    elif options.format is Form.DOT:
        echo(draw_graphs(graphs), nl=False)
    else:
        echo("\n".join(map(render_graph, graphs)), nl=False)


def _choose(program: Program, model: Path, method: str | None) -> list[Graph]:
    if method is None:
        return list(program.graphs.values())
    # A short name means a method of the module itself; submodules have methods of the same name.
    found = program.method(method) or program.graphs.get(method)
    if found is None:
        names = sorted(name.removeprefix(f"{program.root.class_name}.") for name in program.graphs)
        raise ModelError(
            f"{model} has no method {method}", hint=f"its methods are: {', '.join(names)}"
        )
    return [found]
