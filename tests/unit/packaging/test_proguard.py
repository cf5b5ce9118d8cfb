"""The consumer rules keep what the native side looks up, and Java has what it looks up."""

from __future__ import annotations

import re

import pytest

from builder.system.folders import data_folder

JNI = data_folder("cmake") / "runtime/jni"
JAVA = data_folder("java")
LOOK_UP = re.compile(r'find_(?:method|static|field)\(\s*env,\s*type,\s*"([\w<>]+)",\s*"([^"]+)"')
NATIVE = re.compile(r'text\("(\w+)"\),\s*text\((?:"\(|signature)')


def blocks(rules):
    """Returns class -> text of its rule."""
    return dict(re.findall(r"-keep\w*[\w,]* class ([\w.$]+) \{([^}]*)\}", rules))


def looked_up():
    text = (JNI / "calls.cpp").read_text()
    for function in re.split(r"\nvoid look_up_", text)[1:]:
        if owner := re.search(r'find_class\(env, "org/pytorch/(\w+)"\)', function):
            for name, signature in LOOK_UP.findall(function):
                yield owner[1], name, signature


def simple(descriptor):
    """Returns how rules write the parameters of a JNI descriptor, and how many dimensions."""
    names = {"I": "int", "J": "long", "Z": "boolean", "D": "double"}
    found = re.findall(r"(\[*)(?:L([\w/]+);|([IJZD]))", descriptor)
    return ", ".join((c.replace("/", ".") or names[p]) + "[]" * len(a) for a, c, p in found)


@pytest.mark.parametrize(("owner", "name", "signature"), list(looked_up()))
def test_members_that_are_looked_up_are_kept_and_there(owner, name, signature):
    rule = blocks((JAVA / "proguard.txt").read_text())[f"org.pytorch.{owner}"]
    if signature.startswith("("):
        parameters, result = signature[1:].split(")")
        kept = f"{name}({simple(parameters)});"
        result = simple(result) if result != "V" else ""
    else:
        kept, result = f"{name};", simple(signature)
    assert f"{result} {kept}".strip() in rule
    source = (JAVA / f"src/org/pytorch/{owner}.java").read_text()
    assert re.search(rf"\b{owner if name == '<init>' else name}\b", source)


def test_what_is_looked_up_was_found():
    assert len(list(looked_up())) >= 15


@pytest.mark.parametrize(
    ("source", "owners"),
    [
        ("modules.cpp", ("LiteNativePeer", "NativeHandle", "NativeLibrary", "PyTorchAndroid")),
        ("images.cpp", ("torchvision/TensorImageUtils",)),
    ],
)
def test_registered_methods_are_native_and_their_classes_kept(source, owners):
    rules = blocks((JAVA / "proguard.txt").read_text())
    declared = set()
    for owner in owners:
        java = (JAVA / f"src/org/pytorch/{owner}.java").read_text()
        declared |= set(re.findall(r"native [\w\[\]]+ (\w+)\(", java))
        kept = [rule for name, rule in rules.items() if owner.replace("/", ".") in name]
        assert kept
        assert "native <methods>;" in kept[0]
    assert set(NATIVE.findall((JNI / source).read_text())) == declared
