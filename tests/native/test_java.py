"""Our Java classes over our JNI library, on a desktop JVM."""

import json
import os
import re
import sys
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from builder.api.toolchains import locate_target, locate_toolchain
from builder.cli.console import ConsoleProgress
from builder.platforms.android.java import compile_library, write_jar, write_javadoc
from builder.sources.releases import load_release
from builder.sources.trees import locate_sources
from builder.system.files import digest_file
from builder.system.reference_cases import read_reference

from . import java as java_tools
from .conftest import ABI, HERE, run_builder
from .java import (
    PROGUARD,
    TESTS,
    UPSTREAM,
    UPSTREAM_VISION,
    compile_tests,
    fetch_jar,
    java,
    run,
    runner,
    shrink,
    shrink_with_r8,
    write_classes,
)

pytestmark = [pytest.mark.jdk, pytest.mark.maven]

EVERY_MODEL = os.environ.get("BUILDER_JAVA_MODELS") == "all"
"""Upstream's operator models are built and run too; that compiles for long."""
NOT_EXPORTED = {"testDynamicQuantOps": "torch 1.13 cannot script the module"}
RULES = (java_tools.java_folder() / "proguard.txt").read_text()
EACH_RULE = re.findall(r"(-keep\w* class [\w.$]*?(\w+) \{[^}]*\})", RULES)
"""A rule for an app's shrinker, and the name of the class that it is about."""
SERVED = """\
import org.pytorch.IValue;
import org.pytorch.Module;
import org.pytorch.NativeLibrary;
import org.pytorch.Tensor;

public final class Served {
  public static void main(String[] arguments) {
    System.out.println(String.join("\\n", NativeLibrary.operators()));
    Tensor zeros = Tensor.fromBlob(new float[3 * 224 * 224], new long[] {1, 3, 224, 224});
    try (Module module = Module.load(arguments[0])) {
      System.out.println(module.forward(IValue.from(zeros)).toTensor().numel());
    }
  }
}
"""
OURS = ("ValuesTest", "LoadingTest", "ClosingTest", "MemoryTest", "ImagesTest")
"""Our tests that need the native library."""
ON_BOTH_CORES = ("values", "android_api_module", "mobilenet_v2", "classifier")
PUBLISHED = {"lite": "org.pytorch", "torchvision_lite": "org.pytorch.torchvision"}


