"""The JSON in a `.pt2` file: types that mirror torch/_export/serde/schema.py, schema versions 7, 8.

Keys that builder does not use, such as the stack traces of nodes, are left out and skipped.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, structs

_SCALAR_TYPES = {
    1: "uint8",
    2: "int8",
    3: "int16",
    4: "int32",
    5: "int64",
    6: "float16",
    7: "float32",
    8: "float64",
    9: "complex32",
    10: "complex64",
    11: "complex128",
    12: "bool",
    13: "bfloat16",
    28: "uint16",
    29: "float8_e4m3fn",
    30: "float8_e5m2",
    31: "float8_e4m3fnuz",
    32: "float8_e5m2fnuz",
}
STRIDED = 7
"""The layout of dense tensors (schema.py, Layout)."""


def name_dtype(code: int) -> str:
    """Returns the name of a dtype as torch has it; not all of them are in SCALAR_TYPES."""
    return _SCALAR_TYPES.get(code, f"dtype {code}")


def read_float(value: float | str) -> float:
    """Returns a number; infinities and NaN are strings.

    Raises:
        ValueError: it is another string.
    """
    if isinstance(value, str) and value.strip("-+") not in ("Infinity", "inf", "NaN", "nan"):
        raise ValueError(f"not a number: {value!r:.40}")
    return float(value)


class Union(Struct, frozen=True, forbid_unknown_fields=True):
    """A value of one of several kinds: an object with exactly one key, which names the kind."""

    def __post_init__(self) -> None:
        fields = structs.astuple(self)
        count = len(fields) - fields.count(UNSET)
        if count != 1:
            raise ValueError(f"it must have one key, and has {count}")

    @property
    def choice(self) -> tuple[str, Any]:
        """The kind, which is the key, and the value."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if value is not UNSET:
                return name, value
        raise AssertionError("checked when it was made")


class Named(Struct, frozen=True):
    """A reference to a value of the graph."""

    name: str


class Device(Struct, frozen=True):
    """A device, such as `cpu` or `cuda:0`."""

    type: str
    index: int | None = None


class Hint(Union, frozen=True):
    """The value that an expression had when the program was exported."""

    as_int: int = UNSET  # type: ignore[assignment]
    as_bool: bool = UNSET  # type: ignore[assignment]
    as_float: float | str = UNSET  # type: ignore[assignment]


class Expression(Struct, frozen=True):
    """A symbolic expression as text; `builder.pt2.symbols` parses it."""

    expr_str: str
    hint: Hint | int | None = None


class Size(Union, frozen=True):
    """A size or stride of a tensor."""

    as_int: int = UNSET  # type: ignore[assignment]
    as_expr: Expression = UNSET  # type: ignore[assignment]


class TensorMeta(Struct, frozen=True):
    """What is known about a tensor."""

    dtype: int
    sizes: Annotated[list[Size], Meta(max_length=64)]
    """One per dimension, of which PyTorch has 64 at most."""
    strides: Annotated[list[Size], Meta(max_length=64)]
    storage_offset: Size
    device: Device
    layout: int
    requires_grad: bool = False

    @property
    def dtype_name(self) -> str:
        """Name of the dtype as torch has it; not all of them are in SCALAR_TYPES."""
        return name_dtype(self.dtype)


class SymbolicInt(Union, frozen=True):
    """An int, or the name of a value that is an int."""

    as_name: str = UNSET  # type: ignore[assignment]
    as_int: int = UNSET  # type: ignore[assignment]


class SymbolicFloat(Union, frozen=True):
    """A float, or the name of a value that is a float."""

    as_name: str = UNSET  # type: ignore[assignment]
    as_float: float | str = UNSET  # type: ignore[assignment]


class SymbolicBool(Union, frozen=True):
    """A bool, or the name of a value that is a bool."""

    as_name: str = UNSET  # type: ignore[assignment]
    as_bool: bool = UNSET  # type: ignore[assignment]


