"""The C API called wrongly, for long and from many threads: statuses, never signals."""

import subprocess
import sys
from pathlib import Path

import pytest

from builder.api.toolchains import locate_target, locate_toolchain
from tests.fuzz.models import export_models

from .conftest import ABI

pytestmark = [pytest.mark.torch, pytest.mark.host]
HERE = Path(__file__).parent
OK, INVALID, LOAD, RUN = "0", "1", "2", "3"
STATUSES = {
    "load(NULL, NULL)": INVALID,
    "load(path, NULL)": INVALID,
    "load no file": LOAD,
    "load a folder": LOAD,
    "load /dev/zero": LOAD,
    "load /dev/null": LOAD,
    "load a pipe": LOAD,
    "buffer NULL": INVALID,
    "buffer of 0": LOAD,
    "buffer of 1": LOAD,
    "buffer of a flatbuffer's head": LOAD,
    "buffer of an archive's head": LOAD,
    "buffer of SIZE_MAX": INVALID,
    "failed load leaves the pointer": LOAD,
    "error is cleared": OK,
    "no module": INVALID,
    "no result": INVALID,
    "no inputs, count 1": INVALID,
    "no inputs, count 0": RUN,
    "two inputs": RUN,
    "100000 inputs": RUN,
    "count SIZE_MAX": INVALID,
    "count SIZE_MAX / 64": INVALID,
    "values, count SIZE_MAX": INVALID,
    "no name": INVALID,
    "empty name": RUN,
    "unknown name": RUN,
    "long name": RUN,
    "result_tensor of none": INVALID,
    "result_tensor 1 of 1": INVALID,
    "result_tensor SIZE_MAX": INVALID,
    "result_tensor to NULL": INVALID,
    "result_value of none": INVALID,
    "result_value to NULL": INVALID,
    "free(NULL)": OK,
    "result outlives module": OK,
    "threads -1": INVALID,
    "threads 100000": INVALID,
    "threads INT_MAX": INVALID,
    "threads 2": OK,
    "dtype -1": INVALID,
    "dtype 8": INVALID,
    "dtype 12": INVALID,
    "dtype 1000000": INVALID,
    **{f"wrong dtype {code}": RUN for code in (0, 1, 2, 3, 4, 5, 7, 11)},
    "dims -1": INVALID,
    "dims INT_MIN": INVALID,
    "dims INT_MAX": INVALID,
    "dims 0": RUN,
    "dims 3": RUN,
    "dims 5": RUN,
    "dims 64": RUN,
    "dims 65": INVALID,
    "dims 1000": INVALID,
    "sizes NULL": INVALID,
    "data NULL": INVALID,
    "data between two floats": OK,
    "size -1": INVALID,
    "size INT64_MIN": INVALID,
    "two negative sizes": INVALID,
    "2^32 * 2^32": INVALID,
    "2^62 float32": INVALID,
    "2^61 float32": INVALID,
    "0 * 2^62 * 2^62": INVALID,
    "2^62 * 16 * 16 * 0": INVALID,
    "no image": OK,
    "no channel": RUN,
    "no row": RUN,
    "an image of one pixel": OK,
    **{f"{count} channel{'s' * (count > 1)}": RUN for count in (1, 2, 4, 5)},
    "kind 99": INVALID,
    "kind -1": INVALID,
    "none for a tensor": RUN,
    "int for a tensor": RUN,
    "text that is no UTF-8": RUN,
    "text NULL": INVALID,
    "items NULL": INVALID,
    "SIZE_MAX items": INVALID,
    "2^40 items": INVALID,
    "mixed list": RUN,
    "keys NULL": INVALID,
    "key NULL": INVALID,
    "one key twice": RUN,
    **{f"{kind} 100000 deep": INVALID for kind in ("list", "tuple", "dict")},
    "list 1000 deep": INVALID,
    "tuple in itself": INVALID,
}
FOREIGN = (
    *("Dynamic<", "fburl", "pytorch.org", "INTERNAL ASSERT", "Exception raised", "c10::"),
    *("std::", ".cpp", "basic_string", "vector::"),
)
"""What no text for a user holds: names from within PyTorch and the C++ library."""


@pytest.fixture(scope="module")
def mobile(tmp_path_factory):
    """A model of a hundredth of MobileNetV2 that the session's runtime can run."""
    targets = export_models(tmp_path_factory.mktemp("mobile"))
    return next(target.path for target in targets if target.name == "mobile")


