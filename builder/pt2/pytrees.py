"""Pytrees (torch/utils/_pytree.py): containers of inputs and outputs, and their types."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from builder.core.typed import parse_json
from builder.errors import ModelError
from builder.pt2.document import Spec

_DEEPEST = 32
_CONTAINERS = {
    "builtins.tuple": "tuple",
    "builtins.list": "list",
    "builtins.dict": "dict",
    "collections.OrderedDict": "dict",
    "collections.defaultdict": "dict",
    "collections.namedtuple": "tuple",
    "collections.deque": "list",
    "torch.Size": "tuple",
}


class NodeType(StrEnum):
    """What a node of a tree is."""

    LEAF = "leaf"
    TUPLE = "tuple"
    LIST = "list"
    DICT = "dict"


@dataclass(frozen=True, slots=True)
class PyTree:
    """A container of trees, or a leaf."""

    kind: NodeType
    children: tuple[PyTree, ...] = ()
    keys: tuple[str | int, ...] = ()
    """Of a dict, one per child."""
    foreign: str = ""
    """Name of the Python class, if builder takes its objects for a dict or a tuple."""
    type: str = ""
    """In TorchScript's syntax; `annotate` sets it."""
    leaves: int = field(init=False, compare=False)
    """Number of leaves."""

    def __post_init__(self) -> None:
        count = 1 if self.kind is NodeType.LEAF else sum(child.leaves for child in self.children)
        object.__setattr__(self, "leaves", count)

    @property
    def kinds(self) -> tuple[object, ...]:
        """The kinds of the tree and of all that it contains."""
        return (self.kind, *(child.kinds for child in self.children))

    @property
    def foreign_classes(self) -> Iterator[str]:
        """Yields the names of classes that are not containers of Python."""
        if self.foreign:
            yield self.foreign
        for child in self.children:
            yield from child.foreign_classes


LEAF = PyTree(NodeType.LEAF)


def parse_pytree(text: str, where: str) -> PyTree:
    """Returns the tree that the text of a TreeSpec describes.

    Raises:
        ModelError: the text is not a TreeSpec of protocol 1, or is nested too deeply.
    """
    try:
        protocol, spec = parse_json(text, tuple[int, Spec], where)
    except ValueError as error:
        raise ModelError(str(error)) from None
    if protocol != 1:
        raise ModelError(f"{where}: protocol {protocol} is unknown", hint="use a newer builder")
    return _convert(spec, where, 0)


def _convert(spec: Spec, where: str, depth: int) -> PyTree:
    if depth > _DEEPEST:
        raise ModelError(f"{where}: containers are nested too deeply")
    if spec.type is None:
        return LEAF
    children = tuple(_convert(child, where, depth + 1) for child in spec.children_spec)
    kind = _CONTAINERS.get(spec.type)
    keys = _find_keys(spec.context, len(children))
    if kind is None:
        # Dataclasses and the outputs of transformers name their fields, others have an order.
        fields = NodeType.TUPLE if keys is None or not children else NodeType.DICT
        return PyTree(fields, children, keys or (), foreign=spec.type[:120])
    if kind != NodeType.DICT:
        return PyTree(NodeType(kind), children)
    if keys is None:
        raise ModelError(f"{where}: the keys of a dict are neither strings nor ints")
    return PyTree(NodeType.DICT, children, keys)


def _find_keys(context: object, count: int) -> tuple[str | int, ...] | None:
    """Returns the keys in the context of a container; None if it has none."""
    if isinstance(context, str):
        # A reader of ours, since Python's own takes texts that UTF-8 cannot hold.
        try:
            context = parse_json(context, object, "the keys of a container")
        except ValueError:
            return None
    if isinstance(context, dict):  # of a defaultdict
        context = context.get("dict_context")
    # The context of a dataclass is (names of its fields, names of those that are None).
    match context:
        case [list() as context, list()]:
            pass
    if not isinstance(context, list) or len(context) != count:
        return None
    kinds = {type(key) for key in context}
    is_right = kinds <= {str} or kinds <= {int}
    return tuple(context) if is_right and len(set(context)) == count else None


def annotate(tree: PyTree, types: Sequence[str]) -> PyTree:
    """Returns the tree with its types in TorchScript's syntax.

    Lists and dicts whose items differ in type become tuples, since TorchScript has no others.

    Args:
        tree: any tree.
        types: the type of each leaf.
    """
    if tree.kind is NodeType.LEAF:
        return replace(tree, type=types[0])
    children, start = [], 0
    for child in tree.children:
        end = start + child.leaves
        children.append(annotate(child, types[start:end]))
        start = end
    inner = [child.type for child in children]
    if tree.kind is NodeType.TUPLE or len(set(inner)) > 1:
        kind = f"Tuple[{', '.join(inner) or '()'}]"
        return replace(tree, kind=NodeType.TUPLE, children=tuple(children), keys=(), type=kind)
    item = inner[0] if inner else "Tensor"
    key = "int" if tree.keys and type(tree.keys[0]) is int else "str"
    kind = f"List[{item}]" if tree.kind is NodeType.LIST else f"Dict[{key}, {item}]"
    return replace(tree, children=tuple(children), type=kind)
