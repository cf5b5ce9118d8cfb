import re
from dataclasses import replace
from pathlib import Path

import pytest

from builder.core.arrays import sample_inputs
from builder.core.dtypes import SCALAR_TYPES, DtypeSet
from builder.core.nesting import parse_input
from builder.core.operators import Operator
from builder.core.tensors import DType, Tensor, TensorSpec
from builder.errors import ConfigurationError, VerificationError
from builder.system.folders import data_folder
from builder.system.process import Completed
from builder.verify.hosts import LocalHost
from builder.verify.runner import (
    format_spec,
    list_registered,
    parse_missing_operators,
    parse_run_result,
    run_model,
)
from builder.verify.runtime import locate_runtime

from .fakes import FakeRunner, make_runtime

HOST = "linux-x86_64"
RECORDED = (
    "[W NNPACK.cpp:64] Could not initialize\n"
    '{"outputs":[{"dtype":"float32","shape":[1,2],"file":"output.0.bin"},'
    '{"dtype":"int64","shape":[],"file":"output.1.bin"}],"seconds":0.0123}\n'
)
WITHOUT = (
    'this runtime was built without kernels for dtype float64, and "add.stub" was asked for it\n'
)
REFUSED = (
    "torchlite-run: m.ptl: this runtime lacks operators of the model: "
    "aten::sort, aten::topk.values\n"
)


@pytest.mark.parametrize("given", ["", HOST, f"{HOST}/lib/libtorchlite.so"])
def test_runtime_is_found_by_output_folder_abi_folder_and_library(
    tmp_path: Path, given: str
) -> None:
    root = make_runtime(tmp_path / "out dir", HOST)
    runtime = locate_runtime(tmp_path / "out dir" / given, host_abi=HOST)
    assert runtime.root == root
    assert runtime.manifest.abi == HOST


def test_of_several_abis_the_hosts_is_taken(tmp_path: Path) -> None:
    make_runtime(tmp_path, "linux-aarch64")
    make_runtime(tmp_path, HOST)
    assert locate_runtime(tmp_path, host_abi=HOST).root.name == HOST
    with pytest.raises(ConfigurationError, match="several"):
        locate_runtime(tmp_path, host_abi="darwin-arm64")


def test_only_abi_is_taken_whatever_the_host(tmp_path: Path) -> None:
    make_runtime(tmp_path, "linux-aarch64")
    assert locate_runtime(tmp_path, host_abi=HOST).root.name == "linux-aarch64"


def test_missing_and_broken_runtimes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        locate_runtime(tmp_path / "nothing", host_abi=HOST)
    assert "build(" in (caught.value.hint or "")
    root = make_runtime(tmp_path, HOST)
    (root / "bin" / "torchlite-run").unlink()
    with pytest.raises(VerificationError, match="torchlite-run"):
        locate_runtime(tmp_path, host_abi=HOST)
    (root / "manifest.json").write_bytes(b"\xff{")
    with pytest.raises(VerificationError, match="is not a valid manifest"):
        locate_runtime(tmp_path, host_abi=HOST)