class OptionalTensor(Union, frozen=True):
    """A tensor or None."""

    as_tensor: Named = UNSET  # type: ignore[assignment]
    as_none: msgspec.Raw = UNSET  # type: ignore[assignment]


class Complex(Struct, frozen=True):
    """A complex number."""

    real: float | str
    imag: float | str


class Subgraph(Struct, frozen=True):
    """A graph that a higher-order operator runs."""

    name: str
    graph: Graph


class Argument(Union, frozen=True):
    """An argument or a result of a node, or an input or output of a graph."""

    as_none: msgspec.Raw = UNSET  # type: ignore[assignment]
    as_tensor: Named = UNSET  # type: ignore[assignment]
    as_tensors: list[Named] = UNSET  # type: ignore[assignment]
    as_int: int = UNSET  # type: ignore[assignment]
    as_ints: list[int] = UNSET  # type: ignore[assignment]
    as_float: float | str = UNSET  # type: ignore[assignment]
    as_floats: list[float | str] = UNSET  # type: ignore[assignment]
    as_string: str = UNSET  # type: ignore[assignment]
    as_strings: list[str] = UNSET  # type: ignore[assignment]
    as_bool: bool = UNSET  # type: ignore[assignment]
    as_bools: list[bool] = UNSET  # type: ignore[assignment]
    as_complex: Complex = UNSET  # type: ignore[assignment]
    as_sym_int: SymbolicInt = UNSET  # type: ignore[assignment]
    as_sym_ints: list[SymbolicInt] = UNSET  # type: ignore[assignment]
    as_sym_float: SymbolicFloat = UNSET  # type: ignore[assignment]
    as_sym_floats: list[SymbolicFloat] = UNSET  # type: ignore[assignment]
    as_sym_bool: SymbolicBool = UNSET  # type: ignore[assignment]
    as_sym_bools: list[SymbolicBool] = UNSET  # type: ignore[assignment]
    as_scalar_type: int = UNSET  # type: ignore[assignment]
    as_memory_format: int = UNSET  # type: ignore[assignment]
    as_layout: int = UNSET  # type: ignore[assignment]
    as_device: Device = UNSET  # type: ignore[assignment]
    as_optional_tensor: OptionalTensor = UNSET  # type: ignore[assignment]
    as_optional_tensors: list[OptionalTensor] = UNSET  # type: ignore[assignment]
    as_nested_tensors: list[list[Named]] = UNSET  # type: ignore[assignment]
    as_int_lists: list[list[int]] = UNSET  # type: ignore[assignment]
    as_graph: Subgraph = UNSET  # type: ignore[assignment]
    as_operator: str = UNSET  # type: ignore[assignment]
    as_custom_obj: Named = UNSET  # type: ignore[assignment]
    as_string_to_argument: dict[str, Argument] = UNSET  # type: ignore[assignment]


class NamedArgument(Struct, frozen=True):
    """An argument of a node; the name is empty for higher-order operators."""

    name: str
    arg: Argument


class Node(Struct, frozen=True):
    """A call in a graph."""

    target: str
    inputs: list[NamedArgument]
    outputs: list[Argument]


class Graph(Struct, frozen=True):
    """The graph of a program, or of a branch in it."""

    inputs: list[Argument]
    outputs: list[Argument]
    nodes: list[Node]
    tensor_values: dict[str, TensorMeta]
    sym_int_values: dict[str, Size] = {}


class Constant(Union, frozen=True):
    """The value of an input that is the same for every call."""

    as_none: msgspec.Raw = UNSET  # type: ignore[assignment]
    as_int: int = UNSET  # type: ignore[assignment]
    as_float: float | str = UNSET  # type: ignore[assignment]
    as_string: str = UNSET  # type: ignore[assignment]
    as_bool: bool = UNSET  # type: ignore[assignment]


class UserArgument(Struct, frozen=True):
    """An input or output that the user sees."""

    arg: Argument


