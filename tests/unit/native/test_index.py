from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from samples import make_graph

from builder.native.generated import GeneratedCode
from builder.native.index import (
    ObjectSymbols,
    find_definitions,
    index_symbols,
    load_index,
    parse_index,
    parse_symbols,
    render_index,
)
from builder.native.symbol_names import parse_qualified_name
from builder.sources.releases import load_release

lines = st.text("ab:<>()*& =#[]ü", min_size=1, max_size=9).filter(lambda t: t[0] not in "=#")
NM = """\
0000000000000000 T c10::Foo::bar(int)
0000000000000010 D c10::g_flag
0000000000000010 B c10::table[abi:cxx11]
0000000000000020 R vtable for c10::Foo
0000000000000000 W c10::inlined(int)
0000000000000000 V typeinfo for c10::Foo
0000000000000040 T long c10::wrap<long>(long, long)
                 U c10::needed(int)
                 w c10::optional

"""


@given(st.dictionaries(lines, st.sets(lines, min_size=1), max_size=5))
def test_an_index_is_read_as_it_was_written(defined_by):
    read = parse_index(render_index(defined_by, header="made by a test"))
    assert {(unit, name) for name, units in read.items() for unit in units} == {
        (unit, name) for unit, names in defined_by.items() for name in names
    }


def test_the_text_is_sorted_and_leaves_out_units_that_define_nothing():
    text = render_index({"b.cpp": ["z", "a", "z"], "a.cpp": ["m"], "c.cpp": []}, header="title")
    assert text == "# title\n= a.cpp\nm\n= b.cpp\na\nz\n"


def symbols(*, strong=(), weak=(), undefined=()):
    return ObjectSymbols(frozenset(strong), frozenset(weak), frozenset(undefined))


def test_symbols_of_an_object():
    assert parse_symbols(NM) == symbols(
        strong=(
            *("c10::Foo::bar(int)", "c10::g_flag", "c10::table[abi:cxx11]", "vtable for c10::Foo"),
            "long c10::wrap<long>(long, long)",
        ),
        weak=("c10::inlined(int)", "typeinfo for c10::Foo"),
        undefined=("c10::needed(int)", "c10::optional"),
    )


def test_names_are_indexed_by_what_the_linker_will_ask_for():
    indexed = index_symbols(
        [
            ("a.cpp", symbols(strong=["at::f(int)"], weak=["at::g<int>(int)", "at::inlined()"])),
            ("b.cpp", symbols(strong=["at::h()"], weak=["at::f(int)"], undefined=["at::f(int)"])),
            ("c.cpp", symbols(undefined=["at::g<int>(int)", "at::nowhere()"])),
            ("generated/aten/src/ATen/Operators_1.cpp", symbols(strong=["at::_ops::x::call()"])),
            ("generated/aten/src/ATen/RegisterCPU.cpp", symbols(strong=["at::cpu::add()"])),
            ("generated/aten/src/ATen/core/TensorMethods.cpp", symbols(strong=["at::T::x()"])),
        ]
    )
    assert indexed == {
        "a.cpp": {"at::f", "at::g<int>"},  # an explicit instance: no object has it strongly
        "b.cpp": {"at::h"},
        "c.cpp": set(),
        "generated/aten/src/ATen/core/TensorMethods.cpp": {"at::T::x"},
    }


def test_an_index_knows_generated_code_too(tmp_path):
    recorded = tmp_path / "symbols.txt"
    recorded.write_text("# title\n= a.cpp\nat::here\nat::both\n= gone.cpp\nat::both\nat::gone\n")
    platform = tmp_path / "symbols-platform.txt"
    platform.write_text("# title\n= b.cpp\nat::here\n")
    generated = GeneratedCode(groups={}, defined_in={"at::cpu::add_out": "at::cpu::add"})
    index = load_index([recorded, platform], make_graph("a.cpp", "b.cpp"), generated)
    assert index.find_units("at::here") == ("a.cpp", "b.cpp")
    assert index.find_units("at::both") == ("a.cpp",)
    assert index.find_units("at::gone") == ()
    assert index.find_units("at::cpu::add_out") == ("at::cpu::add",)
    assert index.find_units("at::cpu::other") == ()


def test_the_recorded_index_is_what_this_code_writes():
    """Otherwise names that the linker reports would not be found in it."""
    text = load_release().indexes[""].read_text()
    names = parse_index(text)
    assert len(names) > 5000
    assert [name for name in names if parse_qualified_name(name) != name] == []
    by_unit: dict[str, list[str]] = {}
    for name, units in names.items():
        for unit in units:
            by_unit.setdefault(unit, []).append(name)
    header = text.partition("\n")[0].removeprefix("# ")
    assert render_index(by_unit, header=header) == text


def test_definitions_are_found_in_c_and_assembler_text():
    c = "static int helper(int a) {\n}\nvoid xnn_abs__neon(\n    size_t n,\n    float* y)\n{\n"
    assert find_definitions(c + "int declared(int);\n") == {"helper", "xnn_abs__neon"}
    assert find_definitions("  declared(a);\n    called(\n") == frozenset()
    assert find_definitions("BEGIN_FUNCTION xnn_gemm__asm\n") == {"xnn_gemm__asm"}
    assert find_definitions("BEGIN_ASM_FUNCTION pytorch_q8\n") == {"pytorch_q8"}


def test_names_that_a_macro_of_the_assembler_source_pastes_together_are_found():
    text = "#define MAKE(BITS, SIZE) ;\\\n    BEGIN_FUNCTION q8_w##BITS##__neon ;\\\n"
    text += "    END_FUNCTION q8_w##BITS##__neon\n"
    found = find_definitions(text + "MAKE(32, #4)\nMAKE(8, #1)\n")
    assert found == {"q8_w32__neon", "q8_w8__neon"}
