"""An Android SDK of what Debian and Maven Central have, and the Android Gradle plugin on it."""

import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

from .conftest import HERE
from .java import jdk, run

DEBIANS = Path("/usr/lib/android-sdk")
PLATFORM = "platforms/android-21"
PROPERTIES = """\
Pkg.Desc=Android SDK Platform 5.0
Platform.Version=5.0
Pkg.Revision=2
AndroidVersion.ApiLevel=21
Layoutlib.Api=12
"""
BUILD = "ro.build.version.sdk=21\nro.build.version.release=5.0\nro.build.version.codename=REL\n"
JAVA_8 = "8"
"""How a JDK's `ct.sym` writes the release in the names of its folders."""
NEWEST_CLASS = 52
"""Version of class files that the plugin's ProGuard reads."""


def make_sdk(folder, jars):
    """Makes an SDK of Debian's tools, dx, and Robolectric's Android 5.0 completed from the JDK."""
    shutil.copytree(DEBIANS, folder, symlinks=False)
    (folder / "build-tools/29.0.3/lib").mkdir()
    shutil.copy(jars("dx"), folder / "build-tools/29.0.3/lib/dx.jar")
    platform = folder / PLATFORM
    platform.mkdir(parents=True)
    (platform / "source.properties").write_text(PROPERTIES)
    (platform / "build.prop").write_text(BUILD)
    (platform / "framework.aidl").touch()
    manifest, packed = folder / "AndroidManifest.xml", folder / "platform.apk"
    manifest.write_text('<manifest package="android"/>')
    run(folder / "build-tools/29.0.3/aapt", "package", "-M", manifest, "-F", packed)
    with zipfile.ZipFile(platform / "android.jar", "w") as android:
        for name, content in _platform(jars("android"), packed).items():
            android.writestr(name, content)
    return folder


def _platform(robolectrics, manifest):
    entries = {}
    with zipfile.ZipFile(jdk().home / "lib/ct.sym") as described:
        for name in described.namelist():
            found = re.fullmatch(r"(\w+)/java\.base/(java/.+)\.sig", name)
            if found and JAVA_8 in found[1]:
                content = described.read(name)
                older = content[:6] + NEWEST_CLASS.to_bytes(2, "big") + content[8:]
                entries[f"{found[2]}.class"] = older
    for file in (robolectrics, manifest):
        with zipfile.ZipFile(file) as given:
            kept = (n for n in given.namelist() if not n.endswith("/") and "META-INF" not in n)
            entries |= {name: given.read(name) for name in kept}
    return entries


def build_app(sdk, repository, dependency, folder, *, minify=False):
    """Returns the unsigned APK of the app in the folder `android_app`, and what Gradle said."""
    shutil.copytree(HERE / "android_app", folder)
    (folder / "local.properties").write_text(f"sdk.dir={sdk}\n")
    opened = ("java.lang", "java.util", "java.lang.invoke")
    options = " ".join(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in opened)
    (folder / "gradle.properties").write_text(f"org.gradle.jvmargs={options} -Xmx1g\n")
    completed = subprocess.run(
        (
            *("gradle", "--offline", "--no-daemon", "--gradle-user-home", str(folder / "home")),
            *(f"-Drepository={repository.as_uri()}", f"-Ddependency={dependency}"),
            f"-Dminify={str(minify).lower()}",
            *("--project-dir", str(folder), "assembleRelease", "--stacktrace"),
        ),
        capture_output=True,
        text=True,
        env={**os.environ, "GRADLE_OPTS": options},
    )
    return folder / "app/build/outputs/apk/app-release-unsigned.apk", completed


def read_members(apk):
    """Returns class -> names and types of its fields and methods, as dexdump tells."""
    members, owner, name = {}, "", ""
    for line in run("dexdump", apk).stdout.splitlines():
        if found := re.match(r"  Class descriptor  : 'L([^;]+);'", line):
            owner = found[1]
            members[owner] = set()
        elif found := re.match(r"      name          : '(.*)'", line):
            name = found[1]
        elif found := re.match(r"      type          : '(.*)'", line):
            members[owner].add((name, found[1]))
    return members
