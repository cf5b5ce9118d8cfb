"""An app on the published artifact takes ours: built by the Android Gradle plugin, looked into."""

import re
import zipfile
from dataclasses import replace
from functools import cache

import pytest
from android_libraries import NAME, SOUND, TRIPLES, link, make_stubs, stub
from android_samples import make_library, make_package

from builder.platforms.android.java import compile_library
from builder.platforms.android.repository import write_aar
from builder.system.folders import data_folder

from . import java as java_tools
from .gradle import build_app, make_sdk, read_members
from .java import fetch_jar, run, runner

pytestmark = [pytest.mark.gradle, pytest.mark.jdk, pytest.mark.maven, pytest.mark.host]
JNI = data_folder("cmake") / "runtime/jni"
LOOKED_UP = re.compile(r'find_(?:method|static|field)\(\s*env,\s*type,\s*"([\w<>]+)",\s*"([^"]+)"')
REGISTERED = re.compile(r'text\("(\w+)"\),\s*text\(((?:"[^"]*"\s*)+)\)')


@pytest.fixture(scope="module")
def jars(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jars")
    return cache(lambda name: fetch_jar(name, folder))


@pytest.fixture(scope="module")
def sdk(tmp_path_factory, jars):
    return make_sdk(tmp_path_factory.mktemp("sdk") / "sdk", jars)


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """Our classes and rules, a model, and small libraries for all ABIs."""
    work = tmp_path_factory.mktemp("work")
    package = make_package(work)
    ndk = make_stubs(tmp_path_factory.mktemp("ndk"))
    libraries = [make_library(work, abi) for abi in sorted(TRIPLES)]
    for library in libraries:
        for path in (library.library, library.unstripped):
            link(path, library.abi, *SOUND, needed=(stub(ndk, library.abi),))
    java = java_tools.java_folder()
    compile_library(java, work / "compiled", java_tools.jdk(), runner=runner)
    part = replace(package.java, classes=work / "compiled", rules=java / "proguard.txt")
    assets = {"model.ptl": work / "model.ptl"}
    return replace(package, libraries=tuple(libraries), java=part, assets=assets)


@pytest.fixture(scope="module", params=[False, True], ids=["as it is", "minified"])
def app(request, sdk, package, tmp_path_factory):
    """The app's APK, and the AAR in it."""
    folder = tmp_path_factory.mktemp("app")
    aar = write_aar(package, folder / "out")
    dependency = str(package.coordinates)
    apk, said = build_app(sdk, aar.repository, dependency, folder / "app", minify=request.param)
    assert said.returncode == 0, said.stdout[-4000:] + said.stderr[-4000:]
    return apk, aar.aar


def look_ups():
    """Returns class, name and type of what the native side looks up and registers."""
    for function in re.split(r"\nvoid look_up_", (JNI / "calls.cpp").read_text())[1:]:
        if owner := re.search(r'find_class\(env, "(org/pytorch/\w+)"\)', function):
            yield from ((owner[1], *member) for member in LOOKED_UP.findall(function))
    for name, text in REGISTERED.findall((JNI / "images.cpp").read_text()):
        signature = "".join(re.findall(r'"([^"]*)"', text))
        yield "org/pytorch/torchvision/TensorImageUtils$NativePeer", name, signature
    for owner in ("LiteNativePeer", "NativeHandle", "PyTorchAndroid"):
        source = (data_folder("java") / f"src/org/pytorch/{owner}.java").read_text()
        declared = set(re.findall(r"native \w+ (\w+)\(", source))
        for name, text in REGISTERED.findall((JNI / "modules.cpp").read_text()):
            if name in declared:
                yield f"org/pytorch/{owner}", name, text.strip().strip('"')


def test_the_app_has_each_library_once_the_asset_and_nothing_else_of_the_aar(app):
    apk, aar = (zipfile.ZipFile(path) for path in app)
    with apk, aar:
        found = set(apk.namelist())
        carried = {f"lib/{abi}/{NAME}": f"jni/{abi}/{NAME}" for abi in TRIPLES}
        carried["assets/model.ptl"] = "assets/model.ptl"
        plain = {"AndroidManifest.xml", "META-INF/MANIFEST.MF", "classes.dex", "resources.arsc"}
        assert found == {*carried, *plain}
        for inside, given in carried.items():
            assert apk.read(inside) == aar.read(given)
    run("zipalign", "-c", "-p", "4", app[0])


def test_the_app_has_every_member_that_the_native_side_looks_up(app):
    members, wanted = read_members(app[0]), list(look_ups())
    assert len(wanted) == 24
    assert [member for member in wanted if member[1:] not in members.get(member[0], ())] == []


def test_without_the_rules_of_the_aar_they_are_gone(sdk, package, tmp_path):
    """That is: the test above can fail."""
    (tmp_path / "proguard.txt").write_text("# none\n")
    bare = replace(package, java=replace(package.java, rules=tmp_path / "proguard.txt"))
    aar = write_aar(bare, tmp_path / "out")
    dependency = str(package.coordinates)
    apk, said = build_app(sdk, aar.repository, dependency, tmp_path / "app", minify=True)
    assert said.returncode == 0, said.stdout
    assert "org/pytorch/IValue" not in read_members(apk)
