"""A file of a backend: what is read, and what is refused with the names of file and key."""

from __future__ import annotations

import pytest

from builder.core.backends import Chosen, Dispatch
from builder.core.targets import Platform
from builder.sources.read_backends import parse_backend

SMALLEST = 'label = "X"\nchosen = "needed"\n'


def test_what_is_not_said_is_empty():
    backend = parse_backend("x", SMALLEST)
    assert (backend.name, backend.label, backend.chosen) == ("x", "X", Chosen.NEEDED)
    assert (backend.units, backend.operators, backend.dispatch) == ({}, (), None)


def test_values_are_typed():
    backend = parse_backend(
        "x",
        SMALLEST
        + 'platforms = ["ios", "linux"]\n[dispatch]\nkey = "X"\npredicate = "is_x"\n'
        + '[units]\nany = ["a.cpp"]\nQuantizedCPU = ["b/*.cpp"]\n[left_out]\n"c.cpp" = "a test"\n',
    )
    assert backend.platforms == (Platform.IOS, Platform.LINUX)
    assert backend.dispatch == Dispatch(key="X", predicate="is_x")
    assert backend.units == {"any": ("a.cpp",), "QuantizedCPU": ("b/*.cpp",)}
    assert backend.left_out == {"c.cpp": "a test"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            f'{SMALLEST}framework = ["A"]',
            r"x\.toml: unknown key 'framework'; did you mean 'frameworks'\?",
        ),
        (f'{SMALLEST}name = "y"', r"x\.toml: unknown key 'name';"),
        (
            f'{SMALLEST}[dispatch]\nkey = "X"\nask = "y"',
            r"x\.toml: dispatch: unknown key 'ask'",
        ),
        (
            f'{SMALLEST}[dispatch]\nkey = "X"',
            r"x\.toml: dispatch: .* field `predicate`",
        ),
        ('chosen = "always"', r"x\.toml: Object missing required field `label`"),
        ('label = "X"\nchosen = "often"', r"x\.toml: chosen: Invalid enum value 'often'"),
        (f'{SMALLEST}platforms = ["mars"]', r"x\.toml: platforms\[0\]: Invalid enum value 'mars'"),
        (f'{SMALLEST}operators = "a::"', r"x\.toml: operators: Expected `array`, got `str`"),
        (f"{SMALLEST}operators = [1]", r"x\.toml: operators\[0\]: Expected `str`, got `int`"),
        (f'{SMALLEST}units = ["a.cpp"]', r"x\.toml: units: Expected `object`"),
        (f'{SMALLEST}[units]\nany = "a.cpp"', r"x\.toml: units\[...\]: Expected `array`"),
        (f'{SMALLEST}dispatch = "X"', r"x\.toml: dispatch: Expected `object"),
        (f'{SMALLEST}[units]\nCUDA = ["a.cpp"]', r"unknown backends of static dispatch: CUDA"),
        (f'{SMALLEST}static_dispatch = "MPS"', r"unknown backends of static dispatch: MPS"),
        (
            f'{SMALLEST}help = "For X."',
            r"x\.toml: only a backend with chosen = ",
        ),
        (
            'label = "X"\nchosen = "option"',
            r"x\.toml: only a backend with chosen = ",
        ),
        (f'{SMALLEST}[cmake_options]\nUSE_X = "ON"', r"x\.toml: cmake_options are for every build"),
    ],
)
def test_what_cannot_be_meant_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_backend("x", text)
