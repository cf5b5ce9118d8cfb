"""Damaged models on a real runtime: a status each time, no signal, no foreign memory, an end."""

import pytest

from tests.fuzz import handmade, hostile, models, native

pytestmark = [pytest.mark.torch, pytest.mark.host]
SERVED = {
    "mobile": "built",
    "mobile_flatbuffer": "built",
    "loops": "built",
    "loops_flatbuffer": "built",
    "quantised": "built_quantised",
    "quantised_flatbuffer": "built_quantised",
    "lstm": "built_quantised",
    "lstm_flatbuffer": "built_quantised",
    "written": "built_quantised",
    "asking": "built",
    "asking_flatbuffer": "built",
}
"""Models to mutate, and which of the session's runtimes can run them."""
MUTATIONS = 300
"""Of each model."""


@pytest.fixture(scope="module")
def targets(tmp_path_factory):
    made = models.export_models(tmp_path_factory.mktemp("targets"))
    return {target.name: target for target in (*models.list_committed(), *made)}


@pytest.fixture(scope="module")
def host_of(request, tmp_path_factory):
    """Returns the host for the runtime that a model needs."""
    hosts = {}

    def find(name):
        runtime = SERVED[name]
        if runtime not in hosts:
            root = request.getfixturevalue(runtime).root
            folder = tmp_path_factory.mktemp("host")
            library = root / "lib/libtorchlite.so"
            hosts[runtime] = native.compile_host(folder, root / "include", library)
        return hosts[runtime]

    return find


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
def test_models_run_unharmed(host_of, targets, tmp_path, name):
    (outcome,) = judge(host_of(name), targets[name], tmp_path, [targets[name].path.read_bytes()])
    assert (outcome.verdict, outcome.detail) == ("ran", "")


@pytest.mark.parametrize("name", SERVED)
def test_mutated_models_end_in_a_status(host_of, targets, tmp_path, name):
    attempt = native.Attempt(targets[name], "ci", MUTATIONS)
    host = host_of(name)
    outcomes = native.run_attempt(attempt, host, native.list_operators(host.library), tmp_path)
    assert len(outcomes) == MUTATIONS
    assert [outcome for outcome in outcomes if not outcome.is_good] == []


_COMPLEX = 3
"""The type of numbers that TO_LIST takes for complex."""
KINDS = {
    **{("loops", case): kind for case, kind in hostile.CASES.items()},
    **{
        (name, case): kind for name, kinds in handmade.CASES.items() for case, kind in kinds.items()
    },
}
"""Model and name -> what to do to it, and what has to become of it."""


@pytest.mark.parametrize(("name", "case"), KINDS)
def test_each_kind_of_damage_is_told(host_of, targets, tmp_path, name, case):
    target = targets[name]
    edit, verdict = KINDS[name, case]
    content = hostile.make(edit, target.path.read_bytes())
    (outcome,) = judge(host_of(target.name), target, tmp_path, [content])
    assert outcome.verdict == verdict, outcome.detail
    assert " ()" not in outcome.detail


def test_numbers_of_another_type_are_named(host_of, targets, tmp_path):
    # Of a type that no tensor has, upstream read a dtype that was not there.
    target = targets["loops"]
    content = hostile.make(handmade.list_numbers(_COMPLEX), target.path.read_bytes())
    (outcome,) = judge(host_of(target.name), target, tmp_path, [content])
    assert "tolist(): complex vs Float" in outcome.detail


def test_a_named_tuple_of_a_flatbuffer_has_a_type(host_of, targets, tmp_path):
    target = targets["asking_flatbuffer"]
    files = [target.path.read_bytes(), handmade.name_tuple(target.path.read_bytes())]
    outcomes = judge(host_of(target.name), target, tmp_path, files)
    assert [outcome.verdict for outcome in outcomes] == ["ran", "ran"]


def test_a_warning_is_one_line(host_of, targets, tmp_path):
    target = targets["loops"]
    (tmp_path / "inputs.txt").write_text(target.inputs)
    path = tmp_path / "warns.ptl"
    edit = handmade.warn("look\x1b]0;title\x07\r\nerror: forged")
    path.write_bytes(hostile.make(edit, target.path.read_bytes()))
    said = host_of(target.name).say(tmp_path / "inputs.txt", [path]).stderr
    lines = [line for line in said.split("\n") if "look" in line or "forged" in line]
    assert lines
    assert all("look ]0;title   error: forged" in line and line.isprintable() for line in lines)


def test_a_flatbuffer_with_a_misspelt_type_is_refused(host_of, targets, tmp_path):
    target = targets["loops_flatbuffer"]
    whole = target.path.read_bytes()
    files = [(file, sign) for sign in ("", ";") for file in handmade.respell(whole, sign)]
    outcomes = judge(host_of(target.name), target, tmp_path, [file for file, _ in files])
    assert len(outcomes) >= 10
    for outcome, (_, sign) in zip(outcomes, files, strict=True):
        assert outcome.is_good, outcome.detail
        assert ("a character that types are not" in outcome.detail) == bool(sign)


def test_a_flatbuffer_without_any_one_field_ends_in_a_status(host_of, targets, tmp_path):
    target = targets["loops_flatbuffer"]
    files = list(hostile.without_fields(target.path.read_bytes()))
    outcomes = judge(host_of(target.name), target, tmp_path, files)
    assert len(outcomes) > 50
    assert [outcome for outcome in outcomes if not outcome.is_good] == []
