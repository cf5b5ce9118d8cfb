"""Takes statements out of TorchScript that the lite interpreter does not have, or refuses them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch

from builder.errors import Hint, ModelError, Use
from builder.export.error_texts import find_place

_ENTER, _EXIT, _FORK = "prim::Enter", "prim::Exit", "prim::fork"
_WITHOUT_EFFECT = re.compile(
    r"__torch__\.torch\.autograd\.\w+\.(?:___torch_mangle_\d+\.)?"
    r"(no_grad|enable_grad|set_grad_enabled|record_function)",
    re.ASCII,
)
"""Types of contexts that change no output: a runtime has neither gradients nor profiles."""


def take_out(module: torch.jit.ScriptModule) -> tuple[str, ...]:
    """Changes the methods of `module` so that they can be saved for the lite interpreter.

    `with torch.no_grad()` is left out, and what torch.jit.fork() calls is called at once.

    Returns:
        a remark for each kind of statement, with the lines.
    """
    places: dict[str, list[str]] = {}
    for graph in _list_graphs(module):
        forks = [one for one in walk_nodes(graph) if one.kind() == _FORK]
        # A future that is kept in a list, for example, has to stay one.
        if forks and all(map(_is_waited_for, forks)):
            remark = "torch.jit.fork() calls its function at once, as a runtime does"
            places.setdefault(remark, []).extend(map(_place, forks))
            _call_forks(graph)
        for name, place in _drop_contexts(graph):
            remark = f"a `with` statement of {name} is left out: it has no effect on a runtime"
            places.setdefault(remark, []).append(place)
    return tuple(f"{remark}{''.join(sorted(set(listed)))}" for remark, listed in places.items())


def check_statements(nodes: Iterable[Any]) -> None:
    """Raises ModelError when TorchScript has a statement that no lite file can have.

    Args:
        nodes: of the methods, inlined.
    """
    for node in nodes:
        if node.kind() == _ENTER:
            name = node.inputsAt(0).type().annotation_str.removeprefix("__torch__.")
            raise ModelError(
                f"the model has a `with` statement of {name}, which a lite file cannot have"
                f"{_place(node) or _place(node.inputsAt(0).node())}",
                hint=Hint("take the statement out of the code, or ", *_TRACE),
            )
        if node.kind() == _FORK:
            raise ModelError(
                f"the model calls torch.jit.fork(), which a lite file cannot have{_place(node)}",
                hint="call the function directly, and leave torch.jit.wait() out",
            )


_TRACE = ("leave it out with ", Use("capture", "trace"))


def walk_nodes(block: Any) -> Iterator[Any]:  # noqa: ANN401 - torch's graphs have no types here
    """Yields the nodes of a block of TorchScript, or of a graph, and those of its inner blocks."""
    for node in block.nodes():
        yield node
        for inner in node.blocks():
            yield from walk_nodes(inner)


def _list_graphs(module: torch.jit.ScriptModule) -> Iterator[Any]:
    for part in module.modules():
        if isinstance(part, torch.jit.ScriptModule):
            for name in part._c._method_names():  # noqa: SLF001
                yield part._c._get_method(name).graph  # noqa: SLF001


def _is_waited_for(fork: Any) -> bool:  # noqa: ANN401
    return all(use.user.kind() == "aten::wait" for use in fork.output().uses())


def _call_forks(graph: Any) -> None:  # noqa: ANN401
    torch._C._jit_pass_inline_fork_wait(graph)  # noqa: SLF001 - torch has no other name
    # The pass leaves waits in branches, for what is no future any more.
    for node in [one for one in walk_nodes(graph) if one.kind() == "aten::wait"]:
        if node.inputsAt(0).type().kind() != "FutureType":
            node.output().replaceAllUsesWith(node.inputsAt(0))
            node.destroy()


def _drop_contexts(graph: Any) -> Sequence[tuple[str, str]]:  # noqa: ANN401
    nodes = list(walk_nodes(graph))
    dropped = []
    for made in [node for node in nodes if node.kind() == "prim::CreateObject"]:
        match = _WITHOUT_EFFECT.fullmatch(made.output().type().annotation_str)
        users = [use.user for use in made.output().uses()]
        if match is None or not all(map(_is_of_context, users)):
            continue
        # The line of the `with` statement says more than the line where its object is made.
        enter = next((node for node in users if node.kind() == _ENTER), made)
        dropped.append((match[1], _place(enter) or _place(made)))
        for user in users:
            user.destroy()
        made.destroy()
    if dropped:
        torch._C._jit_pass_dce(graph)  # noqa: SLF001 - the arguments of the contexts
    return dropped


def _is_of_context(node: Any) -> bool:  # noqa: ANN401
    """Whether a node only makes, enters or leaves a context."""
    if any(list(output.uses()) for output in node.outputs()):
        return False
    # The object is made, initialised, entered and left. Any other use may need it.
    made = node.kind() == "prim::CallMethod" and node.s("name") == "__init__"
    return made or node.kind() in (_ENTER, _EXIT)


def _place(node: Any) -> str:  # noqa: ANN401
    return find_place(str(node.sourceRange()))
