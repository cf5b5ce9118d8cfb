from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.core.units import SymbolIndex
from builder.errors import NativeBuildError
from builder.native import closure
from builder.native.closure import Closure
from builder.native.closure import close as close_by_steps
from builder.native.together import run_together


def close(roots, index, *, try_link) -> Closure:
    def by_steps(units):
        return try_link(units)
        yield  # a generator, which has no steps here

    (found,) = run_together([close_by_steps(roots, index, try_link=by_steps)], jobs=1)
    return found


def make_index(defined: dict[str, tuple[str, ...]]) -> SymbolIndex:
    return SymbolIndex(defined_in=defined)


class Linker:
    """Links like lld: says what the given units need and do not define, in the words of lld."""

    def __init__(self, needs: dict[str, set[str]], defined: dict[str, str]) -> None:
        self.needs = needs
        self.defined = defined
        self.tried: list[frozenset[str]] = []

    def __call__(self, units: frozenset[str]) -> tuple[str, ...]:
        self.tried.append(units)
        needed = {name for unit in units for name in self.needs.get(unit, ())}
        return tuple(
            f"void {name}(int, A<B>&)" for name in sorted(needed) if self.defined[name] not in units
        )


def test_only_what_is_reached_is_taken():
    defined = {"at::f": "f.cpp", "at::g": "g.cpp", "at::h": "h.cpp"}
    linker = Linker({"root.cpp": {"at::f"}, "f.cpp": {"at::g"}}, defined)
    found = close(["root.cpp"], make_index({n: (u,) for n, u in defined.items()}), try_link=linker)
    assert found.units == {"root.cpp", "f.cpp", "g.cpp"}
    assert found.rounds == 3
    assert linker.tried[0] == {"root.cpp"}


def test_what_links_at_once_is_not_touched():
    found = close(["a.cpp", "b.cpp"], make_index({}), try_link=lambda _: ())
    assert (found.units, found.rounds) == ({"a.cpp", "b.cpp"}, 1)


def test_every_unit_that_may_define_a_name_is_taken():
    index = make_index({"c10::operator<<": ("a.cpp", "b.cpp")})
    answers = iter([("c10::operator<<(std::ostream&, c10::A)",), ()])
    assert close(["r"], index, try_link=lambda _: next(answers)).units == {"r", "a.cpp", "b.cpp"}


def test_a_name_that_nothing_defines_is_named():
    index = make_index({"at::known": ("r",)})
    with pytest.raises(NativeBuildError, match="no translation unit defines") as caught:
        close(["r"], index, try_link=lambda _: ("at::gone(int)", "at::known(int)"))
    assert "  at::gone(int)\n" in caught.value.message
    assert "  at::known(int) (expected in r)" in caught.value.message


def test_an_unknown_name_waits_while_others_bring_units():
    """A unit taken for another name may define it, whatever the index says."""
    answers = iter([("at::gone(int)", "at::f(int)"), ()])
    index = make_index({"at::f": ("f.cpp",)})
    assert close(["r"], index, try_link=lambda _: next(answers)).units == {"r", "f.cpp"}


def test_a_long_list_is_cut():
    names = tuple(f"at::f{i:02}(int)" for i in range(30))
    with pytest.raises(NativeBuildError) as caught:
        close(["r"], make_index({}), try_link=lambda _: names)
    assert "at::f19(int)" in caught.value.message
    assert "at::f20(int)" not in caught.value.message
    assert caught.value.message.endswith("... and 10 more")


def test_it_comes_to_an_end(monkeypatch):
    monkeypatch.setattr(closure, "MAX_ROUNDS", 5)
    index = make_index({f"at::f{i}": (f"{i}.cpp",) for i in range(99)})
    with pytest.raises(NativeBuildError, match="5 rounds"):
        close(["r"], index, try_link=lambda units: (f"at::f{len(units)}(int)",))


@given(
    st.dictionaries(
        st.integers(0, 12), st.sets(st.integers(0, 12), max_size=3), min_size=1, max_size=12
    ),
    st.sets(st.integers(0, 12), min_size=1, max_size=3),
)
def test_the_result_is_what_the_roots_reach(edges, roots):
    def name(number):
        return f"at::f{number}"

    def unit(number):
        return f"{number}.cpp"

    needs = {
        unit(source): {name(target) for target in targets} for source, targets in edges.items()
    }
    defined = {name(number): unit(number) for number in range(13)}
    reached, todo = set(), set(roots)
    while todo:
        number = todo.pop()
        reached.add(number)
        todo |= edges.get(number, set()) - reached
    index = make_index({n: (u,) for n, u in defined.items()})
    found = close(map(unit, roots), index, try_link=Linker(needs, defined))
    assert found.units == set(map(unit, reached))
