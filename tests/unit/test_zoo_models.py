"""The tool that keeps ops_lists/."""

from dataclasses import replace

import pytest

from builder.core.dtypes import DtypeSet
from builder.core.model_facts import ModelOrigin, OperatorList
from builder.core.operators import Operator, OperatorSet
from builder.oplists.read import read_op_list
from builder.system.folders import data_folder
from zoo_models.lists import add_list, compare_lists
from zoo_models.rows import FOLDER, load_entries
from zoo_models.trial import render_table

ADD, MUL = Operator("aten::add", "Tensor"), Operator("aten::mul", "Tensor")
LISTS = [path.stem for path in data_folder("ops_lists").glob("*.yaml")]
LIST = OperatorList(
    operators=OperatorSet.of([ADD], source="m"),
    models=(ModelOrigin("m", "a" * 64, 8, "torch 1", "builder export m -o m.ptl"),),
    dtypes=DtypeSet.of(["float32"]),
)


def test_equal_lists_have_no_differences():
    assert compare_lists(LIST, LIST) == []
    assert compare_lists(None, LIST) == ["new"]


def test_differences_are_told_one_by_one():
    new = replace(
        LIST,
        operators=OperatorSet.of([MUL], source="m"),
        models=(replace(LIST.models[0], sha256="b" * 64, exporter="torch 2"),),
        dtypes=None,
    )
    lines = compare_lists(LIST, new)
    assert lines[:2] == ["- aten::add.Tensor", "+ aten::mul.Tensor"]
    assert [line.split(":")[0] for line in lines[2:]] == ["dtypes", "exporter"]


def test_files_of_another_torch_stay_in_a_list():
    newer = replace(
        LIST,
        operators=OperatorSet.of([MUL], source="n"),
        models=(ModelOrigin("n", "c" * 64, 8, "torch 2", "builder export n -o n.ptl"),),
        dtypes=DtypeSet.of(["int64"]),
    )
    both = add_list(LIST, newer)
    assert [origin.name for origin in both.models] == ["m", "n"]
    assert both.operators.sources(ADD) == ("m",)
    assert both.dtypes == DtypeSet.of(["float32", "int64"])
    again = add_list(both, replace(newer, operators=OperatorSet.of([ADD], source="n")))
    assert again.operators.sources(ADD) == ("m", "n")
    assert MUL not in again.operators
    assert add_list(None, newer) == newer
    assert add_list(LIST, LIST) == LIST


def test_every_list_has_a_model():
    assert LISTS
    assert set(LISTS) == {entry.name for entry in load_entries()}


@pytest.mark.parametrize(
    "entry", [e for e in load_entries() if e.name in LISTS], ids=lambda e: e.name
)
def test_lists_say_how_they_came_about(entry):
    origins = read_op_list(data_folder("ops_lists") / f"{entry.name}.yaml").models
    names = [origin.name.removeprefix(f"{entry.name}.ptl ") for origin in origins]
    assert "by optimize_for_mobile" in names
    for origin, name in zip(origins, names, strict=True):
        if name.startswith("by builder, torch "):
            assert origin.command.split()[:3] == ["builder", "export", entry.source]
        assert len(origin.sha256) == 64
        assert "torch " in origin.exporter
        assert "torchvision " in origin.exporter


def test_modules_of_the_zoo_are_there():
    text = (FOLDER / "models.py").read_text()
    own = [entry.source.removeprefix("models:") for entry in load_entries() if ":" in entry.source]
    assert own
    assert [name for name in own if name not in text] == []


def test_table_shows_failures_and_differences():
    row = {
        "name": "m",
        "what": "w",
        "problem": "",
        "ok": True,
        "operators": 5,
        "size": 1234567,
        "compressed": 7,
        "others": 1200,
        "file": 1000,
        "earlier_file": 2000,
        "difference": 2.5e-6,
        "earlier_difference": 0.5,
        "earlier_ok": False,
        "cpu_time": 0.345,
    }
    broken = {"name": "x", "what": "y", "problem": "no", "size": 1000}
    table = render_table([row, row | {"ok": False}, broken])
    shown = "| `m` | w | 5 | 1,234,567 | 7 | 1,200 | 1,000 | 2,000 | 2.5e-06 | **0.5** | 0.34 |"
    assert shown in table
    assert "**2.5e-06**" in table
    assert "| `x` **fails** | y | - | 1,000 | - |" in table
    assert len({line.count("|") for line in table.splitlines()}) == 1
