from __future__ import annotations

import hashlib
import pickle
import shutil
import zipfile

import pytest

from builder.core.model_facts import ModelFormat
from builder.errors import BuilderError, ModelError
from builder.lite.read import TorchScriptError
from builder.models.read import read_model


def test_a_program_of_torch_export_is_named_with_what_helps(data):
    with pytest.raises(ModelError, match=r"a program of torch.export \(.pt2\)") as caught:
        read_model(data.parent / "pt2" / "block.pt2")
    assert "export it as a lite file" in str(caught.value.hint)


def test_recorded_models_have_the_operators_that_torch_reported(
    data, recorded_operators, recorded_name
):
    path = data / recorded_name
    info = read_model(path)
    assert [str(operator) for operator in info.operators] == recorded_operators[recorded_name]
    flatbuffer = "flatbuffer" in recorded_name
    assert info.format is (ModelFormat.LITE_FLATBUFFER if flatbuffer else ModelFormat.LITE_ZIP)
    assert info.bytecode_version == (9 if flatbuffer else 8)
    assert info.size == path.stat().st_size
    assert info.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert info.name == recorded_name


@pytest.mark.parametrize("suffix", [".ptl", "_flatbuffer.ptl"])
@pytest.mark.parametrize(
    ("name", "classes", "methods"),
    [
        ("control", (), ("decide", "forward", "lengths")),
        ("conv", ("xnnpack.Conv2dOpContext", "xnnpack.LinearOpContext"), ("forward",)),
        (
            "quantised",
            ("quantized.LinearPackedParamsBase",),
            ("__getstate__", "__setstate__", "forward"),
        ),
    ],
)
def test_custom_classes_and_methods(data, name, classes, methods, suffix):
    info = read_model(data / f"{name}{suffix}")
    assert info.custom_classes == classes
    assert info.methods == methods


def test_a_model_says_which_backend_it_was_exported_for(data):
    assert read_model(data.parent / "vulkan" / "mlp.ptl").marks == ("optimized_for_vulkan",)
    assert read_model(data / "conv.ptl").marks == ()


@pytest.mark.parametrize("name", ["control", "conv", "hooked", "lstm", "quantised"])
def test_both_formats_of_a_model_agree(data, name):
    info = read_model(data / f"{name}_flatbuffer.ptl")
    twin = read_model(data / f"{name}.ptl")
    assert (info.operators, info.custom_classes, info.methods) == (
        twin.operators,
        twin.custom_classes,
        twin.methods,
    )


def test_torchscript_without_bytecode_is_told_apart(data):
    with pytest.raises(TorchScriptError, match="TorchScript without bytecode"):
        read_model(data / "control.pt")


@pytest.mark.parametrize(
    ("name", "words"),
    [("state_dict.pt", "torch.save"), ("old_state_dict.pt", "old format")],
)
def test_files_of_torch_save_are_no_programs(data, name, words):
    with pytest.raises(ModelError, match=words) as caught:
        read_model(data / name)
    assert not isinstance(caught.value, TorchScriptError)
    assert "export(" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"hello, this is no model", "first bytes are"),
        (b"P", "first bytes are 50"),
        (b"PK\x03\x04", "truncated"),
        (b"\x18\0\0\0ET12rest", "ExecuTorch"),
        (b"\x18\0\0\0PTMF", "truncated"),
    ],
)
def test_other_files_are_refused(tmp_path, content, words):
    path = tmp_path / "a model.ptl"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=words) as caught:
        read_model(path)
    assert str(path) in caught.value.message


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(ModelError, match="does not exist") as caught:
        read_model(tmp_path / "none.ptl")
    assert "export(" in caught.value.hint
    with pytest.raises(ModelError, match="folder"):
        read_model(tmp_path)
    with pytest.raises(ModelError, match="does not exist"):
        read_model(tmp_path / "none" / "none.ptl")


