"""Two releases side by side: a copy of the pinned one that differs in one patch of one file."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner
from samples import make_toolchain
from sources.sources_support import make_archive, make_pin

from builder import api
from builder.api import link
from builder.cli.build import command as build_command
from builder.cli.export import command as export_command
from builder.cli.fetch import command as fetch_command
from builder.cli.ops import command as ops_command
from builder.cli.plan import command as plan_command
from builder.core.targets import parse_target
from builder.errors import ConfigurationError
from builder.sources import release_facts
from builder.sources.releases import load_release
from builder.sources.tree import tree_folder
from builder.system.folders import data_folder
from builder.system.progress import Silent

PINNED, PATCHED = "2.6.0", "2.6.0+patched"
PATCH = """\
The message names this test.

--- a/{file}
+++ b/{file}
@@ -1 +1 @@
-{old}
+{new}
"""

_WITH_RELEASES = """\
import sys
from pathlib import Path

from builder.cli.main import main
from builder.sources import release_facts, releases

root = Path(sys.argv.pop(1))
release_facts.data_folder = releases.data_folder = lambda _: root
main()
"""


@pytest.fixture
def root(tmp_path):
    """A folder with both releases."""
    root = tmp_path / "releases"
    for version in (PINNED, PATCHED):
        shutil.copytree(data_folder("third_party") / PINNED, root / version)
    shutil.copy(data_folder("third_party") / "releases.toml", root)
    set_version(root / PATCHED)
    add_patch(root / PATCHED, "c10/core/Device.cpp", "// old", "// new")
    return root


def set_version(folder):
    lock = folder / "sources.lock.toml"
    before = lock.read_text()
    lock.write_text(before.replace(f'\nversion = "{PINNED}"', f'\nversion = "{folder.name}"', 1))
    assert lock.read_text() != before


def add_patch(folder, file, old, new):
    text = PATCH.format(file=file, old=old, new=new)
    (folder / "patches/0099-message.patch").write_text(text)


@pytest.fixture
def op_list(tmp_path):
    path = tmp_path / "ops.txt"
    path.write_text("aten::relu\ntorchvision::nms\n")
    return path


@pytest.fixture(autouse=True)
def _toolchain(monkeypatch):
    monkeypatch.setattr(link, "locate_toolchain", lambda target, **_: make_toolchain())


def plan(request, targets):
    one = api.ProductBuild(
        request=request, targets=targets, output=request.inputs[0].with_name("out")
    )
    ((made,),) = api.plan_builds([one], progress=api.Silent())
    return made


def test_one_more_patch_is_another_plan_and_another_source_tree(root, op_list, tmp_path):
    releases = [load_release(version, root=root) for version in (PINNED, PATCHED)]
    targets = [parse_target("linux-x86_64")]
    plans = [
        plan(api.BuildRequest(inputs=(op_list,), pytorch=release), targets) for release in releases
    ]
    one, other = plans
    assert (one.release, other.release) == tuple(releases)
    assert one.key != other.key
    assert one.objects_key != other.objects_key
    assert one.generated_key != other.generated_key
    own, more = ({patch.name for patch in plan.release.lock.patches} for plan in plans)
    assert more - own == {"0099-message"}
    assert own < more
    trees = {tree_folder(plan.release.lock.select(), tmp_path) for plan in plans}
    assert len(trees) == 2
    assert one.features == other.features  # torchvision's tree has no patches; both use one


def test_the_pinned_release_is_the_same_wherever_its_folder_is(root, op_list):
    targets = [parse_target("linux-x86_64")]
    here = api.BuildRequest(inputs=(op_list,))
    there = api.BuildRequest(inputs=(op_list,), pytorch=load_release(PINNED, root=root))
    assert plan(here, targets).key == plan(there, targets).key


@pytest.fixture
def small(root, tmp_path):
    """The same two releases, of one small source, and the folder with its archive."""
    archives = tmp_path / "archives"
    archives.mkdir()
    archive = make_archive(archives / "thing_1.0.orig.tar.gz", {"top/a.txt": b"one\n"})
    pin = make_pin(archive)
    fields = ("name", "path", "version", "url", "commit", "package", "file", "sha256", "licence")
    table = "".join(f'{name} = "{getattr(pin, name)}"\n' for name in fields)
    table += f"strip = {pin.strip}\nsize = {pin.size}\nunpacked = {pin.unpacked}\n"
    for folder in (root / PINNED, root / PATCHED):
        (folder / "sources.lock.toml").write_text(f'version = "{folder.name}"\n[[source]]\n{table}')
        for patch in (folder / "patches").iterdir():
            patch.unlink()
    add_patch(root / PATCHED, "a.txt", "one", "two")
    return root, archives


def _fetch(release, **settings):
    request = api.FetchRequest(pytorch=release, **settings)
    return api.fetch_sources(request, progress=Silent())


def test_both_trees_stand_in_one_cache_and_are_made_from_one_download(small, tmp_path, monkeypatch):
    root, archives = small
    cache = tmp_path / "cache"
    monkeypatch.setenv("BUILDER_CACHE", str(cache))
    pinned, patched = (load_release(version, root=root) for version in (PINNED, PATCHED))
    (first,) = _fetch(pinned, source_folder=archives, offline=True)
    shutil.rmtree(archives)
    downloads = {path: path.stat().st_mtime_ns for path in (cache / "downloads").iterdir()}
    (second,) = _fetch(patched, offline=True)
    assert {path: path.stat().st_mtime_ns for path in (cache / "downloads").iterdir()} == downloads
    assert (first.root / "a.txt").read_text() == "one\n"
    assert (second.root / "a.txt").read_text() == "two\n"
    assert (first.version, second.version) == (PINNED, PATCHED)
    for release, tree in ((pinned, first), (patched, second)):
        assert api.find_sources(release) == tree
        assert _fetch(release, check=True) == (tree,)


@pytest.fixture
def installed(root, monkeypatch):
    """builder as if both releases shipped with it."""
    monkeypatch.setattr(release_facts, "data_folder", lambda _: root)


def test_the_command_line_takes_the_default_release_or_the_one_that_is_named(installed, op_list):
    def plan(*options):
        given = [str(op_list), "--abi", "linux-x86_64", "--json", *options]
        result = CliRunner().invoke(plan_command, given, catch_exceptions=False)
        return json.loads(result.stdout)["plans"][0]

    assert plan()["source_version"] == PINNED  # a variant is used only where it is named
    assert plan("--pytorch", PINNED) == plan()
    assert plan("--pytorch", PATCHED)["source_version"] == PATCHED
    assert plan("--pytorch", PATCHED)["key"] != plan()["key"]
    with pytest.raises(ConfigurationError, match=r"PyTorch ''; it can build 2\.6\.0"):
        plan("--pytorch", "")


@pytest.mark.host
@pytest.mark.parametrize("made", ["empty", "9.9.9", "notes", "9.9.9 is a file", "link"])
def test_a_malformed_release_concerns_only_the_command_that_takes_it(made, root, tmp_path):
    folder = root / ("notes" if made == "notes" else "9.9.9")
    match made:
        case "empty":
            folder.mkdir()
        case "9.9.9" | "notes":
            shutil.copytree(root / PINNED, folder)
            (folder / "sources.lock.toml").write_text("version")
            (folder / "backends/metal.toml").write_text("no TOML")
        case "link":
            folder.symlink_to("nowhere")
        case _:
            folder.touch()
    (tmp_path / "ops.yaml").write_text((data_folder("ops_lists") / "mobilenet_v2.yaml").read_text())

    def run(*arguments):
        return run_with_releases(root, *arguments, cwd=tmp_path)

    for command in ("build", "plan"):
        result = run(command, "--help")
        assert (result.returncode, result.stderr) == (0, "")
        assert "--metal" in result.stdout
    asked = ("plan", "ops.yaml", "--abi", "linux-x86_64")
    assert run(*asked).returncode == run(*asked, "--pytorch", PINNED).returncode == 0
    assert run("doctor").returncode in {0, 5}
    assert "ops.yaml: it is not a model" in run("check", "ops.yaml", "nowhere").stderr
    named = run(*asked, "--pytorch", folder.name)
    assert named.returncode == 2
    assert folder.name in named.stderr
    assert "bug of builder" not in named.stderr


def run_with_releases(root, *arguments, cwd):
    """Runs builder as if the releases in `root` shipped with it."""
    return subprocess.run(
        [sys.executable, "-c", _WITH_RELEASES, root, *arguments],
        cwd=cwd, capture_output=True, text=True,
    )  # fmt: skip


def test_a_backend_that_the_release_does_not_have_is_refused(root, op_list):
    (root / PATCHED / "backends/metal.toml").unlink()
    metal = load_release(PINNED, root=root).backends["metal"]
    request = api.BuildRequest(
        inputs=(op_list,), pytorch=load_release(PATCHED, root=root), accelerators=(metal,)
    )
    with pytest.raises(ConfigurationError, match=r"PyTorch 2\.6\.0\+patched cannot be"):
        plan(request, [parse_target("ios-arm64")])


def test_another_release_is_refused_with_the_list_of_those_that_exist(installed, op_list):
    message = r"PyTorch 2\.5\.1; it can build 2\.6\.0, 2\.6\.0\+patched"
    given_to = {
        build_command: [str(op_list)],
        export_command: ["mobilenet_v2", "-o", "m.ptl"],
        fetch_command: [],
        ops_command: [str(op_list)],
        plan_command: [str(op_list)],
    }
    for command, given in given_to.items():
        with pytest.raises(ConfigurationError, match=message) as caught:
            CliRunner().invoke(command, [*given, "--pytorch", "2.5.1"], catch_exceptions=False)
        assert caught.value.exit_code == 2