def test_run_passes_inputs_and_reads_outputs(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (scratch / "output.0.bin").write_bytes(b"\0" * 8)
    (scratch / "output.1.bin").write_bytes(b"\1" + b"\0" * 7)
    runtime = locate_runtime(make_runtime(tmp_path, HOST), host_abi=HOST)
    runner = FakeRunner.of(Completed(0, RECORDED))
    inputs = [
        Tensor(TensorSpec(DType.FLOAT32, (1, 2)), b"\2" * 8),
        Tensor(TensorSpec(DType.INT64, ()), b"\3" * 8),
    ]
    result = run_model(
        runtime, Path("m.ptl"), inputs, scratch=scratch, host=LocalHost(runner=runner), repeat=3
    )
    assert [str(t.spec) for t in result.outputs] == ["float32[1,2]", "int64[]"]
    assert result.outputs[1].data[0] == 1
    assert result.seconds == 0.0123
    assert runner.commands == [
        (
            str(runtime.runner),
            "m.ptl",
            "--input",
            f"float32:1x2:{scratch / 'input.0.bin'}",
            "--input",
            f"int64:scalar:{scratch / 'input.1.bin'}",
            "--output-dir",
            str(scratch),
            "--repeat",
            "3",
        )
    ]
    assert (scratch / "input.1.bin").read_bytes() == b"\3" * 8


PROFILED = (
    '{"outputs":[],"profile":{"calls":2,"operators":['
    '{"calls":2,"name":"aten::add.Tensor","nanoseconds":1000},'
    '{"calls":4,"name":"aten::relu","nanoseconds":3000}],"seconds":0.000005},"seconds":0}'
)


def profile(tmp_path: Path, answer: Completed):
    runtime = locate_runtime(make_runtime(tmp_path, HOST), host_abi=HOST)
    runner = FakeRunner.of(answer)
    host = LocalHost(runner=runner)
    result = run_model(runtime, Path("m.ptl"), [], scratch=tmp_path, host=host, profile=True)
    assert runner.commands[0][-1] == "--profile"
    return result.profile


def test_times_of_operators_come_longest_first(tmp_path: Path) -> None:
    found = profile(tmp_path, Completed(0, PROFILED))
    assert found is not None
    assert [(each.name, each.calls) for each in found.operators] == [
        ("aten::relu", 4),
        ("aten::add.Tensor", 2),
    ]
    assert found.calls == 2
    assert found.rest == pytest.approx(1e-6)


def test_a_runtime_that_cannot_measure_operators_is_to_be_built_again(tmp_path: Path) -> None:
    refusal = Completed(1, "torchlite-run: unknown argument --profile")
    with pytest.raises(VerificationError, match="cannot measure operators") as caught:
        profile(tmp_path, refusal)
    assert "build(" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "damage", ['"calls":0', '"calls":-1', '"calls":2.5', '"calls":9223372036854775808']
)
def test_damaged_times_are_refused(tmp_path: Path, damage: str) -> None:
    with pytest.raises(VerificationError, match="cannot read the output"):
        profile(tmp_path, Completed(0, PROFILED.replace('"calls":2', damage, 1)))


def list_arguments(tmp_path: Path, *texts: str) -> tuple[str, ...]:
    """Returns the arguments that the program gets for inputs."""
    runtime = locate_runtime(make_runtime(tmp_path, HOST), host_abi=HOST)
    runner = FakeRunner.of(Completed(0, '{"outputs":[],"seconds":0}'))
    structure = tuple(map(parse_input, texts))
    run_model(
        runtime,
        Path("m.ptl"),
        sample_inputs(structure, seed=0),
        scratch=tmp_path,
        host=LocalHost(runner=runner),
        structure=structure,
    )
    (command,) = runner.commands
    return command[2:-2]


def test_groups_and_numbers_reach_the_program_as_the_model_takes_them(tmp_path: Path) -> None:
    texts = ("[(bool,), {'a key': int8[2], 'b': True}]", "-3", "-0.0")
    assert list_arguments(tmp_path, *texts) == (
        *("--list", "--tuple", "--input", f"bool:scalar:{tmp_path / 'input.0.bin'}", "--end"),
        *("--dict", "--key", "a key", "--input", f"int8:2:{tmp_path / 'input.1.bin'}"),
        *("--key", "b", "--bool", "1", "--end", "--end", "--int", "-3", "--float", "-0.0"),
    )


def test_strings_and_none_reach_the_program_without_a_file(tmp_path: Path) -> None:
    assert list_arguments(tmp_path, "'--end'", "None", "['', 'é']", "bool") == (
        *("--text", "--end", "--none", "--list", "--text", "", "--text", "é", "--end"),
        *("--input", f"bool:scalar:{tmp_path / 'input.0.bin'}"),
    )


