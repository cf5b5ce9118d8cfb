"""Makes a program of graphs: inputs and outputs as Python has them, weights, changed buffers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from builder.core.schemas import Schemas
from builder.errors import ModelError
from builder.graph.graph import GET_ATTR, Block, Graph, Node, Value
from builder.graph.program import Program
from builder.lite.model import Argument
from builder.lite.objects import ScriptObject, Tensor
from builder.pt2 import document
from builder.pt2.convert import Converter, Scope, describe, sweep
from builder.pt2.document import Document, InputSpec
from builder.pt2.emit import Emitter, Operand, UnsupportedError
from builder.pt2.inputs import Input, NumberLeaf, Symbol, describe_leaf, find_symbols, name_of
from builder.pt2.trees import Kind, Tree, annotate, parse_tree
from builder.pt2.weights import Weights

_CLASS = "__torch__.ExportedProgram"
_NAME = re.compile(r"[A-Za-z_]\w{0,63}", re.ASCII)
_MOST_SHOWN = 25
_STATE = ("parameter", "buffer", "tensor_constant")
_USER = ("user_input", "constant_input")
_CONSTRUCTORS = {
    Kind.TUPLE: "prim::TupleConstruct",
    Kind.LIST: "prim::ListConstruct",
    Kind.DICT: "prim::DictConstruct",
}
_HALF = ("float16", "bfloat16")


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
class ProgramMaker:
    """Makes the program of one document."""

    content: Document
    schemas: Schemas
    payloads: Sequence[Weights]
    """The weights and the constants."""
    notes: list[str] = field(default_factory=list)
    _block: Block = field(default_factory=Block)
    _state: dict[str, tuple[Value, Tensor]] = field(default_factory=dict)
    """Name of a parameter, buffer or constant -> its value and its tensor."""
    _inputs: list[Input] = field(default_factory=list)
    _scope: Scope = field(default_factory=dict)
    _emitter: Emitter = field(init=False)
    _converter: Converter = field(init=False)

    def __post_init__(self) -> None:
        self._emitter = Emitter(self.schemas, self._block)
        self._converter = Converter(self._emitter, self._graph.tensor_values)

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
        self._block.nodes[:0] = self._emitter.constants
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
            name = getattr(value, f"{kind}_name")
            self._scope[value.arg.name] = self._load(name)

    def _load(self, name: str) -> Value:
        if name not in self._state:
            for payload in self.payloads:
                if name in payload:
                    tensor = payload.tensor(name)
                    value = self._emitter.constant(tensor, "Tensor")
                    value.name = name
                    self._state[name] = value, tensor
                    self._emitter.origins[value] = frozenset({name})
                    break
            else:
                raise ModelError(f"the file has no values for {name!r:.80}")
        return self._state[name][0]

    def _bind_inputs(self) -> None:
        """Adds the arguments of `forward`, and takes their containers apart."""
        call = self._call_signature()
        tree = parse_tree(call.in_spec, "in_spec")
        match tree:
            case Tree(Kind.TUPLE, (Tree(Kind.TUPLE) as given, Tree(Kind.DICT) as named)):
                pass
            case _:
                raise ModelError("in_spec does not describe arguments and keyword arguments")
        specs = list(self._specs(_USER))
        if tree.leaves != len(specs):
            raise ModelError(f"in_spec has {tree.leaves} leaves for {len(specs)} inputs")
        names = list(call.forward_arg_names or ())[: len(given.children)]
        names += [""] * (len(given.children) - len(names)) + [str(key) for key in named.keys]
        start = 0
        for name, child in zip(names, (*given.children, *named.children), strict=True):
            end = start + child.leaves
            self._bind_input(name, child, specs[start:end])
            start = end

    def _bind_input(self, name: str, tree: Tree, specs: Sequence[InputSpec]) -> None:
        leaves = [describe_leaf(spec, self._graph) for spec in specs]
        name = self._choose_name(name, specs)
        if all(isinstance(leaf, NumberLeaf) and leaf.is_fixed for leaf in leaves):
            if leaves:
                shown = ", ".join(repr(leaf.value)[:40] for leaf in leaves)  # type: ignore[union-attr]
                self.notes.append(f"forward does not take {name}, which was {shown} at the export.")
            return
        self._note_classes(tree, f"the input {name}")
        tree = annotate(tree, [leaf.type for leaf in leaves])
        value = Value(tree.type, name=name)
        self._block.inputs.append(value)
        self._inputs.append(Input(name=name, tree=tree, leaves=tuple(leaves)))
        self._unpack(value, tree, iter(specs))

    def _choose_name(self, name: str, specs: Sequence[InputSpec]) -> str:
        taken = {"self", *(one.name for one in self._inputs)}
        inner = [name_of(spec) for spec in specs]
        for candidate in (name, *inner[:1]):
            if _NAME.fullmatch(candidate) and candidate not in taken:
                return candidate
        return next(
            f"input_{number}" for number in range(len(taken) + 1) if f"input_{number}" not in taken
        )

    def _unpack(self, value: Value, tree: Tree, specs: Iterator[InputSpec]) -> None:
        """Gives the leaves of an input to the names of the graph."""
        if tree.kind is Kind.LEAF:
            name = name_of(next(specs))
            if value.type == "Tensor" and name in self._graph.tensor_values:
                value.info = describe(self._graph.tensor_values[name])
            self._scope[name] = value
            return
        types = [child.type for child in tree.children]
        if tree.kind is Kind.LIST:
            items = self._emitter.add("prim::ListUnpack", [value], types)
        else:
            operator = "prim::TupleIndex" if tree.kind is Kind.TUPLE else "prim::DictIndex"
            keys = tree.keys or range(len(tree.children))
            items = [
                self._emitter.add(operator, [value, self._emitter.as_value(key)], [kind])[0]
                for key, kind in zip(keys, types, strict=True)
            ]
        for item, child in zip(items, tree.children, strict=True):
            self._unpack(item, child, specs)

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
                    self._emitter.call("aten::copy_", target, output)
                except UnsupportedError as error:
                    self._converter.problems[f"a changed buffer or input: {error}"] += 1
        return result

    def _input_value(self, name: str) -> Value:
        value = self._scope.get(name)
        if not isinstance(value, Value):
            raise ModelError(f"no input is called {name!r:.80}")
        shown = value.name if _NAME.fullmatch(value.name) else "an input"
        self.notes.append(f"forward changes {shown} in place.")
        return value

    def _pack(self, leaves: Sequence[Operand]) -> Value:
        tree = parse_tree(self._call_signature().out_spec, "out_spec")
        if tree.leaves != len(leaves):
            raise ModelError(f"out_spec has {tree.leaves} leaves for {len(leaves)} outputs")
        self._note_classes(tree, "the result")
        values = [self._emitter.as_value(leaf) for leaf in leaves]
        typed = annotate(tree, [value.type for value in values])
        if typed.kinds != tree.kinds:
            self.notes.append(
                "Items of a list or dict in the result differ in type, so it is a tuple."
            )
        return self._construct(typed, iter(values))

    def _construct(self, tree: Tree, leaves: Iterator[Value]) -> Value:
        if tree.kind is Kind.LEAF:
            return next(leaves)
        items = [self._construct(child, leaves) for child in tree.children]
        if tree.kind is Kind.DICT:
            keys = [self._emitter.as_value(key) for key in tree.keys]
            items = [value for pair in zip(keys, items, strict=True) for value in pair]
        return self._emitter.construct(_CONSTRUCTORS[tree.kind], items, tree.type)

    def _keep_changes(self, module: ScriptObject, itself: Value) -> None:
        """Makes attributes of the parameters and buffers that a node changes."""
        storages = {self._state[name][1].storage for name in self._emitter.changed}
        # Tensors that share memory change together.
        changed = [name for name, (_, tensor) in self._state.items() if tensor.storage in storages]
        nodes = []
        for slot, name in enumerate(changed):
            value, tensor = self._state[name]
            module.attributes[f"state_{slot}"] = tensor
            assert value.producer is not None
            self._emitter.constants.remove(value.producer)
            nodes.append(Node(GET_ATTR, [itself], [value], {"slot": slot}))
        self._block.nodes[:0] = nodes
        if changed:
            shown = ", ".join(f"{name!r:.60}" for name in sorted(changed)[:_MOST_SHOWN])
            self.notes.append(f"A call changes what the next one starts with: {shown}.")

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
        metas = self._graph.tensor_values.values()
        devices = {meta.device.type for meta in metas} | self._converter.devices
        if others := sorted(devices - {"cpu"}):
            shown = ", ".join(f"{one!r:.40}" for one in others[:_MOST_SHOWN])
            self.notes.append(f"The program was exported on {shown}; it will run on the CPU.")
        for dtype in _HALF:
            if any(meta.dtype_name == dtype for meta in metas):
                self.notes.append(
                    f"The program computes in {dtype}, for which not all operators have kernels "
                    "on the CPU; model.float() before the export avoids it."
                )

    def _note_classes(self, tree: Tree, what: str) -> None:
        for name in sorted(set(tree.foreign_classes)):
            kind = "a dict" if tree.kind is Kind.DICT else "a tuple"
            self.notes.append(f"An object of {name!r} in {what} becomes {kind}.")

    def _call_signature(self) -> document.CallSignature:
        for call in self.content.graph_module.module_call_graph:
            if not call.fqn and call.signature is not None:
                return call.signature
        raise ModelError("the file does not say how the program is called")