def compile_program(built, name, folder):
    compiler = locate_toolchain(locate_target(ABI)).cc.path
    where = (f"-I{built.root / 'include'}", f"-L{built.root / 'lib'}")
    libraries = ("-ltorchlite", "-lm", "-pthread")
    flags = ("-std=gnu11", "-Wall", "-Wextra", "-Werror", f"-Wl,-rpath,{built.root / 'lib'}")
    inputs = (HERE / f"{name}.c", *where, *libraries)
    subprocess.run([compiler, *flags, *inputs, "-o", folder / name], check=True)
    return folder / name


@pytest.fixture(scope="module")
def answers(built, mobile, tmp_path_factory):
    """Name of a wrong call -> its status and text."""
    program = compile_program(built, "abuse", tmp_path_factory.mktemp("abuse"))
    said = subprocess.run([program, mobile], capture_output=True, text=True, errors="replace")
    assert said.returncode == 0, said.stderr
    lines = [line.split("\t", 2) for line in said.stdout.splitlines()]
    return {name: (status, text) for name, status, text in lines}


def test_every_wrong_call_has_its_status(answers):
    assert {name: status for name, (status, _) in answers.items()} == STATUSES


def test_what_failed_says_why_in_the_callers_words(answers):
    failed = {name: text for name, (status, text) in answers.items() if status != OK}
    assert [name for name, text in failed.items() if not text] == []
    assert [
        (name, text) for name, text in failed.items() if any(word in text for word in FOREIGN)
    ] == []


@pytest.mark.parametrize("count", [1, 2, 4, 5])
def test_an_image_of_other_channels_is_told_in_channels(answers, count):
    text = answers[f"{count} channel{'s' * (count > 1)}"][1]
    assert f"{count} channel" in text
    assert "takes 3" in text


def test_hundreds_of_loads_calls_failures_and_threads_leave_nothing(built, mobile, tmp_path):
    program = compile_program(built, "endurance", tmp_path)
    said = subprocess.run([program, mobile], capture_output=True, text=True)
    assert (said.returncode, said.stdout) == (0, "")


def test_channels_may_come_last_and_then_nothing_else_differs(built, mobile, tmp_path):
    program = compile_program(built, "channels_last", tmp_path)
    command = [program, built.models["scaling"], built.models["identity"], mobile]
    assert subprocess.run(command, check=False).returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_threads_can_be_changed_at_any_time_and_need_not_spin(built, mobile, tmp_path):
    program = compile_program(built, "threads", tmp_path)
    assert subprocess.run([program, mobile], check=False).returncode == 0


def test_what_a_model_keeps_is_its_own(built, tmp_path):
    from .keeping_models import write_mixed, write_models

    program = compile_program(built, "lifetimes", tmp_path)
    models = [*write_models(tmp_path), write_mixed(tmp_path)]
    said = subprocess.run([program, *models], capture_output=True, text=True)
    assert (said.returncode, said.stdout) == (0, "")


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        (("--int", "1"), ("--int", "2"), ""),
        ((), ("--int", "2"), ""),
        (
            ("--int", "1", "--float", "4"),
            ("--int", "2"),
            "input 0, item 1 is float, the parameter a takes List[int]",
        ),
        (
            ("--none",),
            ("--int", "2"),
            "input 0, item 0 is None, the parameter a takes List[int]",
        ),
        (
            ("--int", "1"),
            ("--float", "2"),
            "input 1, value 0 is float, the parameter b takes Dict[str, int]",
        ),
    ],
)
def test_items_of_another_kind_are_named(built, tmp_path, first, second, text):
    from .keeping_models import write_numbers

    given = ("--list", *first, "--end", "--dict", "--key", "k", *second, "--end")
    command = (built.runner, write_numbers(tmp_path), *given, "--output-dir", tmp_path)
    said = subprocess.run(command, capture_output=True, text=True)
    assert (said.returncode != 0) == bool(text), said.stderr
    assert text in said.stderr
    assert not any(word in said.stderr for word in FOREIGN)


def test_a_list_that_holds_itself_is_not_printed(built, tmp_path):
    from .keeping_models import write_printing

    command = (built.runner, write_printing(tmp_path), "--output-dir", tmp_path)
    said = subprocess.run(command, capture_output=True, text=True)
    assert said.returncode == 1
    assert "a text would be too long" in said.stderr