class ConstantInput(Struct, frozen=True):
    """An input of the user that was a number, a string or None."""

    name: str
    value: Constant


class Parameter(Struct, frozen=True):
    """A parameter as an input of the graph, or its new value as an output."""

    arg: Named
    parameter_name: str


class Buffer(Struct, frozen=True):
    """A buffer as an input of the graph, or its new value as an output."""

    arg: Named
    buffer_name: str


class TensorConstant(Struct, frozen=True):
    """A constant tensor as an input of the graph."""

    arg: Named
    tensor_constant_name: str


class CustomObject(Struct, frozen=True):
    """An object of a custom class as an input of the graph."""

    arg: Named
    custom_obj_name: str


class Token(Struct, frozen=True):
    """A token, which orders operators with side effects."""

    arg: Named


class Mutation(Struct, frozen=True):
    """The new value of an input of the user."""

    arg: Named
    user_input_name: str


class InputSpec(Union, frozen=True):
    """What an input of the graph is."""

    user_input: UserArgument = UNSET  # type: ignore[assignment]
    constant_input: ConstantInput = UNSET  # type: ignore[assignment]
    parameter: Parameter = UNSET  # type: ignore[assignment]
    buffer: Buffer = UNSET  # type: ignore[assignment]
    tensor_constant: TensorConstant = UNSET  # type: ignore[assignment]
    custom_obj: CustomObject = UNSET  # type: ignore[assignment]
    token: Token = UNSET  # type: ignore[assignment]


class OutputSpec(Union, frozen=True):
    """What an output of the graph is."""

    user_output: UserArgument = UNSET  # type: ignore[assignment]
    buffer_mutation: Buffer = UNSET  # type: ignore[assignment]
    parameter_mutation: Parameter = UNSET  # type: ignore[assignment]
    user_input_mutation: Mutation = UNSET  # type: ignore[assignment]
    token: Token = UNSET  # type: ignore[assignment]
    loss_output: msgspec.Raw = UNSET  # type: ignore[assignment]
    gradient_to_parameter: msgspec.Raw = UNSET  # type: ignore[assignment]
    gradient_to_user_input: msgspec.Raw = UNSET  # type: ignore[assignment]


class Signature(Struct, frozen=True):
    """What the inputs and outputs of the graph are."""

    input_specs: list[InputSpec]
    output_specs: list[OutputSpec]


class CallSignature(Struct, frozen=True):
    """How Python calls a module; the specs describe containers (torch/utils/_pytree.py)."""

    in_spec: str
    out_spec: str
    forward_arg_names: list[str] | None = None


class ModuleCall(Struct, frozen=True):
    """A module of the program; the root has the empty name."""

    fqn: str
    signature: CallSignature | None = None


class GraphModule(Struct, frozen=True):
    """The graph of a program with its signature."""

    graph: Graph
    signature: Signature
    module_call_graph: list[ModuleCall]


class Range(Struct, frozen=True):
    """The smallest and largest value of a symbol; None: no bound."""

    min_val: int | str | None = None
    """A string says that there is no bound."""
    max_val: int | str | None = None


class Version(Struct, frozen=True):
    """The version of the document's schema."""

    major: int
    minor: int = 0


class Document(Struct, frozen=True):
    """A whole program."""

    graph_module: GraphModule
    opset_version: dict[str, int]
    range_constraints: dict[str, Range]
    schema_version: Version
    torch_version: str = ""


class Versioned(Struct, frozen=True):
    """The version of a document, which is read before the rest."""

    schema_version: Version


class Payload(Struct, frozen=True):
    """Where a weight or a constant is stored."""

    path_name: str
    use_pickle: bool
    tensor_meta: TensorMeta | None = None


class PayloadConfig(Struct, frozen=True):
    """Where all weights, or all constants, are stored."""

    config: dict[str, Payload]


class Spec(Struct, frozen=True):
    """A container, or a leaf (`type` is None), of inputs or outputs."""

    type: str | None
    context: Any = None
    children_spec: list[Spec] = []