def test_a_method_a_seed_and_threads_reach_the_program(tmp_path: Path) -> None:
    runtime = locate_runtime(make_runtime(tmp_path, HOST), host_abi=HOST)
    said = Completed(0, '{"outputs":[],"seconds":0}')
    runner = FakeRunner.of(said, said)
    run_model(
        runtime,
        Path("m.ptl"),
        [],
        scratch=tmp_path,
        host=LocalHost(runner=runner),
        method="score",
        seed=0,
    )
    assert runner.commands[0][4:] == ("--method", "score", "--seed", "0")
    run_model(
        runtime, Path("m.ptl"), [], scratch=tmp_path, host=LocalHost(runner=runner), threads=1
    )
    assert runner.commands[1][4:] == ("--threads", "1")


@pytest.mark.parametrize(
    ("completed", "words"),
    [
        (Completed(1, REFUSED), ["2 operators", "aten::sort, aten::topk.values"]),
        (Completed(1, "error: expected 1 input\n"), ["exit code 1", "expected 1 input"]),
        (Completed(1, WITHOUT), ["without kernels for dtype float64", '"add.stub"', "m.ptl"]),
        (Completed(-11, ""), ["SIGSEGV"]),
        (Completed(-40, ""), ["signal 40"]),
        (Completed(0, "no JSON here\n"), ["cannot read"]),
    ],
)
def test_failed_runs_are_told(tmp_path: Path, completed: Completed, words: list[str]) -> None:
    runtime = locate_runtime(make_runtime(tmp_path, HOST), host_abi=HOST)
    with pytest.raises(VerificationError) as caught:
        run_model(
            runtime,
            Path("m.ptl"),
            [],
            scratch=tmp_path,
            host=LocalHost(runner=FakeRunner.of(completed)),
        )
    for word in words:
        assert word in caught.value.message


def test_the_hint_for_a_dtype_keeps_those_that_the_runtime_has(tmp_path: Path) -> None:
    located = locate_runtime(make_runtime(tmp_path, HOST), host_abi=HOST)
    manifest = replace(located.manifest, dtypes=DtypeSet.of(["int64", "float32"]))
    runtime, runner = replace(located, manifest=manifest), FakeRunner.of(Completed(1, WITHOUT))
    with pytest.raises(VerificationError) as caught:
        run_model(runtime, Path("my m.ptl"), [], scratch=tmp_path, host=LocalHost(runner=runner))
    assert caught.value.hint is not None
    assert "build(my m.ptl" in caught.value.hint
    assert caught.value.hint.endswith("dtypes=int64,float32,float64)")


def test_the_runtime_says_what_is_looked_for() -> None:
    header = (data_folder("cmake") / "runtime" / "selected_dtypes.h").read_text()
    texts = re.findall(r'"((?:[^"\\]|\\.)*)"', header)
    names = tuple(text for text in texts if text in SCALAR_TYPES)
    assert names == SCALAR_TYPES
    start = next(text for text in texts if "without kernels" in text)
    assert WITHOUT.startswith(start)


def test_registered_operators_are_read(tmp_path: Path) -> None:
    runtime = locate_runtime(make_runtime(tmp_path, HOST), host_abi=HOST)
    runner = FakeRunner.of(Completed(0, "a warning\naten::size\naten::add.Tensor\n"))
    assert list_registered(runtime, host=LocalHost(runner=runner)) == {
        "aten::size",
        "aten::add.Tensor",
    }
    with pytest.raises(VerificationError):
        list_registered(
            runtime, host=LocalHost(runner=FakeRunner.of(Completed(127, "no such library")))
        )


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "{}",
        '{"outputs": 3, "seconds": 1}',
        '{"outputs": [], "seconds": "soon"}',
        '{"outputs": ["x"], "seconds": 1}',
        '{"outputs": [{"dtype":"float32","shape":[2],"file":"o"}], "seconds": 1}',
        '{"outputs": [{"dtype":"float32","shape":[-1],"file":"o"}], "seconds": 1}',
        '{"outputs": [{"dtype":"float32","shape":"1","file":"o"}], "seconds": 1}',
        '{"outputs": [{"dtype":"complex64","shape":[1],"file":"o"}], "seconds": 1}',
        '{"outputs": [{"dtype":"float32","shape":[1],"file":"../o"}], "seconds": 1}',
        '{"outputs": [{"dtype":"float32","shape":[1],"file":".."}], "seconds": 1}',
        '{"outputs": [{"dtype":"float32","shape":[1],"file":"absent"}], "seconds": 1}',
        '{"outputs": [{"dtype":"float32","shape":[1]}], "seconds": 1}',
    ],
)
def test_output_that_is_not_the_protocols_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "o").write_bytes(b"\0" * 4)
    with pytest.raises(VerificationError):
        parse_run_result(line, folder=tmp_path)


