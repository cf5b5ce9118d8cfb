from __future__ import annotations

from pathlib import Path

from samples import make_graph, make_unit

from builder.native.generated import GeneratedCode, Group, Piece
from builder.native.slices import Slices


def make_group(name: str, text: str = "") -> Group:
    body = f"void {name}() {{ {text} }}"
    return Group(pieces=(Piece(namespaces=("at", "cpu"), name=name, text=body),))


def make_slices(folder: Path) -> Slices:
    groups = {
        "at::cpu::f": make_group("f", "at::cpu::g();"),
        "at::cpu::g": make_group("g"),
        "at::cpu::h": make_group("h"),
    }
    code = GeneratedCode(groups=groups, defined_in={name: name for name in groups})
    like = make_unit("generated/aten/src/ATen/Operators_0.cpp", flags=("-DX",))
    return Slices(code, make_graph(like), folder)


def test_units_pass_and_groups_become_a_unit(tmp_path):
    slices = make_slices(tmp_path)
    assert slices.add(["a.cpp", "at::cpu::f"]) == {"a.cpp"}
    (unit,) = slices.units
    assert unit.id.startswith("generated/aten/src/ATen/reached@")
    assert unit.flags == ("-DX",)
    assert "void f()" in Path(unit.source).read_text()
    assert Path(unit.source).parent == tmp_path


def test_only_what_is_new_makes_a_slice(tmp_path):
    slices = make_slices(tmp_path)
    slices.add(["at::cpu::f"])
    slices.add(["at::cpu::f", "at::cpu::g"])
    assert len(slices.units) == 1
    slices.add(["at::cpu::f", "at::cpu::h"])
    assert "void f()" not in Path(slices.units[1].source).read_text()
    assert len({unit.id for unit in slices.units}) == 2


def test_equal_slices_are_one_unit_for_every_build(tmp_path):
    one, other = make_slices(tmp_path), make_slices(tmp_path)
    one.add(["at::cpu::h", "x.cpp"])
    other.add(["y.cpp", "at::cpu::h"])
    assert one.units == other.units
