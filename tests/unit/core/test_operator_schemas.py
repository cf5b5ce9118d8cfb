import pytest

from builder.core.operator_schemas import Schemas, parse_schema
from builder.sources.schemas import load_schemas


def test_arguments_have_types_defaults_and_aliases() -> None:
    schema = parse_schema(
        "aten::add.out(Tensor self, Tensor other, *, Scalar alpha=1, Tensor(a!) out) -> Tensor(a!)"
    )
    assert schema.name == "aten::add.out"
    assert [argument.name for argument in schema.arguments] == ["self", "other", "alpha", "out"]
    alpha, out = schema.arguments[2:]
    assert (alpha.type, alpha.default, alpha.keyword_only) == ("Scalar", 1, True)
    assert (out.type, out.mutable, out.has_default) == ("Tensor", True, False)
    assert schema.results == ("Tensor",)
    assert not schema.is_pure


def test_commas_inside_brackets_and_quotes_separate_nothing() -> None:
    schema = parse_schema(
        'a::b((str, t)[] items, int[2] size=[0, 1], str text="a, b", Dict(int, t)(a) d) '
        "-> (Tensor values, Dict(str, t))"
    )
    assert [argument.type for argument in schema.arguments] == [
        "(str, t)[]",
        "int[2]",
        "str",
        "Dict(int, t)",
    ]
    assert schema.arguments[1].default == [0, 1]
    assert schema.arguments[2].default == "a, b"
    assert schema.results == ("Tensor", "Dict(str, t)")


def test_a_single_result_may_be_a_tuple_or_have_a_name() -> None:
    assert parse_schema("a::b() -> (int, str)[] pairs").results == ("(int, str)[]",)
    assert parse_schema("a::b() -> ()").results == ()
    assert parse_schema("a::b(Tensor(a) x) -> Tensor(b|a)").results == ("Tensor",)


def test_variadic_operators_are_marked() -> None:
    assert parse_schema("aten::format(str self, ...) -> str").variadic
    assert not parse_schema("aten::relu(Tensor self) -> Tensor").variadic


@pytest.mark.parametrize("text", ["", "aten::relu", "aten::relu(Tensor self)", "relu -> Tensor"])
def test_other_text_is_no_schema(text: str) -> None:
    with pytest.raises(ValueError, match="not a schema"):
        parse_schema(text)


def test_every_schema_of_the_release_can_be_parsed() -> None:
    schemas = load_schemas("2.6.0")
    names = list(schemas)
    assert len(names) > 3900
    for name in names:
        schema = schemas.find(name)
        assert schema is not None
        assert schema.name == name
        assert all(argument.name.isidentifier() for argument in schema.arguments)
    assert schemas.find("aten::no_such_operator") is None
    # Quantised and nested tensors have kernels of their own; scripted models call these.
    for name in ("aten::q_zero_point", "aten::int_repr", "aten::to_padded_tensor"):
        assert schemas.find(name) is not None


def test_comments_of_a_list_are_left_out() -> None:
    assert list(Schemas("# note\na::b() -> ()\n\n")) == ["a::b"]
