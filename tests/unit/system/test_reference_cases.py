import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import save

from builder.core.arrays import sample_inputs
from builder.core.tensors import Call, DType, ReferenceCase, TensorSpec
from builder.errors import VerificationError
from builder.system.reference_cases import format_reference, read_reference, write_reference
from builder.system.reference_headers import reference_path

GOOD = {"format": "1", "model_sha256": "a" * 64, "torch_version": "2"}
ONE = np.ones(1, np.float32)

specs = st.builds(
    TensorSpec,
    st.sampled_from(list(DType)),
    st.lists(st.integers(0, 4), max_size=3).map(tuple),
)


def case_of(inputs: list[TensorSpec], outputs: list[TensorSpec]) -> ReferenceCase:
    return ReferenceCase(
        inputs=sample_inputs(inputs, seed=0),
        outputs=sample_inputs(outputs, seed=1),
        torch_version="1.13",
        model_sha256="f" * 64,
    )


@given(st.lists(specs, max_size=12), st.lists(specs, min_size=1, max_size=12))
def test_case_survives_its_file(
    tmp_path_factory, inputs: list[TensorSpec], outputs: list[TensorSpec]
) -> None:
    case = case_of(inputs, outputs)
    path = tmp_path_factory.mktemp("references") / "é m.ptl.reference.safetensors"
    write_reference(path, case)
    assert read_reference(path) == case


@pytest.mark.parametrize(("structure", "number"), [("", "1"), ("(float32[1], None, ['a'])", "2")])
def test_an_older_builder_is_told_when_there_are_strings(tmp_path, structure, number) -> None:
    one = TensorSpec(DType.FLOAT32, (1,))
    case = replace(case_of([one], [one]), structure=structure)
    write_reference(tmp_path / "case", case)
    assert read_reference(tmp_path / "case") == case
    with safe_open(tmp_path / "case", framework="numpy") as stream:
        assert stream.metadata()["format"] == number


@given(st.lists(st.tuples(specs, st.booleans()), max_size=3))
def test_methods_survive_the_file(tmp_path_factory, given_) -> None:
    one = TensorSpec(DType.FLOAT32, (1,))
    calls = tuple(
        Call(
            method=f"m{number}",
            inputs=sample_inputs([spec], seed=number),
            outputs=sample_inputs([spec, one], seed=9),
            structure=f"({spec}, 'a')" if is_text else "",
        )
        for number, (spec, is_text) in enumerate(given_)
    )
    case = replace(case_of([one], [one]), methods=calls)
    path = tmp_path_factory.mktemp("references") / "case"
    write_reference(path, case)
    assert read_reference(path) == case
    assert [case.find(call.method) for call in calls] == list(calls)
    assert case.find("forward").inputs == case.inputs
    assert case.find("other") is None


def test_path_is_beside_the_model() -> None:
    assert reference_path(Path("a/m.ptl")) == Path("a/m.ptl.reference.safetensors")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a file of tensors",
        b"\xff" * 64,
        save({"output.0": ONE}),
        save({"output.0": ONE}, {**GOOD, "format": "3"}),
        save({"output.0": ONE}, {**GOOD, "model_sha256": "short"}),
        save({"input.0": ONE}, GOOD),
        save({"output.1": ONE}, GOOD),
        save({"output.0": ONE, "extra": ONE}, GOOD),
        save({"output.0": ONE, "method.a.output.0": ONE}, GOOD),
        save({"output.0": ONE}, {**GOOD, "methods": "a"}),
        save({"output.0": ONE, "method.a.output.0": ONE}, {**GOOD, "methods": "a,a"}),
        save({"output.0": ONE, "method.a b.output.0": ONE}, {**GOOD, "methods": "a b"}),
        save({"output.0": ONE}, {**GOOD, "methods": "a," * 400_000}),
        save(
            {"output.0": ONE, "method.a.output.0": ONE},
            {**GOOD, "methods": "a", "structure.a": "(float32[1],)"},
        ),
        save({"output.0": np.ones(1, np.uint32)}, GOOD),
        save({"output.0": np.ones(1, np.complex64)}, GOOD),
        save({"input.0": ONE, "output.0": ONE}, {**GOOD, "structure": "([float32[2]],)"}),
        save({"input.0": ONE, "output.0": ONE}, {**GOOD, "structure": "([float32[1], 2],)"}),
        save({"input.0": ONE, "output.0": ONE}, {**GOOD, "structure": "import os"}),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "case"
    path.write_bytes(content)
    with pytest.raises(VerificationError) as caught:
        read_reference(path)
    assert "export(" in (caught.value.hint or "")


@given(st.integers(0, 400))
def test_truncated_files_are_refused(tmp_path_factory, keep: int) -> None:
    whole = format_reference(
        case_of([TensorSpec(DType.FLOAT32, (20,))], [TensorSpec(DType.BOOL, ())])
    )
    path = tmp_path_factory.mktemp("references") / "case"
    path.write_bytes(whole[: min(keep, len(whole) - 1)])
    with pytest.raises(VerificationError):
        read_reference(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match="nowhere"):
        read_reference(tmp_path / "nowhere")


def test_a_header_that_no_case_needs_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.reference.safetensors"
    path.write_bytes((2 << 20).to_bytes(8, "little") + b"{" + b" " * (2 << 20) + b"}")
    with pytest.raises(VerificationError, match="its header has 2,097,152 bytes"):
        read_reference(path)


def test_a_case_that_is_cut_while_it_is_read_was_read_whole(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "case"
    case = case_of([TensorSpec(DType.FLOAT32, (1 << 16,))], [TensorSpec(DType.BOOL, ())])
    write_reference(path, case)
    parse = safetensors.deserialize

    def cut(content: bytes) -> object:
        os.truncate(path, 0)
        return parse(content)

    monkeypatch.setattr(safetensors, "deserialize", cut)
    assert read_reference(path) == case
    assert path.stat().st_size == 0


def test_a_case_that_is_larger_than_the_memory_is_refused(tmp_path: Path, monkeypatch) -> None:
    def refuse(content: bytes) -> object:
        raise MemoryError

    write_reference(tmp_path / "case", case_of([], [TensorSpec(DType.BOOL, ())]))
    monkeypatch.setattr(safetensors, "deserialize", refuse)
    with pytest.raises(VerificationError, match="larger than the memory"):
        read_reference(tmp_path / "case")
