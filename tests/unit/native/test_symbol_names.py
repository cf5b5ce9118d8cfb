from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.native.symbol_names import parse_qualified_name

STUB = "at::native::DispatchStub<void (*)(at::TensorIteratorBase&, c10::Scalar const&), add_stub>"


@pytest.mark.parametrize(
    ("demangled", "name"),
    [
        # functions, methods, constructors
        ("c10::Foo::bar(int)", "c10::Foo::bar"),
        ("c10::Foo::bar(int) const", "c10::Foo::bar"),
        ("c10::Foo::get() &&", "c10::Foo::get"),
        ("c10::Foo::Foo(int)", "c10::Foo::Foo"),
        ("c10::Foo::~Foo()", "c10::Foo::~Foo"),
        ("at::foo(int (&) [3])", "at::foo"),
        ("at::foo(void (*)(int), ...)", "at::foo"),
        ("at::foo(int) [clone .cold]", "at::foo"),
        # names without parameters
        ("xnn_create_runtime", "xnn_create_runtime"),
        ("c10::g_flag", "c10::g_flag"),
        ("_Z3bad", "_Z3bad"),
        ("", ""),
        # the same with every C++ library
        ("c10::demangle[abi:cxx11](char const*)", "c10::demangle"),
        ("at::f<std::__cxx11::basic_string<char>>(int)", "at::f<std::basic_string<char>>"),
        ("at::f<std::__ndk1::basic_string<char> >(int)", "at::f<std::basic_string<char>>"),
        # the same for every word size
        ("long long c10::wrap<long long>(long long)", "c10::wrap<long>"),
        ("c10::wrap<unsigned long long>(bool)", "c10::wrap<unsigned long>"),
        ("at::longer<c10::ArrayRef<long long> >(int)", "at::longer<c10::ArrayRef<long>>"),
        # operators
        ("c10::Foo::operator()(int) const", "c10::Foo::operator()"),
        ("bool c10::Foo::operator()<double>(double) const", "c10::Foo::operator()<double>"),
        ("c10::operator<<(std::ostream&, c10::Device const&)", "c10::operator<<"),
        ("c10::operator<(c10::A, c10::B)", "c10::operator<"),
        ("c10::operator>>(c10::A, c10::B)", "c10::operator>>"),
        ("c10::operator>(c10::A, c10::B)", "c10::operator>"),
        ("c10::operator>=(c10::A, c10::B)", "c10::operator>="),
        ("c10::Foo::operator<=>(int) const", "c10::Foo::operator<=>"),
        ("bool c10::operator==<int>(c10::A<int>, int)", "c10::operator==<int>"),
        ("std::ostream& c10::operator<<<int>(std::ostream&)", "c10::operator<<<int>"),
        ("bool c10::operator<<int>(c10::A<int>)", "c10::operator<<int>"),
        ("c10::A::operator->() const", "c10::A::operator->"),
        ("c10::A::operator->*(int) const", "c10::A::operator->*"),
        ("at::Tensor::operator[](long) const", "at::Tensor::operator[]"),
        ("c10::Foo::operator=(c10::Foo&&)", "c10::Foo::operator="),
        ("c10::Foo::operator bool() const", "c10::Foo::operator bool"),
        ("c10::Foo::operator char const*() const", "c10::Foo::operator char const*"),
        ("c10::Foo::operator A<int, B<int> >()", "c10::Foo::operator A<int, B<int>>"),
        ("operator new(unsigned long)", "operator new"),
        ("operator delete[](void*)", "operator delete[]"),
        # names that only look like operators
        ("c10::OperatorName::find(int)", "c10::OperatorName::find"),
        ("void c10::run_operator(int)", "c10::run_operator"),
        ("void c10::operators::run(int)", "c10::operators::run"),
        # return types, which templates have
        ("long c10::detail::wrap<long>(long, bool)", "c10::detail::wrap<long>"),
        ("unsigned long at::f<4ul>(int)", "at::f<4ul>"),
        ("char const* c10::f<int>(int)", "c10::f<int>"),
        ("std::vector<long, A<long> > c10::f<int>(int)", "c10::f<int>"),
        ("decltype(auto) at::f<int>(int)", "at::f<int>"),
        ("decltype(x->y(z)) at::f<int>(int)", "at::f<int>"),
        ("void (*at::get<float>(int))(int)", "at::get<float>"),
        ("int (&at::get<float>())[3]", "at::get<float>"),
        # template arguments stay
        (f"{STUB}::DEFAULT", f"{STUB}::DEFAULT"),
        (f"{STUB}::choose(int)", f"{STUB}::choose"),
        (
            "std::function<void (int)>::operator()(int) const",
            "std::function<void (int)>::operator()",
        ),
        ("c10::A<(c10::E)3>::f(int)", "c10::A<(c10::E)3>::f"),
        ("at::A<(anonymous namespace)::B>::f(int)", "at::A<(anonymous namespace)::B>::f"),
        # anonymous namespaces, ABI tags, local entities
        ("at::(anonymous namespace)::foo(int)", "at::(anonymous namespace)::foo"),
        ("(anonymous namespace)::foo(int)", "(anonymous namespace)::foo"),
        ("void (anonymous namespace)::foo<int>(int)", "(anonymous namespace)::foo<int>"),
        ("c10::name[abi:cxx11]()", "c10::name"),
        ("std::string c10::f[abi:cxx11]<int>(int)", "c10::f<int>"),
        ("c10::table[abi:cxx11]", "c10::table"),
        ("at::foo(int)::'lambda'(int)::operator()(int) const", "at::foo"),
        ("at::foo(int)::{lambda(int)#1}::operator()(int) const", "at::foo"),
        ("at::foo()::counter", "at::foo"),
        # what compilers add
        ("vtable for at::Foo", "vtable for at::Foo"),
        ("typeinfo name for at::Foo", "typeinfo name for at::Foo"),
        ("guard variable for at::foo()::x", "guard variable for at::foo()::x"),
        ("thread-local wrapper routine for c10::t", "thread-local wrapper routine for c10::t"),
        ("non-virtual thunk to at::Foo::bar()", "at::Foo::bar"),
        ("virtual thunk to at::Foo::~Foo()", "at::Foo::~Foo"),
    ],
)
def test_names(demangled, name):
    assert parse_qualified_name(demangled) == name


@pytest.mark.parametrize("text", ["vtable for A<B<C<int> > >", "at::f<A<B<C<int> > > >(int)"])
def test_old_and_new_llvm_agree_on_closing_brackets(text):
    assert parse_qualified_name(text) == parse_qualified_name(text.replace("> >", ">>"))
    assert "> >" not in parse_qualified_name(text)


@given(st.text(alphabet="ab:<>()*& ,~[]-operat", max_size=40))
def test_any_text_is_survived_and_a_name_is_part_of_it(text):
    assert parse_qualified_name(text).replace(" ", "") in text.replace(" ", "")


names = st.lists(st.from_regex(r"[a-z_]\w{0,8}", fullmatch=True), min_size=1, max_size=4)


@given(names, st.sampled_from(["", "<int>", "<A<B> >", "<void (*)(int)>"]))
def test_parameters_and_return_types_do_not_matter(parts, arguments):
    name = "::".join(parts) + arguments
    expected = name.replace("> >", ">>")
    for written in (
        name,
        f"{name}(int, A<B>&)",
        f"void {name}()",
        f"A<B, C> const& {name}(X) const",
    ):
        assert parse_qualified_name(written) == expected
