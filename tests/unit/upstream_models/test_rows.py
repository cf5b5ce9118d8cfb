from __future__ import annotations

from dataclasses import replace

from upstream_models.rows import Row, read_rows, render_table, write_row

GOOD = Row(
    module="linear_ops",
    ok=True,
    operators=4,
    units=1234,
    size=3_000_000,
    calls=2,
    compared=4,
    shapes=1,
    largest=1.25e-7,
    remarks=("left out: a|b",),
)


def cells(row: Row) -> list[str]:
    line = render_table([row]).splitlines()[2].replace("\\|", "!")
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_rows_are_read_back_in_the_order_asked_for(tmp_path):
    other = Row(module="a", ok=False, remarks=("not exported: no",))
    write_row(tmp_path, GOOD)
    write_row(tmp_path, other)
    assert read_rows(tmp_path, ["linear_ops", "missing", "a"]) == [GOOD, other]


def test_a_row_that_ran():
    assert cells(GOOD) == [
        *("`linear_ops`", "4", "1,234", "3,000,000", "ok", "4 and 1 by shape", "1.2e-07"),
        "left out: a!b",
    ]


def test_failures_and_modules_that_never_ran_are_told_apart():
    assert cells(replace(GOOD, ok=False))[4] == "**fails**"
    row = cells(Row(module="a", ok=False, remarks=("not exported: no",)))
    assert row == ["`a`", "", "", "", "not run", "", "", "not exported: no"]
