import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from builder import api
from builder.cli.check import command
from builder.verify.coverage import Coverage, Obstacle, ObstacleKind

LACKING = (
    Obstacle(kind=ObstacleKind.CUSTOM_CLASS, name="rnn.CellParamsBase"),
    Obstacle(kind=ObstacleKind.OPERATOR, name="aten::sort"),
)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch):
    def call(obstacles, *options, note=""):
        def check(model: Path, runtime: Path):
            assert (model, runtime) == (Path("m.ptl"), Path("out"))
            rebuild = "build a runtime that has them: builder build m.ptl"
            return Coverage(obstacles=obstacles, rebuild=rebuild, note=note)

        monkeypatch.setattr(api, "check", check)
        return CliRunner().invoke(command, ["m.ptl", "out", *options], standalone_mode=False)

    return call


def test_a_served_model_gives_0(run):
    result = run(())
    assert result.return_value == 0
    assert result.output == "out can run m.ptl\n"


def test_what_cannot_be_told_is_said_and_stands_against_nothing(run):
    result = run((), note="dtypes are not checked: no reference case")
    assert result.return_value == 0
    assert result.output.endswith("m.ptl\ndtypes are not checked: no reference case\n")


def test_a_model_that_is_not_served_gives_8_all_names_and_the_rebuild(run):
    result = run(LACKING)
    assert result.return_value == 8
    assert result.output == (
        "missing custom class: rnn.CellParamsBase\nmissing operator: aten::sort\n"
        "build a runtime that has them: builder build m.ptl\n"
    )


def test_json(run):
    result = run(LACKING, "--json")
    assert result.return_value == 8
    assert json.loads(result.output) == {
        "model": "m.ptl",
        "note": "",
        "obstacles": [
            {"kind": "custom class", "name": "rnn.CellParamsBase"},
            {"kind": "operator", "name": "aten::sort"},
        ],
        "ok": False,
        "schema": 1,
    }
