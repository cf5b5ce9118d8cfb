from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.api import load_release
from builder.api.exports import load_knowledge
from builder.core.dtypes import DtypeSet
from builder.core.model_facts import ModelOrigin, OperatorList
from builder.core.operators import Operator, OperatorSet
from builder.errors import BuilderError, ConfigurationError, ExitCode, ModelError
from builder.oplists.format import is_op_list
from builder.oplists.read import parse_op_list, read_op_list
from builder.oplists.write import refuse_other_name, render_op_list, write_op_list
from builder.system.folders import data_folder

NAMES = st.text(min_size=1, max_size=12) | st.just("undecodable \udcff name")
OPERATORS = st.builds(
    Operator,
    st.from_regex(r"[a-z_]{1,5}::[A-Za-z_][A-Za-z0-9_]{0,5}", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9_]{0,6}", fullmatch=True),
)
ORIGINS = st.builds(
    ModelOrigin, NAMES, st.from_regex(r"[0-9a-f]{64}", fullmatch=True), st.none() | st.integers(3)
)
OP_LISTS = st.builds(
    lambda operators, classes, marks, versions, models: OperatorList(
        operators=OperatorSet(operators),
        custom_classes=tuple(sorted(classes)),
        marks=tuple(sorted(marks)),
        bytecode_versions=tuple(sorted(versions)),
        models=tuple(sorted(models)),
    ),
    st.dictionaries(OPERATORS, st.frozensets(NAMES, min_size=1, max_size=3), max_size=5),
    st.sets(st.from_regex(r"[a-z]{1,5}\.[A-Z][a-z]{0,5}", fullmatch=True), max_size=3),
    st.sets(st.from_regex(r"optimized_for_[a-z]{1,5}", fullmatch=True), max_size=2),
    st.sets(st.integers(3, 12), max_size=3),
    st.sets(ORIGINS, max_size=3),
)
ONE = OperatorList(operators=OperatorSet.of([Operator("aten::add", "Tensor")], source="a b.ptl"))


@given(OP_LISTS)
def test_written_lists_are_read_back(op_list):
    assert parse_op_list(render_op_list(op_list), source="x.yaml") == op_list


@given(OP_LISTS)
def test_equal_lists_have_equal_texts(op_list):
    backwards = dict(reversed(list(op_list.operators.wanted_by.items())))
    again = OperatorList(
        operators=OperatorSet(backwards),
        custom_classes=op_list.custom_classes[::-1],
        marks=op_list.marks[::-1],
        bytecode_versions=op_list.bytecode_versions[::-1],
        models=op_list.models[::-1],
    )
    text = render_op_list(op_list)
    assert render_op_list(again) == text
    assert text.endswith("\n")


@given(OP_LISTS, OP_LISTS)
def test_union_survives_the_file(left, right):
    assert parse_op_list(render_op_list(left | right), source="x") == left | right


def test_the_same_model_with_and_without_version_can_be_merged():
    digest = "0" * 64
    lists = [
        OperatorList(operators=OperatorSet(), models=(ModelOrigin("m", digest, version),))
        for version in (8, None)
    ]
    assert (lists[0] | lists[1]).models == (lists[1] | lists[0]).models


def test_provenance_and_dtypes_survive_the_file():
    origin = ModelOrigin("m.ptl", "a" * 64, 8, "torch 1.13", "builder export m -o m.ptl")
    operators = OperatorSet.of([Operator("aten::add", "Tensor")], source="m.ptl")
    op_list = OperatorList(
        operators=operators, models=(origin,), dtypes=DtypeSet.of(["float32", "bool"])
    )
    assert parse_op_list(render_op_list(op_list), source="x") == op_list
    assert (op_list | OperatorList(operators=operators)).dtypes is None
    with pytest.raises(ModelError, match="float33"):
        parse_op_list(render_op_list(op_list).replace("float32", "float33"), source="x")