def test_missing_operators_are_parsed() -> None:
    assert parse_missing_operators(REFUSED) == (
        Operator("aten::sort"),
        Operator("aten::topk", "values"),
    )
    assert parse_missing_operators("this runtime lacks operators of the model: ") == ()
    assert parse_missing_operators("fine") == ()


@pytest.mark.parametrize("names", ["a::b.c.d", "a::b, c::d e", "::", "a::b\x1b[2J"])
def test_a_text_of_the_models_own_names_no_operators(names: str) -> None:
    """Models raise what they like; the text of a missing operator among it was a ValueError."""
    assert parse_missing_operators(f"this runtime lacks operators of the model: {names}") == ()


def test_specs_are_written_for_the_runner() -> None:
    assert format_spec(TensorSpec(DType.BOOL, (4,))) == "bool:4"
    assert format_spec(TensorSpec(DType.UINT8, ())) == "uint8:scalar"


def make_result(outputs: str = "[]", seconds: str = "1") -> str:
    return f'{{"outputs": {outputs}, "seconds": {seconds}}}'


FILE = '{"dtype": "float32", "shape": [1], "file": "o"}'


@pytest.mark.parametrize(
    "line",
    [
        make_result(seconds="1" + "0" * 400),
        make_result(seconds="1e999"),
        make_result(seconds="-1"),
        make_result(seconds="NaN"),
        make_result(seconds="true"),
        make_result(seconds='"1"'),
        make_result(seconds="null"),
        make_result(outputs=f"[{FILE}, {FILE}]"),
        make_result(outputs="{}"),
        make_result(outputs="[1]"),
        make_result(outputs='[{"dtype": "float32", "shape": [1], "file": 1}]'),
        make_result(outputs='[{"dtype": "float32", "shape": [1], "file": "a\\u0000b"}]'),
        make_result(outputs='[{"dtype": "float32", "shape": [1e400], "file": "o"}]'),
        make_result(outputs='[{"dtype": "float32", "shape": [1' + "0" * 400 + '], "file": "o"}]'),
        make_result(outputs=f'[{{"dtype": "float32", "shape": {[1] * 1000}, "file": "o"}}]'),
        make_result(outputs='[{"dtype": "float32", "shape": [1], "file": "' + "n" * 300 + '"}]'),
        "{" * 100_000,
        '{"a": ' + "[" * 100_000,
        '{"outputs": [' + "[]," * 500_000 + '1], "seconds": 1}',
    ],
)
def test_output_of_a_hostile_device_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "o").write_bytes(b"\0" * 4)
    with pytest.raises(VerificationError):
        parse_run_result(line, folder=tmp_path)


@pytest.mark.parametrize("names", ["a::b.c.d", "a::b, x::", "::", "a::b\x1b[2J"])
def test_a_models_own_text_is_not_taken_for_the_runtimes(tmp_path: Path, names: str) -> None:
    text = f"this runtime lacks operators of the model: {names}"
    assert parse_missing_operators(text) == ()


def test_operators_that_the_runtime_has_are_not_said_to_be_missing(tmp_path: Path) -> None:
    runtime = locate_runtime(make_runtime(tmp_path, HOST), host_abi=HOST)
    has = runtime.manifest.operators[0]
    host = FakeRunner.of(Completed(1, f"this runtime lacks operators of the model: {has}"))
    with pytest.raises(VerificationError) as caught:
        run_model(runtime, tmp_path / "m.ptl", [], scratch=tmp_path, host=LocalHost(runner=host))
    assert "lacks 1 operator" not in caught.value.message
