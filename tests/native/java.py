"""The JDK, jars of Maven Central and our classes, for the tests of the Java side."""

import hashlib
import re
import subprocess
import tomllib
from pathlib import Path

from builder.platforms.android.java import compile_java, write_jar
from builder.system.folders import data_folder
from builder.system.process import Runner
from builder.toolchains.jdk import locate_jdk

from .conftest import HERE

TESTS = HERE.parent / "java"
PINS = tomllib.loads((HERE.parent / "data/jars.toml").read_text())
UPSTREAM = "android/pytorch_android/src"
UPSTREAM_VISION = "android/pytorch_android_torchvision/src/main"
PROGUARD = ("proguard", "proguard_core", "log4j_api", "log4j_core", "json")
"""It and what it needs of others."""
APP_RULES = """\
-keep class Run*,ClientKt { public static void main(java.lang.String[]); }
-keep class *Test { public <init>(); @org.junit.Test public void *(); }
-keepattributes RuntimeVisibleAnnotations
-optimizationpasses 3
-allowaccessmodification
-repackageclasses
"""
"""Rules of an app whose classes are our tests; nothing in them is about org.pytorch."""
SEPARATE_MODELS = re.compile(
    r"void (test\w+)\(\)[^{]*\{(?:\s*//.*)*\s*(?:try \{\s*final Module module = )?"
    r'(?:runModel|loadModel)\("(\w+?)(?:\.ptl)?"\)'
)
"""Tests of upstream's PytorchTestBase that load another model than the API module, and its name."""
runner = Runner.inherit()


def jdk():
    return locate_jdk(runner)


def fetch_jar(name, folder):
    """Returns the pinned file, as Maven brings it; fails on another digest than the pin's."""
    pin = PINS[name]
    group, artifact, version, *rest = pin["artifact"].split(":")
    packaging, classifier = (*rest, *("jar", "")[len(rest) :])
    suffix = f"-{classifier}" if classifier else ""
    file = folder / f"{artifact}-{version}{suffix}.{packaging}"
    goal = "org.apache.maven.plugins:maven-dependency-plugin:2.8:copy"
    coordinates = ":".join(filter(None, (group, artifact, version, packaging, classifier)))
    run("mvn", "-q", "-B", goal, f"-Dartifact={coordinates}", f"-DoutputDirectory={folder}")
    assert hashlib.sha256(file.read_bytes()).hexdigest() == pin["sha256"], f"{file} is another file"
    return file


def run(*command, check=True):
    completed = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    assert not check or completed.returncode == 0, completed.stdout + completed.stderr
    return completed


def compile_tests(sources, classes, classpath, *options):
    options = ("-nowarn", *options)
    compile_java(sources, classes, jdk(), runner=runner, classpath=classpath, options=options)
    return classes


def shrink(app, rules, proguard, libraries, folder):
    """Returns the classes in the folders `app` as ProGuard shrinks, optimises and renames them.

    What became of each class is in `mapping.txt` beside them.
    """
    shrunk, file = folder / "shrunk.jar", folder / "rules.pro"
    file.write_text(APP_RULES + rules)
    system = f"{jdk().home}/jmods/java.base.jmod(!**.jar;!module-info.class)"
    options = [("-injars", classes) for classes in app]
    options += [("-libraryjars", library) for library in (system, *libraries)]
    options += [("-outjars", shrunk), ("-printmapping", folder / "mapping.txt"), ("-include", file)]
    path = ":".join(map(str, proguard))
    flat = (part for option in options for part in option)
    run(jdk().tool("java"), "-classpath", path, "proguard.ProGuard", *flat)
    return shrunk


def shrink_with_r8(app, rules, r8, libraries, folder, *, warns=False):
    """Returns the classes in the folders `app` as R8 shrinks them in full mode, to class files.

    What became of each class is in `mapping.txt` beside them. It may say something if `warns`.
    """
    shrunk, file = folder / "shrunk.jar", folder / "rules.pro"
    # R8 has its own number of passes, and warns of rules that it does not know.
    rules_of_app = APP_RULES.replace("-optimizationpasses 3\n", "")
    file.write_text(rules_of_app + rules)
    jars = [write_classes(classes, folder / f"{number}.jar") for number, classes in enumerate(app)]
    options = [("--lib", library) for library in (jdk().home, *libraries)]
    options += [("--pg-conf", file), ("--pg-map-output", folder / "mapping.txt")]
    flat = (part for option in options for part in option)
    command = ("com.android.tools.r8.R8", "--classfile", "--release", *flat, "--output", shrunk)
    said = run(jdk().tool("java"), "-classpath", r8, *command, *jars)
    assert warns or said.stdout + said.stderr == ""
    return shrunk


def write_classes(folder, jar):
    """Packs a folder of classes; a jar is taken as it is."""
    if folder.is_dir():
        write_jar(folder, jar)
        return jar
    return folder


def java(classpath, main, *arguments, library=None, models=None, properties=(), check=True):
    """Runs a class on a small heap, so that what is not freed shows."""
    options = ["-Xmx96m", "-Xcheck:jni", f"-Dmodels={models}", *properties]
    if library:
        options.append(f"-Djava.library.path={library.parent}")
    path = ":".join(map(str, classpath))
    return run(jdk().tool("java"), *options, "-classpath", path, main, *arguments, check=check)


def read_separate_models(tree):
    """Returns test method -> name of the model that it loads besides the API module."""
    return dict(SEPARATE_MODELS.findall(_base(tree)))


def count_tests(tree):
    return _base(tree).count("@Test")


def _base(tree):
    return (tree / UPSTREAM / "androidTest/java/org/pytorch/PytorchTestBase.java").read_text()


def java_folder() -> Path:
    return data_folder("java")