@pytest.fixture(scope="session")
def jars(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jars")
    return cache(lambda name: fetch_jar(name, folder))


@pytest.fixture(scope="session")
def classes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("java") / "classes"
    compile_library(java_tools.java_folder(), folder, java_tools.jdk(), runner=runner)
    return folder


@pytest.fixture(scope="session")
def tree():
    return locate_sources(load_release(), progress=ConsoleProgress()).root


@pytest.fixture(scope="session")
def junit(jars):
    return [jars("junit"), jars("hamcrest")]


@pytest.fixture(scope="session")
def fakes(tmp_path_factory):
    return compile_tests([TESTS / "fakes"], tmp_path_factory.mktemp("fakes"), [])


@pytest.fixture(scope="session")
def tests(tmp_path_factory, classes, junit, fakes):
    """Our own tests, compiled."""
    folder = tmp_path_factory.mktemp("tests")
    classpath = [fakes, classes, *junit]
    return [compile_tests(sorted(TESTS.glob("*.java")), folder, classpath), *classpath]


@pytest.fixture(scope="session")
def shrink_tests(tests, classes, fakes, junit, jars):
    """Returns what shrinks our tests with our classes, as an app of theirs, by consumer rules."""
    proguard, libraries = [jars(name) for name in PROGUARD], [fakes, *junit]
    return lambda rules, folder: [
        shrink([tests[0], classes], rules, proguard, libraries, folder),
        *libraries,
    ]


@pytest.fixture(scope="session")
def shrunk(tmp_path_factory, shrink_tests):
    return shrink_tests(RULES, tmp_path_factory.mktemp("shrunk"))


@pytest.fixture(scope="session")
def shrunk_by_r8(tmp_path_factory, tests, classes, fakes, junit, jars):
    folder, libraries = tmp_path_factory.mktemp("r8"), [fakes, *junit]
    stubs = write_classes(fakes, folder / "fakes.jar")
    app = [tests[0], classes]
    return [shrink_with_r8(app, RULES, jars("r8"), [stubs, *junit], folder), *libraries]


@pytest.fixture(params=["compiled", "shrunk", "shrunk_by_r8"])
def app(request):
    """Our tests with our classes, as they were compiled and as ProGuard and R8 make them."""
    return request.getfixturevalue("tests" if request.param == "compiled" else request.param)


@pytest.fixture(scope="session")
def upstream(tmp_path_factory, tests, tree):
    """Upstream's tests as they are in the pinned tree, and what loads their models."""
    folder = tmp_path_factory.mktemp("upstream tests")
    theirs = tree / UPSTREAM / "androidTest/java/org/pytorch"
    sources = [theirs / "PytorchTestBase.java", theirs / "PytorchHostTests.java"]
    return [compile_tests([*sources, TESTS / "org"], folder, tests), *tests]


@pytest.fixture(scope="session")
def models(tmp_path_factory, tree):
    """A folder of lite files: upstream's and ours."""
    folder = tmp_path_factory.mktemp("models")
    script = HERE / "java_models.py"
    run(sys.executable, script, "values", folder)
    separate = set(java_tools.read_separate_models(tree).values()) - {"spectral_ops"}
    wanted = separate if EVERY_MODEL else {"mobilenet_v2"}
    run(sys.executable, script, "upstream", folder, tree, "android_api_module", *sorted(wanted))
    export = ("export", "models:quantised", "--shape", "1,3,16,16")
    run_builder(*export, "-o", folder / "quantised.ptl")
    run_builder("export", "mobilenet_v2", "-o", folder / "classifier.ptl")
    return folder


@pytest.fixture(scope="session")
def library(models, tmp_path_factory):
    out = tmp_path_factory.mktemp("for java") / "out"
    profile = ("--profile", "debug") if EVERY_MODEL else ()
    build = ("build", *sorted(models.glob("*.ptl")), "--abi", ABI, "--jni", *profile, "-o", out)
    run_builder(*build)
    # Nothing is there to be done a second time, and the classes count.
    (again,) = json.loads(run_builder(*build, "--json").stdout)["runtimes"]
    assert again["reused"]
    return out / ABI / "lib/libpytorch_jni_lite.so"


@pytest.fixture(scope="session")
def own_library(models, tmp_path_factory):
    """The same with builder's own core, for the models without quantised operators."""
    out = tmp_path_factory.mktemp("for java") / "own core"
    served = [models / f"{name}.ptl" for name in ON_BOTH_CORES]
    run_builder("build", *served, "--abi", ABI, "--jni", "--core", "own", "-o", out)
    return out / ABI / "lib/libpytorch_jni_lite.so"


def lines(said, kind):
    return set(re.findall(rf"^{kind} (\w+)$", said.stdout, re.MULTILINE))


def compare(jar, old, new, *options, check=True):
    """Runs japicmp, which fails where a public member is missing or incompatible."""
    checks = ("--error-on-binary-incompatibility", "--error-on-source-incompatibility")
    return run(
        *(java_tools.jdk().tool("java"), "-jar", jar, "-o", old, "-n", new, "-a", "public"),
        *("--ignore-missing-classes", *checks, *options),
        check=check,
    )


def make_jar(folder, jar):
    write_jar(folder, jar)
    return jar


@pytest.mark.parametrize("name", PUBLISHED)
def test_nothing_public_of_the_published_artifacts_is_missing(name, jars, classes, tmp_path):
    with zipfile.ZipFile(jars(name)) as aar:
        old = Path(aar.extract("classes.jar", tmp_path))
    ours = make_jar(classes, tmp_path / "ours.jar")
    said = compare(jars("japicmp"), old, ours).stdout
    assert f"{PUBLISHED[name]}.BuildConfig" in said  # it was this package that was compared
    backwards = compare(jars("japicmp"), ours, old, check=False)
    assert backwards.returncode != 0  # ours has more, so the comparison can fail


def test_nothing_public_of_the_pinned_sources_is_missing(jars, classes, tree, tmp_path):
    declared = tmp_path / "declared"
    compile_tests([java_tools.java_folder() / "declarations"], declared, [])
    sources = [tree / UPSTREAM / "main/java", tree / UPSTREAM_VISION / "java"]
    theirs = compile_tests(
        sources, tmp_path / "theirs", [declared, jars("fbjni"), jars("nativeloader")]
    )
    old = make_jar(theirs, tmp_path / "theirs.jar")
    said = compare(jars("japicmp"), old, make_jar(classes, tmp_path / "ours.jar")).stdout
    assert "org.pytorch.torchvision.TensorImageUtils" in said
    assert "com.facebook" not in said


def test_the_same_classes_come_of_androids_own_types(jars, classes, tmp_path):
    java_folder, compiled = java_tools.java_folder(), tmp_path / "compiled"
    annotations = compile_tests([java_folder / "declarations/org"], tmp_path / "declared", [])
    compile_tests([java_folder / "src"], compiled, [jars("android"), annotations])
    theirs = {f.relative_to(compiled): f.read_bytes() for f in compiled.rglob("*.class")}
    assert theirs == {f.relative_to(classes): f.read_bytes() for f in classes.rglob("*.class")}


def test_the_folder_of_a_build_for_a_jvm_has_the_classes(library, classes, models, tmp_path):
    """They run without any class of Android, beside the C API of the same operators."""
    root = library.parents[1]
    with zipfile.ZipFile(root / "share/java/torchlite.jar") as jar:
        theirs = {name: jar.read(name) for name in jar.namelist() if not name.endswith("/")}
    ours = {f.relative_to(classes).as_posix(): f.read_bytes() for f in classes.rglob("*.class")}
    assert theirs == ours
    program = tmp_path / "Served.java"
    program.write_text(SERVED)
    compile_tests([program], tmp_path / "served", [root / "share/java/torchlite.jar"])
    classpath = [tmp_path / "served", root / "share/java/torchlite.jar"]
    said = java(classpath, "Served", models / "classifier.ptl", library=library).stdout.split()
    listed = run(root / "bin/torchlite-run", "--operators").stdout.split()
    assert said == [*listed, "1000"]


def test_kotlin_is_told_what_may_be_null(classes):
    javap = (java_tools.jdk().tool("javap"), "-v", "-cp", classes)
    said = run(*javap, "org.pytorch.Module").stdout
    method = said[said.index("load(java.nio.ByteBuffer, java.util.Map") :]
    (parameters,) = re.findall(
        r"RuntimeInvisibleParameterAnnotations:\n(.*?)\n    \w", method, re.DOTALL
    )[:1]
    told = re.findall(r"annotations\.(\w+)$", parameters, re.MULTILINE)
    assert told == ["NotNull", "Nullable", "NotNull"]
    # What apps have anyway, by kotlin-stdlib, is not shipped a second time.
    assert not list(classes.rglob("NotNull.class"))


def test_classes_need_nothing_that_android_5_lacks(jars, tmp_path):
    """animal-sniffer tells all that Android has not, which our own classes are too."""
    java_folder, compiled = java_tools.java_folder(), tmp_path / "target/classes"
    sources = [java_folder / "src", java_folder / "declarations"]
    compile_tests(sources, compiled, [], "-g:none")  # it stumbles over debug information
    (tmp_path / "signature").symlink_to(jars("android_21"))
    classpath = f"{jars('animal_sniffer')}:{jars('asm')}"
    checker = ("-classpath", classpath, "org.codehaus.mojo.animal_sniffer.SignatureChecker")
    said = run("env", "-C", tmp_path, java_tools.jdk().tool("java"), *checker).stdout
    missing = set(re.findall("Undefined reference: (.*)", said))
    assert "void org.pytorch.NativeLibrary.load()" in missing
    assert {name for name in missing if "org.pytorch" not in name} == set()


def test_classes_have_no_lambdas_which_old_tools_of_android_refuse(classes, tests):
    def disassemble(folder):
        files = folder.rglob("*.class")
        return run(java_tools.jdk().tool("javap"), "-c", "-private", *files).stdout

    assert "invokedynamic" not in disassemble(classes)
    assert "invokedynamic" in disassemble(tests[0])  # there it is so called


def test_classes_and_documentation_are_the_same_bytes_when_made_again(classes, tmp_path):
    jdk, jars = java_tools.jdk(), []
    again = tmp_path / "classes"
    compile_library(java_tools.java_folder(), again, jdk, runner=runner)
    for number, folder in enumerate((classes, again)):
        write_javadoc(java_tools.java_folder(), tmp_path / "doc", jdk, runner=runner)
        parts = (folder, tmp_path / "doc")
        jars.append([digest_file(make_jar(f, tmp_path / f"{number}.jar")) for f in parts])
    assert jars[0] == jars[1]
    assert (tmp_path / "doc/org/pytorch/torchvision/TensorImageUtils.html").is_file()


def test_tensors_need_no_native_library(tests):
    java(tests, "RunTests", "TensorTest")


def test_a_missing_library_is_named(tests):
    said = java(tests, "RunTests", "ValuesTest", check=False)
    assert said.returncode == 1
    assert "UnsatisfiedLinkError: org.pytorch cannot load libpytorch_jni_lite.so" in said.stdout


def test_proguard_keeps_the_names_that_the_rules_are_about_and_no_others(shrunk):
    mapping = (shrunk[0].parent / "mapping.txt").read_text()
    became = dict(re.findall(r"^org\.pytorch\.([\w.$]+) -> (\S+):$", mapping, re.MULTILINE))
    kept = {name for name, new in became.items() if new == f"org.pytorch.{name}"}
    about = {
        f"torchvision.TensorImageUtils${name}" if name == "NativePeer" else name
        for _, name in EACH_RULE
    }
    assert kept - {"torchvision.TensorImageUtils"} == about  # the outer class of a kept one
    assert {"LiteModuleLoader", "Module", "DType"} <= set(became) - kept
    assert "PyTorchCodegenLoader" not in became  # nobody uses it


def test_r8_keeps_what_the_native_side_looks_up_and_renames_the_rest(shrunk_by_r8):
    """Full mode, under the consumer rules alone."""
    mapping = (shrunk_by_r8[0].parent / "mapping.txt").read_text()
    became = dict(re.findall(r"^org\.pytorch\.([\w.$]+) -> (\S+):$", mapping, re.MULTILINE))
    kept = {name for name, new in became.items() if new == f"org.pytorch.{name}"}
    about = {name for _, name in EACH_RULE} - {"NativePeer"}
    assert about < kept
    assert "torchvision.TensorImageUtils$NativePeer" in kept
    assert {"Module", "DType", "MemoryFormat"} <= set(became) - kept


def test_d8_dexes_the_classes_for_android_5_without_a_warning(classes, jars, tmp_path):
    jar = make_jar(classes, tmp_path / "ours.jar")
    d8 = ("-classpath", jars("r8"), "com.android.tools.r8.D8", "--release", "--min-api", "21")
    libraries = ("--lib", java_tools.jdk().home, "--lib", jars("android"))
    options = (*libraries, "--output", tmp_path)
    said = run(java_tools.jdk().tool("java"), *d8, *options, jar)
    assert said.stdout + said.stderr == ""
    dex = (tmp_path / "classes.dex").read_bytes()
    assert dex[:8] == b"dex\n035\0"  # what Android 5 reads
    assert b"Lorg/pytorch/Module;" in dex


@pytest.fixture(scope="session")
def in_kotlin(tmp_path_factory, classes, fakes, jars):
    """An app in Kotlin: its classes, and what it brings besides ours."""
    folder = tmp_path_factory.mktemp("kotlin")
    brought = [jars(f"kotlin_{name}") for name in ("stdlib", "coroutines", "annotations")]
    tools = ("compiler", "script_runtime", "reflect", "daemon", "trove")
    compiler = ":".join(map(str, [*brought, *(jars(f"kotlin_{name}") for name in tools)]))
    classpath = ":".join(map(str, [*brought, classes, fakes]))
    options = ("-no-stdlib", "-no-reflect", "-Werror", "-cp", classpath, "-d", folder)
    source = TESTS.parent / "kotlin/Client.kt"
    main = "org.jetbrains.kotlin.cli.jvm.K2JVMCompiler"
    run(java_tools.jdk().tool("java"), "-classpath", compiler, main, *options, source)
    return folder, brought


@pytest.mark.kotlin
@pytest.mark.torch
@pytest.mark.host
@pytest.mark.parametrize("form", ["compiled", "shrunk"])
def test_an_app_in_kotlin(form, in_kotlin, classes, fakes, jars, library, models, tmp_path):
    app, brought = in_kotlin
    classpath = [app, classes, *brought, fakes]
    if form == "shrunk":
        libraries = [write_classes(fakes, tmp_path / "fakes.jar"), jars("kotlin_annotations")]
        # This R8 says that it does not know the metadata of so new a Kotlin.
        whole = [app, classes, *brought[:2]]
        shrunk = shrink_with_r8(whole, RULES, jars("r8"), libraries, tmp_path, warns=True)
        classpath = [shrunk, fakes]
    said = java(classpath, "ClientKt", models / "values.ptl", library=library)
    assert len(re.findall(r"^pass ", said.stdout, re.MULTILINE)) == 67
    assert "WARNING" not in said.stdout + said.stderr  # of -Xcheck:jni


def check_ours(name, app, library, models):
    said = java(app, "RunTests", name, library=library, models=models)
    assert len(lines(said, "pass")) >= 4
    assert "WARNING" not in said.stdout + said.stderr  # of -Xcheck:jni


def check_upstreams(absent, upstream, library, models, tree):
    """Runs upstream's tests but for those in `absent`; returns the names of ignored ones."""
    name = "org.pytorch.PytorchLiteTests"
    said = java(upstream, "RunTests", name, *absent, library=library, models=models)
    ignored = lines(said, "ignored")
    passed = java_tools.count_tests(tree) - len(absent) - len(ignored)
    assert len(lines(said, "pass")) == passed
    return ignored


def check_numbers(model, app, library, folder):
    case = read_reference(model.with_name(f"{model.name}.reference.safetensors"))
    (given,), (expected,) = case.inputs, case.outputs
    (folder / "in").write_bytes(given.data)
    files = (model, folder / "in", folder / "out")
    java(app, "RunModel", *files, *map(str, given.spec.shape), library=library)
    got = np.frombuffer((folder / "out").read_bytes(), np.float32)
    want = np.frombuffer(expected.data, np.float32)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


@pytest.mark.torch
@pytest.mark.host
class TestOnTheHost:
    """Everything that runs models."""

    @pytest.mark.parametrize("name", OURS)
    def test_ours(self, name, app, library, models):
        check_ours(name, app, library, models)

    def test_ours_on_builders_own_core(self, tests, own_library, models):
        """One JVM for each class, as on the other core."""
        for name in OURS:
            check_ours(name, tests, own_library, models)

    def test_upstreams_on_the_lite_loader(self, upstream, library, models, tree):
        separate = java_tools.read_separate_models(tree)
        absent = [t for t, model in separate.items() if not (models / f"{model}.ptl").is_file()]
        ignored = check_upstreams(absent, upstream, library, models, tree)
        if EVERY_MODEL:
            assert set(absent) - ignored == {*NOT_EXPORTED, "testSpectralOps"}

    def test_upstreams_on_builders_own_core(self, upstream, own_library, models, tree):
        separate = java_tools.read_separate_models(tree)
        absent = [test for test, model in separate.items() if model not in ON_BOTH_CORES]
        check_upstreams(absent, upstream, own_library, models, tree)

    def test_upstreams_host_variant(self, upstream, library, models, tree, tmp_path):
        """It loads `test.pt` whatever it is asked for, so models of their own are left out."""
        assets = tmp_path / "src/androidTest/assets"
        assets.mkdir(parents=True)
        script = tree / "android/pytorch_android/generate_test_torchscripts.py"
        run("env", "-C", tmp_path, sys.executable, script)
        absent = java_tools.read_separate_models(tree)
        name = "org.pytorch.PytorchHostTests"
        said = java([assets, *upstream], "RunTests", name, *absent, library=library)
        assert len(lines(said, "pass")) == java_tools.count_tests(tree) - len(absent)

    def test_pictures_become_upstreams_numbers(self, tests, library, tree, jars, tmp_path):
        loader = jars("nativeloader")
        util = tree / UPSTREAM_VISION / "java"
        theirs = compile_tests([util], tmp_path / "classes", [loader, *tests])
        native = tmp_path / "libpytorch_vision_jni.so"
        headers = (f"-I{folder}" for folder in java_tools.jdk().headers)
        source = tree / UPSTREAM_VISION / "cpp/pytorch_vision_jni.cpp"
        clang = locate_toolchain(locate_target(ABI)).cxx.path
        run(clang, "-shared", "-fPIC", "-include", "cstdint", *headers, source, "-o", native)
        upstream = java([theirs, loader, *tests], "RunImages", library=native).stdout
        assert upstream.count("\n") == 32
        assert java(tests, "RunImages", library=library).stdout == upstream

    @pytest.mark.parametrize("name", ["classifier", "quantised"])
    def test_a_model_gives_torchs_numbers(self, name, app, library, models, tmp_path):
        check_numbers(models / f"{name}.ptl", app, library, tmp_path)

    def test_a_model_gives_torchs_numbers_on_builders_own_core(
        self, tests, own_library, models, tmp_path
    ):
        check_numbers(models / "classifier.ptl", tests, own_library, tmp_path)

    @pytest.mark.parametrize("rule", [rule for rule, _ in EACH_RULE], ids=[n for _, n in EACH_RULE])
    def test_an_app_shrunk_without_one_of_the_rules_fails(
        self, rule, shrink_tests, library, tmp_path
    ):
        lacking = shrink_tests(RULES.replace(rule, ""), tmp_path)
        said = java(lacking, "RunTests", "ImagesTest", library=library, check=False)
        assert said.returncode == 1
        assert lines(said, "FAIL") >= {"greyPicturesBecomeGrey"}
        assert re.search(r"NoClassDefFoundError|NoSuch\w+Error|UnsatisfiedLinkError", said.stdout)

    def test_one_symbol_is_exported(self, library):
        said = run("readelf", "--dyn-syms", "--wide", library).stdout
        exported = [
            line.split()[-1] for line in said.splitlines() if re.search(r" GLOBAL .* \d+ \w", line)
        ]
        assert [name for name in exported if "UND" not in name] == ["JNI_OnLoad"]
