"""AARs beside the tools of others: Maven resolves ours, and the published one breaks our rules."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from android_samples import make_package

from builder.platforms.android.maven import render_versions
from builder.platforms.android.package import Coordinates, default_version
from builder.platforms.android.repository import write_aar

from .conftest import run_builder
from .java import fetch_jar, run

pytestmark = pytest.mark.maven
COPY = "org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies"
PROJECT = """\
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>example</groupId><artifactId>app</artifactId><version>1</version>
  <repositories>
    <repository><id>central</id><url>{repository}</url></repository>
  </repositories>
  <dependencies>{dependencies}</dependencies>
</project>
"""
COORDINATES = Coordinates(group="example.torchlite", version="2.6.0-2")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    package = make_package(tmp_path_factory.mktemp("work"))
    output = tmp_path_factory.mktemp("out")
    for version in ("2.6.0-10", "2.6.0-2"):
        changed = Coordinates(group=COORDINATES.group, version=version)
        written = write_aar(replace(package, coordinates=changed), output)
    return written


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """A local repository of its own, with the plugins that the user's has."""
    local = tmp_path_factory.mktemp("local")
    users = Path.home() / ".m2/repository"
    for folder in users.iterdir() if users.is_dir() else ():
        (local / folder.name).symlink_to(folder)
    return local


def resolve(written, local, folder, *wanted):
    """Copies dependencies of a project, which sees our repository alone, into `folder`."""
    dependencies = "".join(
        f"<dependency><groupId>{COORDINATES.group}</groupId>"
        f"<artifactId>{COORDINATES.artifact}</artifactId>"
        f"<version>{version}</version><type>{kind}</type>"
        f"{f'<classifier>{classifier}</classifier>' if classifier else ''}</dependency>"
        for version, kind, classifier in wanted
    )
    folder.mkdir()
    (folder / "pom.xml").write_text(
        PROJECT.format(repository=written.repository.as_uri(), dependencies=dependencies)
    )
    project = ("-f", folder / "pom.xml", f"-DoutputDirectory={folder}")
    own = f"-Dmaven.repo.local={local}"
    return run("mvn", "-q", "-B", "-C", own, *project, COPY, check=False)


def test_maven_resolves_every_file_of_a_version_and_finds_the_newest(written, local, tmp_path):
    copied = tmp_path / "copied"
    wanted = (
        *(("2.6.0-2", "aar", ""), ("2.6.0-2", "jar", "javadoc")),
        *(("2.6.0-2", "zip", "native-debug-symbols"), ("[2.6.0-1,2.7)", "jar", "sources")),
    )
    completed = resolve(written, local, copied, *wanted)
    assert completed.returncode == 0, completed.stdout
    artifact = written.folder.parent
    names = {path.name: path for path in artifact.glob("*/*")}
    found = {path.name for path in copied.iterdir()} - {"pom.xml"}
    stem = COORDINATES.artifact
    assert found == {
        *(f"{stem}-2.6.0-2{end}" for end in (".aar", "-javadoc.jar", "-native-debug-symbols.zip")),
        f"{stem}-2.6.0-10-sources.jar",
    }
    assert all((copied / name).read_bytes() == names[name].read_bytes() for name in found)


def test_maven_refuses_a_file_that_is_not_the_one_of_the_checksums(local, tmp_path):
    other = Coordinates(group=COORDINATES.group, version="2.6.0-3")
    package = replace(make_package(tmp_path / "work"), coordinates=other)
    spoilt = write_aar(package, tmp_path / "out")
    spoilt.aar.write_bytes(spoilt.aar.read_bytes() + b" ")
    completed = resolve(spoilt, local, tmp_path / "copied", ("2.6.0-3", "aar", ""))
    assert completed.returncode != 0
    assert "hecksum" in completed.stdout


def test_maven_orders_versions_as_we_do():
    """Ours are behind every published one, behind the plain version, and before the next."""
    home = Path(re.search("Maven home: (.*)", run("mvn", "-v").stdout)[1])
    ours = default_version("2.6.0")
    ordered = ["1.12.2", "2.1.0", "2.6.0-rc1", "2.6.0", ours, "2.6.0-2", "2.6.0-10", "2.6.1"]
    main = "org.apache.maven.artifact.versioning.ComparableVersion"
    told = run("java", "-cp", f"{home}/lib/*", main, *ordered).stdout
    verdicts = re.findall(r"^ +\S+ (<|==|>) \S+$", told, re.MULTILINE)
    assert verdicts == ["<"] * (len(ordered) - 1), told
    listed = re.findall("<version>(.*)</version>", render_versions(COORDINATES, reversed(ordered)))
    assert listed == ordered


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return fetch_jar("lite", tmp_path_factory.mktemp("published"))


def test_the_published_aar_is_not_aligned_where_there_are_64_bits(published):
    completed = run_builder("check", published, "--json", check=False)
    assert completed.returncode == 8, completed.stdout + completed.stderr
    report = json.loads(completed.stdout)
    assert report["min_api"] == 21
    assert len(report["files"]) == 12
    unaligned = {f["file"] for f in report["findings"] if f["rule"] == "page-size"}
    assert unaligned == {name for name in report["files"] if "64" in name}
    assert len(unaligned) == 6
    assert sum(f["rule"] == "relro-place" for f in report["findings"]) == 5
    unchecked = {f["rule"] for f in report["findings"] if f["verdict"] == "not checked"}
    assert unchecked == {"undefined"}


def test_a_library_that_play_flags_for_its_relro_breaks_the_rule(tmp_path):
    """datastore 1.2.0; version 1.2.1 was linked again for that reason."""
    completed = run_builder("check", fetch_jar("datastore", tmp_path), "--json", check=False)
    assert completed.returncode == 8, completed.stdout + completed.stderr
    found = [f for f in json.loads(completed.stdout)["findings"] if f["rule"] == "relro-place"]
    assert [Path(finding["file"]).parent.name for finding in found] == ["arm64-v8a", "x86_64"]
    assert all("its end, 0xd000, is not aligned" in finding["found"] for finding in found)


def test_the_published_aar_can_be_compared_with_and_says_nothing_of_models(
    published, written, tmp_path
):
    completed = run_builder("size", written.aar, "--against", published, "--json")
    shown = json.loads(completed.stdout)
    assert shown["against"]["libraries"]["x86"]["libfbjni.so"]["file"] == 165_620
    assert shown["against"]["downloads"]["arm64-v8a"] > 12_000_000
    assert set(shown["aar"]["libraries"]) == {"armeabi-v7a", "x86_64"}
    model = Path(__file__).parents[1] / "data/models/conv.ptl"
    completed = run_builder("check", model, published, check=False)
    assert completed.returncode == 2
    assert "does not say what it can run" in completed.stderr