def test_writing_is_whole_and_makes_folders(tmp_path):
    path = tmp_path / "new folder" / "ops.yaml"
    write_op_list(path, ONE)
    assert read_op_list(path) == ONE
    assert [entry.name for entry in path.parent.iterdir()] == ["ops.yaml"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ops.yaml", "- aten::add.Tensor\n- aten::relu\n"),
        ("ops.yml", "aten::add.Tensor\naten::relu\n"),
        ("ops.txt", "# mine\naten::add.Tensor\n\n- aten::relu  # twice\naten::relu\n"),
    ],
)
def test_plain_lists_of_names(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    found = read_op_list(path)
    assert [str(operator) for operator in found.operators] == ["aten::add.Tensor", "aten::relu"]
    assert found.operators.sources(Operator("aten::relu")) == (name,)
    assert is_op_list(path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "aten::add.Tensor\naten::mul.Tensor\n"),
        ("a.txt", "- aten::add.Tensor\n- aten::mul.Tensor\n"),
        ("a.txt", "# names\naten::add.Tensor\naten::mul.Tensor"),
        ("a.yaml", "- aten::add.Tensor\n- aten::mul.Tensor\n"),
        ("a.yaml", "# names\naten::add.Tensor aten::mul.Tensor\n"),
    ],
)
def test_a_byte_order_mark_before_a_list_is_ignored(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(f"\ufeff{text}", encoding="utf-8")
    names = list(map(str, read_op_list(path).operators))
    assert names == ["aten::add.Tensor", "aten::mul.Tensor"]


def test_roots_of_upstream_lists_are_kept_and_inner_operators_dropped():
    found = parse_op_list(
        """
        include_all_non_op_selectives: true
        debug_info: [some remark, '["json"]', '{"other": 1}']
        operators:
          aten::add.Tensor: {is_root_operator: true, debug_info: [m]}
          aten::relu: {is_root_operator: true, include_all_overloads: false}
          aten::empty.memory_format: {is_root_operator: false}
          aten::inner: {is_root_operator: false, include_all_overloads: true}
        kernel_metadata: {add/1: [Float]}
        custom_classes: [b.B, a.A]
        """,
        source="up.yaml",
    )
    assert {str(o): found.operators.sources(o) for o in found.operators} == {
        "aten::add.Tensor": ("m",),
        "aten::relu": ("up.yaml",),
    }
    assert found.custom_classes == ("a.A", "b.B")
    assert found.models == ()


def test_upstreams_counted_operators_are_a_list_of_names():
    found = parse_op_list(
        "root_operators: {aten::add.Tensor: 32, prim::min.int: 81}", source="model_ops.yaml"
    )
    assert {str(o): found.operators.sources(o) for o in found.operators} == {
        "aten::add.Tensor": ("model_ops.yaml",),
        "prim::min.int": ("model_ops.yaml",),
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("root_operators: {}", "does not name any operators"),
        ("root_operators: [aten::add]", "unknown keys: root_operators"),
        ("root_operators: {aten::add: 1}\noperators: {}", "unknown keys: root_operators"),
        ("", "neither operators"),
        ("42", "neither operators"),
        ("[]", "does not name any operators"),
        ("- 3", "int is not the name"),
        ("- rm -rf /", "is not the name of an operator"),
        ("- {a: b}", "dict is not the name"),
        ("hello: world", "unknown keys: hello"),
        ("include_all_operators: true", "asks for all operators"),
        ("operators: [aten::add]", "operators is not a mapping"),
        ("operators: {aten::add: }", "aten::add is not a mapping"),
        ("operators: {aten::add: {}}", "all its overloads"),
        ("operators: {aten::add.x: {is_root_operator: 1}}", "neither true nor false"),
        ("operators: {}\ncustom_classes: a", "custom_classes is not a list"),
        ("operators: {aten::add.x: {debug_info: [1]}}", "debug_info of aten::add.x"),
        ("operators: {}\ndebug_info: ['{\"builder_op_list\": 2}']", "newer builder"),
        (
            'operators: {}\ndebug_info: [\'{"builder_op_list": 1, "bytecode_versions": 8}\']',
            "is not a list of numbers",
        ),
        ("a: [", "^line [12]: it is not YAML"),
        ("- aten::add.x\n- !!bool x", "^line 2: tags are not allowed in it$"),
        ("\x00", "^line 1: the character U.0000 is not allowed in it$"),
        ("!!python/object/apply:os.system [ls]", "tags are not allowed"),
        ("!!bool nonsense", "tags are not allowed"),
        ("!!timestamp nonsense", "tags are not allowed"),
        ("a: &a [x]\nb: [*a, *a]", "aliases"),
        ("[" * 5000, "nested too deeply"),
        ("a: 1\n---\nb: 2", "several YAML documents"),
        ("a: 1\na: 2", "^line 2: the key .a. stands there twice$"),
        ("x: " + "1:" * 500_000 + "1", "unknown keys: x"),
        ("x: 0x" + "f" * 1_000_000, "unknown keys: x"),
    ],
)
def test_junk_is_refused_with_a_reason(text, words):
    with pytest.raises(ModelError, match=words) as caught:
        parse_op_list(text, source="x.yaml")
    assert caught.value.exit_code == ExitCode.MODEL
    assert "ops(MODEL" in caught.value.hint


def test_unreadable_files(tmp_path):
    with pytest.raises(ModelError, match=r"the operator list .* does not exist"):
        read_op_list(tmp_path / "none.yaml")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelError, match="not a text file"):
        read_op_list(binary)
    huge = tmp_path / "huge.txt"
    huge.write_bytes(b"#" * ((16 << 20) + 1))
    with pytest.raises(ModelError, match="larger than"):
        read_op_list(huge)


@given(st.text(st.sampled_from("-:[]{}&*!#'\"\n ab01%@`|>,?.\t"), max_size=60))
def test_any_text_gives_a_list_or_our_error(text):
    with contextlib.suppress(BuilderError):
        parse_op_list(text, source="x.yaml")


def test_every_operator_of_the_zoo_is_one_that_can_be_built():
    known = load_knowledge(load_release()).known
    lists = sorted((data_folder("ops_lists")).glob("*.yaml"))
    assert len(lists) == 24
    unknown = {
        str(operator)
        for path in lists
        for operator in read_op_list(path).operators
        if not known.has(str(operator))
    }
    assert unknown == set()
    assert not known.has("c10d::allreduce_")


def test_a_pipe_is_not_a_list_and_no_name_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(ModelError, match="is not a regular file"):
        read_op_list(tmp_path / "pipe.yaml")
    with pytest.raises(ConfigurationError, match="name of the operator list is empty"):
        refuse_other_name(Path())
