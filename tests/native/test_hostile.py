"""Damaged models on a real runtime: a status each time, no signal, no foreign memory, an end."""

import pytest

from tests.fuzz import hostile, models, native

pytestmark = [pytest.mark.torch, pytest.mark.host]
SERVED = ("mobile", "mobile_flatbuffer", "control_flow", "control_flow_flatbuffer")
"""What the session's runtime can run of the models to mutate."""
MUTATIONS = 300
"""Of each model and form."""


@pytest.fixture(scope="module")
def targets(tmp_path_factory):
    made = models.export_models(tmp_path_factory.mktemp("targets"))
    return {target.name: target for target in made}


@pytest.fixture(scope="module")
def host(built, tmp_path_factory):
    return native.compile_host(
        tmp_path_factory.mktemp("host"), built.root / "include", built.library
    )


@pytest.fixture(scope="module")
def operators(built):
    return native.list_operators(built.library)


def judge(host, target, folder, contents):
    """Returns what becomes of files with `contents`, in their order."""
    inputs = folder / "inputs.txt"
    inputs.write_text(target.inputs)
    files = []
    for number, content in enumerate(contents):
        files.append(folder / f"{number}.ptl")
        files[-1].write_bytes(content)
    return host.run(inputs, files)


@pytest.mark.parametrize("name", SERVED)
def test_models_run_unharmed(host, targets, tmp_path, name):
    (outcome,) = judge(host, targets[name], tmp_path, [targets[name].path.read_bytes()])
    assert (outcome.verdict, outcome.detail) == ("ran", "")


@pytest.mark.parametrize("name", SERVED)
def test_mutated_models_end_in_a_status(host, targets, operators, tmp_path, name):
    attempt = native.Attempt(targets[name], "ci", MUTATIONS)
    outcomes = native.run_attempt(attempt, host, operators, tmp_path)
    assert len(outcomes) == MUTATIONS
    assert [outcome for outcome in outcomes if not outcome.is_good] == []


@pytest.mark.parametrize("case", hostile.CASES)
def test_each_kind_of_damage_is_told(host, targets, tmp_path, case):
    target = targets["control_flow"]
    content = hostile.make(case, target.path.read_bytes())
    (outcome,) = judge(host, target, tmp_path, [content])
    assert outcome.verdict == hostile.CASES[case][1], outcome.detail


def test_a_flatbuffer_without_any_one_field_ends_in_a_status(host, targets, tmp_path):
    target = targets["control_flow_flatbuffer"]
    files = list(hostile.without_fields(target.path.read_bytes()))
    outcomes = judge(host, target, tmp_path, files)
    assert len(outcomes) > 50
    assert [outcome for outcome in outcomes if not outcome.is_good] == []
