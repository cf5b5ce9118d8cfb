from builder.toolchains.tools import find_major, parse_version


def test_versions():
    assert parse_version("Ubuntu clang version 19.1.7 (++2025)") == (19, 1, 7)
    assert parse_version("none") == ()
    assert find_major("none") == 0
