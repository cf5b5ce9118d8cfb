"""Makes a program of graphs: inputs and outputs as Python has them, weights, changed buffers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count

from builder.core.operator_schemas import Schemas
from builder.errors import ModelError
from builder.graph.graph import GET_ATTR, Block, Graph, Node, Value
from builder.graph.program import Program
from builder.lite.model import Argument
from builder.lite.objects import ScriptObject, Tensor
from builder.pt2 import document
from builder.pt2.arguments import Scope
from builder.pt2.containers import construct, unpack
from builder.pt2.convert_nodes import NodeConverter, describe, sweep
from builder.pt2.document import Document, InputSpec
from builder.pt2.graph_builder import GraphBuilder
from builder.pt2.inputs import Input, NumberLeaf, Symbol, describe_leaf, find_symbols, name_of
from builder.pt2.kinds import Operand, UnsupportedError
from builder.pt2.notes import list_names, note_dtypes, note_training
from builder.pt2.pytrees import NodeType, PyTree, annotate, parse_pytree
from builder.pt2.weights import Payloads

_CLASS = "__torch__.ExportedProgram"
_NAME = re.compile(r"[A-Za-z_]\w{0,63}", re.ASCII)
# A program with one unknown operator per layer would otherwise fill several screens.
_MOST_SHOWN = 25
_STATE = ("parameter", "buffer", "tensor_constant")
_USER = ("user_input", "constant_input")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedProgram:
    """What a `.pt2` file contains."""

    program: Program
    inputs: tuple[Input, ...]
    """The arguments of `forward`, without those that were the same for every call."""
    symbols: tuple[Symbol, ...]
    """What the sizes of inputs depend on, sorted by name."""
    notes: tuple[str, ...]
    """What a user should know about the conversion, as sentences."""
    torch_version: str
    """The version of torch that wrote the file."""


@dataclass(slots=True, eq=False)
class ProgramConverter:
    """Makes the program of one document."""

    content: Document
    schemas: Schemas
    raising: Mapping[str, str]
    payloads: Sequence[Payloads]
    """The weights and the constants."""
    notes: list[str] = field(default_factory=list)
    _block: Block = field(default_factory=Block)
    _state: dict[str, tuple[Value, Tensor]] = field(default_factory=dict)
    """Name of a parameter, buffer or constant -> its value and its tensor."""
    _inputs: list[Input] = field(default_factory=list)
    _names: set[str] = field(default_factory=lambda: {"self"})
    """The names of arguments of `forward`."""
    _numbers: Iterator[int] = field(default_factory=count)
    """For arguments without a name."""
    _left_out: list[str] = field(default_factory=list)
    """Arguments that were the same for every call, with their values."""
    _changed_inputs: list[str] = field(default_factory=list)
    _classes: set[str] = field(default_factory=set)
    _scope: Scope = field(default_factory=dict)
    _graph_builder: GraphBuilder = field(init=False)
    _converter: NodeConverter = field(init=False)

    def __post_init__(self) -> None:
        self._graph_builder = GraphBuilder(self.schemas, self.raising, self._block)
        self._converter = NodeConverter(self._graph_builder, self._graph.tensor_values)

    @property
    def _graph(self) -> document.Graph:
        return self.content.graph_module.graph

    def make(self, operator_version: int) -> ExportedProgram:
        """Returns the program.

        Args:
            operator_version: version of the operators that it calls.

        Raises:
            ModelError: parts of the program cannot be converted, or contradict each other.
        """
        module = ScriptObject(_CLASS)
        itself = Value(_CLASS, name="self")
        self._block.inputs.append(itself)
        self._bind_state()
        self._bind_inputs()
        outputs = self._converter.convert(self._graph, self._scope)
        result = self._finish(outputs)
        self._refuse()
        self._keep_changes(module, itself)
        self._block.outputs.append(result)
        sweep(self._block)
        self._add_notes()
        graph = Graph(
            name=f"{_CLASS}.forward",
            block=self._block,
            arguments=(
                Argument("self", _CLASS),
                *(Argument(one.name, one.tree.type) for one in self._inputs),
            ),
            results=(Argument("", result.type),),
        )
        return ExportedProgram(
            program=Program(
                root=module, graphs={graph.name: graph}, operator_version=operator_version
            ),
            inputs=tuple(self._inputs),
            symbols=tuple(find_symbols(self._inputs, self.content.range_constraints)),
            notes=tuple(self.notes),
            torch_version=self.content.torch_version[:80],
        )

    def _specs(self, kinds: Sequence[str]) -> Iterator[InputSpec]:
        for spec in self.content.graph_module.signature.input_specs:
            if spec.choice[0] in kinds:
                yield spec

    def _bind_state(self) -> None:
        """Adds parameters, buffers and constants."""
        for spec in self._specs((*_STATE, "custom_obj", "token")):
            kind, value = spec.choice
            if kind not in _STATE:
                what = "a token" if kind == "token" else "an object of a custom class"
                self._converter.problems[f"the input {value.arg.name!r:.80}: it is {what}"] += 1
                self._scope[value.arg.name] = None
                continue
            # Each of the three kinds has its own word for the name (schema.py).
            name = getattr(value, f"{kind}_name")
            self._scope[value.arg.name] = self._load(name)

    def _load(self, name: str) -> Value:
        # Inputs of the graph that name the same weight get one constant.
        if name not in self._state:
            for payload in self.payloads:
                if name in payload:
                    tensor = payload.tensor(name)
                    value = self._graph_builder.constant(tensor, "Tensor")
                    value.name = name
                    self._state[name] = value, tensor
                    self._graph_builder.memory.add(value)
                    break
            else:
                raise ModelError(f"the file has no values for {name!r:.80}")
        return self._state[name][0]

    def _bind_inputs(self) -> None:
        """Adds the arguments of `forward`, and takes their containers apart."""
        call = self._call_signature()
        tree = parse_pytree(call.in_spec, "in_spec")
        match tree:
            case PyTree(
                NodeType.TUPLE, (PyTree(NodeType.TUPLE) as given, PyTree(NodeType.DICT) as named)
            ):
                pass
            case _:
                raise ModelError("in_spec does not describe arguments and keyword arguments")
        specs = list(self._specs(_USER))
        if tree.leaves != len(specs):
            raise ModelError(f"in_spec has {tree.leaves} leaves for {len(specs)} inputs")
        called = [name for spec in self._specs(("user_input",)) if (name := name_of(spec))]
        if len({*called}) < len(called):
            raise ModelError("two inputs have the same name")
        names = list(call.forward_arg_names or ())[: len(given.children)]
        # A file need not name the arguments; `_choose_name` then takes the names in the graph.
        names += [""] * (len(given.children) - len(names))
        keywords = [str(key) for key in named.keys]
        keys = (*range(len(names)), *keywords)
        start = 0
        children = (*given.children, *named.children)
        for key, name, child in zip(keys, names + keywords, children, strict=True):
            end = start + child.leaves
            self._bind_input(key, name, child, specs[start:end])
            start = end

    def _bind_input(
        self, key: int | str, name: str, tree: PyTree, specs: Sequence[InputSpec]
    ) -> None:
        leaves = [describe_leaf(spec, self._graph) for spec in specs]
        name = self._choose_name(name, specs)
        if all(isinstance(leaf, NumberLeaf) and leaf.is_fixed for leaf in leaves):
            # Three values are enough for a note; a list may have thousands.
            values = [leaf.value for leaf in leaves[:3] if isinstance(leaf, NumberLeaf)]
            self._left_out.append(f"{name}={', '.join(f'{one!r:.40}' for one in values)}")
            return
        self._classes.update(tree.foreign_classes)
        tree = annotate(tree, [leaf.type for leaf in leaves])
        value = Value(tree.type, name=name)
        self._block.inputs.append(value)
        self._inputs.append(Input(name=name, tree=tree, leaves=tuple(leaves), key=key))
        for spec, leaf in zip(specs, unpack(self._graph_builder, value, tree), strict=True):
            self._bind_leaf(name_of(spec), leaf)

    def _choose_name(self, name: str, specs: Sequence[InputSpec]) -> str:
        candidates = [name, *(name_of(spec) for spec in specs[:1])]
        others = (f"input_{number}" for number in self._numbers)
        chosen = next(
            one
            for one in chain(filter(_NAME.fullmatch, candidates), others)
            if one not in self._names
        )
        self._names.add(chosen)
        return chosen

    def _bind_leaf(self, name: str, value: Value) -> None:
        if value.type == "Tensor" and name in self._graph.tensor_values:
            value.info = describe(self._graph.tensor_values[name])
        self._scope[name] = value

    def _finish(self, outputs: Sequence[Operand]) -> Value:
        """Returns what `forward` returns, and changes what the program changes."""
        specs = self.content.graph_module.signature.output_specs
        if len(specs) != len(outputs):
            raise ModelError(f"the signature has {len(specs)} outputs, the graph {len(outputs)}")
        leaves: list[Operand] = []
        changes: list[tuple[Value, Operand]] = []
        for (kind, spec), output in zip((one.choice for one in specs), outputs, strict=True):
            if kind == "user_output":
                leaves.append(output)
            elif kind in ("buffer_mutation", "parameter_mutation"):
                name = getattr(spec, f"{kind.partition('_')[0]}_name")
                changes.append((self._load(name), output))
            elif kind == "user_input_mutation":
                changes.append((self._input_value(spec.user_input_name), output))
            elif kind == "token":
                self._converter.problems["an output: it is a token, of an effect"] += 1
            else:
                self._converter.problems[f"an output: it is for training ({kind})"] += 1
        self._refuse()
        result = self._pack(leaves)
        for target, output in changes:
            if output is not target:
                try:
                    self._graph_builder.call("aten::copy_", target, output)
                except UnsupportedError as error:
                    self._converter.problems[f"a changed buffer or input: {error}"] += 1
        return result

    def _input_value(self, name: str) -> Value:
        value = self._scope.get(name)
        if not isinstance(value, Value):
            raise ModelError(f"no input is called {name!r:.80}")
        self._changed_inputs.append(name)
        return value

    def _pack(self, leaves: Sequence[Operand]) -> Value:
        tree = parse_pytree(self._call_signature().out_spec, "out_spec")
        if tree.leaves != len(leaves):
            raise ModelError(f"out_spec has {tree.leaves} leaves for {len(leaves)} outputs")
        self._classes.update(tree.foreign_classes)
        values = [self._graph_builder.as_value(leaf) for leaf in leaves]
        typed = annotate(tree, [value.type for value in values])
        # TorchScript's lists and dicts have one type for all their items.
        if typed.kinds != tree.kinds:
            self.notes.append(
                "Items of a list or dict in the result differ in type, so it is a tuple."
            )
        return construct(self._graph_builder, typed, iter(values))

    def _keep_changes(self, module: ScriptObject, itself: Value) -> None:
        """Makes attributes of the parameters and buffers that a node changes."""
        found = set(self._graph_builder.memory.changed(value for value, _ in self._state.values()))
        storages = {tensor.storage for value, tensor in self._state.values() if value in found}
        # Tensors that share memory change together.
        changed = [name for name, (_, tensor) in self._state.items() if tensor.storage in storages]
        constants = {self._state[name][0].producer for name in changed}
        kept = [node for node in self._graph_builder.constants if node not in constants]
        nodes = []
        for slot, name in enumerate(changed):
            value, tensor = self._state[name]
            module.attributes[f"state_{slot}"] = tensor
            nodes.append(Node(GET_ATTR, [itself], [value], {"slot": slot}))
        self._block.nodes[:0] = [*kept, *nodes]
        self.notes += list_names("A call changes what the next one starts with", changed)

    def _refuse(self) -> None:
        """Raises ModelError when parts of the program could not be converted."""
        problems = self._converter.problems
        if not problems:
            return
        shown = [
            f"\n  {problem}" + (f" ({count} times)" if count > 1 else "")
            for problem, count in sorted(problems.items())[:_MOST_SHOWN]
        ]
        if len(problems) > _MOST_SHOWN:
            shown.append(f"\n  and {len(problems) - _MOST_SHOWN} others")
        what = "a part" if len(problems) == 1 else f"{len(problems)} parts"
        raise ModelError(
            f"{what} of the program cannot be converted for the release:{''.join(shown)}",
            hint="write the model without them; if they come from a decomposition, export "
            "without run_decompositions()",
        )

    def _add_notes(self) -> None:
        """Adds what a user should know."""
        metas = self._graph.tensor_values.values()
        devices = {meta.device.type for meta in metas} | self._converter.devices
        for what, names in (
            ("forward does not take what was the same for every call", self._left_out),
            ("forward changes its inputs in place", self._changed_inputs),
            ("Objects of these classes become dicts or tuples", sorted(self._classes)),
            ("The program will run on the CPU, not on", sorted(devices - {"cpu"})),
        ):
            self.notes += list_names(what, names)
        self.notes += note_dtypes(metas)
        self.notes += note_training(self._block)

    def _call_signature(self) -> document.CallSignature:
        for call in self.content.graph_module.module_call_graph:
            # Other entries are modules that kept their own signatures; only the root is called.
            if not call.fqn and call.signature is not None:
                return call.signature
        raise ModelError("the file does not say how the program is called")