def test_truncation_is_a_model_error_at_every_length(data, recorded_name, tmp_path):
    content = (data / recorded_name).read_bytes()
    path = tmp_path / "cut.ptl"
    flatbuffer = "flatbuffer" in recorded_name
    for length in range(0, len(content), len(content) // 97):
        path.write_bytes(content[:length])
        try:
            found = read_model(path)
        except ModelError:
            continue
        # the end of a flatbuffer may hold tensors, which are not read
        assert flatbuffer
        assert found.operators == read_model(data / recorded_name).operators


def test_a_pickle_that_calls_is_never_executed(write_zip, tmp_path):
    proof = tmp_path / "called"
    for record in ("bytecode.pkl", "data.pkl", "constants.pkl"):
        hostile = b"\x80\x02cos\nsystem\nX" + len(f"touch {proof}").to_bytes(4, "little")
        path = write_zip({record: hostile + f"touch {proof}".encode() + b"\x85R."})
        with pytest.raises(ModelError, match=r"tries to call os\.system; .*nothing was run"):
            read_model(path)
    assert not proof.exists()


def test_hostile_torchscript_is_refused_before_torch_sees_it(write_zip):
    path = write_zip({"bytecode.pkl": None, "data.pkl": b"\x80\x02cos\nsystem\n."})
    with pytest.raises(ModelError, match="nothing was run") as caught:
        read_model(path)
    assert not isinstance(caught.value, TorchScriptError)


def test_zip_bombs_are_not_unpacked(write_zip, monkeypatch):
    bomb = write_zip({"bytecode.pkl": bytes(65 << 20)}, method=zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 1 << 20
    with pytest.raises(ModelError, match="would unpack to 68,157,440 bytes"):
        read_model(bomb)
    monkeypatch.setattr("builder.lite.archive.MAX_MEMBERS", 3)
    with pytest.raises(ModelError, match="10 entries, more than 3"):
        read_model(write_zip({}))


def test_a_member_larger_than_it_says_is_refused(write_zip):
    path = write_zip({"bytecode.pkl": bytes(5000)}, method=zipfile.ZIP_DEFLATED)
    content = path.read_bytes()
    lie = content.replace((5000).to_bytes(4, "little"), (9).to_bytes(4, "little"))
    assert lie != content
    path.write_bytes(lie)
    with pytest.raises(ModelError, match=r"bytecode\.pkl is damaged"):
        read_model(path)


def test_wrong_checksums_are_noticed(data, tmp_path):
    content = (data / "conv.ptl").read_bytes()
    path = tmp_path / "flipped.ptl"
    path.write_bytes(content.replace(b"conv2d_clamp_run", b"conv2d_clamp_rum"))
    with pytest.raises(ModelError, match=r"bytecode\.pkl is damaged"):
        read_model(path)


def test_encrypted_members_are_refused(write_zip):
    path = write_zip({})
    content = bytearray(path.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = 0
        while (start := content.find(signature, start)) >= 0:
            content[start + flags] |= 1
            start += 4
    path.write_bytes(content)
    with pytest.raises(ModelError, match="encrypted"):
        read_model(path)


def test_two_members_of_one_name_are_refused(tmp_path):
    path = tmp_path / "double.ptl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/bytecode.pkl", b"one")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("model/bytecode.pkl", b"two")
    with pytest.raises(ModelError, match="with the same name"):
        read_model(path)


def test_members_outside_of_the_folder_are_refused(data, tmp_path):
    path = tmp_path / "two.ptl"
    shutil.copy(data / "conv.ptl", path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("other/bytecode.pkl", b"x")
    with pytest.raises(ModelError, match=r"'other/bytecode\.pkl' outside of its folder 'conv/'"):
        read_model(path)


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ({"data.pkl": None}, "does not contain data.pkl"),
        ({"version": b"three"}, "is not a number"),
        ({"bytecode.pkl": pickle.dumps([], protocol=2)}, "a tuple is expected, not list"),
        ({"bytecode.pkl": pickle.dumps((8,), protocol=2)}, "no functions"),
        ({"bytecode.pkl": pickle.dumps((8, ("m.forward",)), protocol=2)}, "a function has no code"),
        ({"bytecode.pkl": pickle.dumps((8, ("m.f", ())), protocol=2)}, "'instructions' is missing"),
        ({"bytecode.pkl": pickle.dumps((8, (7, ())), protocol=2)}, "a string is expected, not int"),
        (
            {"bytecode.pkl": pickle.dumps((8, ("m.\x1b[2J", ())), protocol=2)},
            "name of a method is malformed",
        ),
    ],
)
def test_records_of_another_shape_are_model_errors(write_zip, records, words):
    with pytest.raises(ModelError, match=words) as caught:
        read_model(write_zip(records))
    assert caught.value.message.isprintable()


def _bytecode(operators, *, version=8, schema=()):
    code = (
        ("instructions", ()),
        ("operators", operators),
        ("constants", ()),
        ("types", ()),
        ("register_size", 1),
    )
    functions = (("__torch__.M.forward", code, *schema),)
    return pickle.dumps((version, *functions) if version else functions, protocol=2)


def test_operators_with_and_without_argument_counts(write_zip):
    operators = (("aten::add", "Tensor", 2), ("aten::relu", ""))
    info = read_model(write_zip({"bytecode.pkl": _bytecode(operators, version=4)}))
    assert [str(operator) for operator in info.operators] == ["aten::add.Tensor", "aten::relu"]
    assert (info.bytecode_version, info.methods) == (4, ("forward",))


def test_files_from_before_versions_are_version_three(write_zip):
    info = read_model(write_zip({"bytecode.pkl": _bytecode((), version=None)}))
    assert info.bytecode_version == 3


@pytest.mark.parametrize("operator", [("rm -rf", ""), ("aten::add", "a b"), ("aten::add", 3), ()])
def test_impossible_operators_are_model_errors(write_zip, operator):
    with pytest.raises(ModelError, match="operator"):
        read_model(write_zip({"bytecode.pkl": _bytecode((operator,))}))


def test_every_error_is_ours_when_members_are_swapped(data, write_zip):
    records = ("bytecode.pkl", "data.pkl", "constants.pkl", "version")
    contents = [(data / name).read_bytes() for name in ("conv_flatbuffer.ptl", "state_dict.pt")]
    for record in records:
        for content in contents:
            with pytest.raises(BuilderError):
                read_model(write_zip({record: content}))


@pytest.mark.parametrize("suffix", ["", "_flatbuffer"])
@pytest.mark.parametrize(
    ("model", "dtypes"),
    [
        ("conv", ["float32"]),
        ("control", ["float32"]),
        ("lstm", ["float32"]),
        ("quantised", ["int64", "float32", "qint8", "quint8"]),
    ],
)
def test_both_formats_name_the_same_dtypes(data, model, suffix, dtypes):
    assert read_model(data / f"{model}{suffix}.ptl").dtypes.to_json() == dtypes


ARGUMENT = (("name", "x"), ("type", "List[int]"), ("default_value", None))
SELF = (("name", "self"), ("type", "__torch__.M"), ("default_value", None))


def _schema(*arguments, returns=()):
    return ((("arguments", arguments), ("returns", returns)),)


def test_signatures_are_read(write_zip):
    default = (("name", "k"), ("type", "float"), ("default_value", 0.5))
    schema = _schema(SELF, ARGUMENT, default, returns=((("name", ""), *ARGUMENT[1:]),))
    info = read_model(write_zip({"bytecode.pkl": _bytecode((), schema=schema)}))
    assert list(map(str, info.signatures)) == ["forward(int[] x, float k=0.5) -> int[]"]


def test_files_without_schemas_have_no_signatures(write_zip):
    assert read_model(write_zip({"bytecode.pkl": _bytecode(())})).signatures == ()


@pytest.mark.parametrize(
    "schema",
    [
        (7,),
        ((),),
        ((("arguments", ()),),),
        _schema(7),
        _schema(()),
        _schema((("name", 7), *ARGUMENT[1:])),
        _schema((ARGUMENT[0], ("type", None), ARGUMENT[2])),
        _schema(ARGUMENT[:2]),
        _schema(SELF, returns=(7,)),
    ],
)
def test_schemas_of_another_shape_are_model_errors(write_zip, schema):
    with pytest.raises(ModelError, match="does not have the form that PyTorch writes"):
        read_model(write_zip({"bytecode.pkl": _bytecode((), schema=schema)}))


@pytest.mark.parametrize("model", ["conv", "control", "lstm", "quantised", "hooked"])
def test_both_formats_have_the_same_signatures(data, model):
    found = read_model(data / f"{model}.ptl").signatures
    assert found == read_model(data / f"{model}_flatbuffer.ptl").signatures
    assert [one.method for one in found] == list(read_model(data / f"{model}.ptl").methods)
