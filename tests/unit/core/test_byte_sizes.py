from __future__ import annotations

import pytest

from builder.core.byte_sizes import parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("123456", 123_456),
        ("12 B", 12),
        ("2.5MB", 2_500_000),
        ("2.5 mb", 2_500_000),
        ("1KB", 1000),
        ("1KiB", 1024),
        ("1.5MiB", 1_572_864),
        ("0.1MB", 100_000),
        ("1.0000009KB", 1000),
        ("2GiB", 2 << 30),
    ],
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    ["", "MB", "-1", "1e6", "2.5M", "2,5MB", "1 KB 2", "inf", ".5MB", "\u0663MB", "9" * 5000],
)
def test_other_texts_are_no_sizes(text):
    with pytest.raises(ValueError, match="is not a size; write"):
        parse_size(text)


@pytest.mark.parametrize("text", ["2.5", "2.5 B", "0.5b", "0.0001KB", "0.0"])
def test_a_fraction_of_a_byte_is_a_unit_forgotten(text):
    with pytest.raises(ValueError, match="is not a whole number of bytes; write"):
        parse_size(text)
