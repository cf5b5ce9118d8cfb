"""What a lock has, and how a build that does not fit it is refused; tools are made up."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from samples import make_tool, make_toolchain

from builder import api
from builder.api import BuildRequest, PackageOptions, build, builds, link
from builder.api import build_locks as locks
from builder.api import plans as planning
from builder.core.sources import SourceLock, SourcePatch
from builder.core.targets import parse_target
from builder.core.toolchain import Stl, ToolchainOptions
from builder.errors import ConfigurationError, SourceError, ToolchainError
from builder.platforms.android import build as android
from builder.platforms.android.package import AarOptions
from builder.sources.releases import load_release
from builder.system.progress import Silent
from tests.json_schemas import forbid_unknown_fields, read_schema

ANDROID, IOS, LINUX = map(parse_target, ("arm64-v8a", "ios-arm64", "linux-x86_64"))


@pytest.fixture(autouse=True)
def tools(monkeypatch):
    """The tools that are found: their versions can be changed, and taken away."""
    here: dict[str, object] = {}

    def locate(target, **_):
        if here.get("missing"):
            raise ToolchainError("there is no Android NDK")
        return make_toolchain(target=target, **here)

    monkeypatch.setattr(link, "locate_toolchain", locate)
    monkeypatch.setattr(builds, "link_libraries", lambda *_, **__: pytest.fail("it builds"))
    monkeypatch.setattr(android, "locate_jdk", lambda _runner: None)
    fetches = "fetch_toolchain_sources"
    for target in (ANDROID, IOS):
        monkeypatch.setattr(link.platform_of(target), fetches, lambda *_, **__: None)
    return here


@pytest.fixture
def request_of(tmp_path):
    def make(*operators: str, **changes: object) -> BuildRequest:
        path = tmp_path / "ops.txt"
        path.write_text("".join(f"{one}\n" for one in operators or ("aten::relu",)))
        return BuildRequest(inputs=(path,), **changes)

    return make


@pytest.fixture
def lock(tmp_path, request_of):
    """Writes a lock, and returns what it says of a product."""

    def write(targets=(ANDROID, IOS, LINUX), request=None, options=None, name="", change=None):
        request = request or request_of()
        path = tmp_path / "builder.lock"
        locked = api.lock_build(request, targets, options, progress=Silent())
        api.write_lock(path, {name: locked})
        if change:
            text = path.read_text()
            assert change[0] in text
            path.write_text(text.replace(*change))
        return api.choose_locked(path, api.read_lock(path), name)

    return write


def start(request, locked, tmp_path, targets=(LINUX,), options=None):
    build(request, targets, tmp_path / "out", options, progress=Silent(), locked=locked)


def test_a_lock_follows_its_schema_and_is_read_as_it_was_written(lock, tmp_path):
    options = PackageOptions(android=AarOptions(prefab=True))
    locked = lock(options=options, name="one")
    content = json.loads(locked.path.read_text())
    schema = forbid_unknown_fields(read_schema("builder-lock"))
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(content)
    assert locked.machine == locks.host_abi()
    assert list(content["products"]) == ["one"]
    targets = content["products"]["one"]
    assert sorted(targets) == ["arm64-v8a", "ios-arm64", "linux-x86_64"]
    assert sorted(targets["arm64-v8a"]["keys"]) == ["c", "jni+c"]
    assert sorted(targets["ios-arm64"]["keys"]) == ["c"]
    release = load_release()
    assert content["trees"]["2.6.0"]["digest"] == release.source_digest
    assert str(tmp_path) not in locked.path.read_text()
    # The same lock again is the same text.
    before = locked.path.read_bytes()
    assert lock(options=options, name="one").path.read_bytes() == before


def plan_build(request, targets, folder):
    one = api.ProductBuild(request=request, targets=targets, output=folder / "out")
    (plans,) = api.plan_builds([one], progress=Silent())
    return plans


def test_the_keys_are_those_of_the_plans(lock, request_of, tmp_path):
    locked = lock()
    for target in (ANDROID, IOS, LINUX):
        (plan,) = plan_build(request_of(), [target], tmp_path)
        assert locked.expected.targets[target.abi].keys["c"] == plan.key


def test_plans_need_no_toolchain(lock, request_of, tools, tmp_path):
    locked, request = lock(), request_of()
    wanted = plan_build(request, [ANDROID, IOS], tmp_path)
    tools["missing"] = True
    with pytest.raises(ToolchainError):
        plan_build(request, [ANDROID], tmp_path)
    made = api.plan_locked(request, [ANDROID, IOS], locked)
    assert [one.to_json() for one in made] == [one.to_json() for one in wanted]
    api.refuse_other_plans(made, request, locked)


def test_the_interface_of_a_package_is_part_of_the_lock(lock, request_of):
    request = request_of()
    options = PackageOptions(android=AarOptions(prefab=True))
    locked = lock((ANDROID,), options=options)
    api.refuse_other_plans(api.plan_locked(request, [ANDROID], locked), request, locked)
    with pytest.raises(ConfigurationError, match=r"interfaces are c, jni, and c, jni\+c in the lo"):
        api.refuse_unlocked(request, [ANDROID], PackageOptions(), locked, progress=Silent())
    api.refuse_unlocked(request, [ANDROID], options, locked, progress=Silent())


@pytest.mark.parametrize(
    ("tool", "said"),
    [
        ({"cc": "15.0", "cxx": "15.0"}, r"the C\+\+ compiler is '15.0', and '14.0.6' in the lock"),
        ({"cc": "15.0"}, "the C compiler is '15.0'"),
        ({"linker": "15.0"}, "the linker is '15.0'"),
        ({"cmake": "4.0"}, "CMake is '4.0', and '3.28' in the lock"),
    ],
)
def test_another_tool_is_refused_by_name(lock, request_of, tools, tmp_path, tool, said):
    locked = lock()
    tools.update({name: make_tool(name, version) for name, version in tool.items()})
    with pytest.raises(ToolchainError, match=f"linux-x86_64: {said}") as caught:
        start(request_of(), locked, tmp_path)
    assert "install the tools of the lock" in caught.value.hint
    assert not (tmp_path / "out").exists()


def test_other_flags_of_the_toolchain_are_refused(lock, request_of, tools, tmp_path):
    locked = lock()
    tools["link_flags"] = ("-Wl,-z,max-page-size=65536",)
    with pytest.raises(ToolchainError, match="flags of the toolchain for links is -Wl,-z,max-page"):
        start(request_of(), locked, tmp_path)


def test_another_tree_is_refused_by_name(lock, request_of, tmp_path):
    release = load_release()
    (first, *pins), (patch, *patches) = release.lock.pins, release.lock.patches
    changed = SourceLock(
        version="2.6.0",
        pins=(replace(first, commit="0" * 40), *pins),
        patches=(
            replace(patch, text="other"),
            *patches[:-1],
            SourcePatch(name="new", text="x", reason="why"),
        ),
    )
    request = request_of(pytorch=replace(release, lock=changed))
    with pytest.raises(SourceError) as caught:
        start(request, lock(), tmp_path)
    message = caught.value.message
    assert f"the source {first.name} is 000000000000, and '{first.commit[:12]}' in" in message
    assert f"the patch {patch.name} is " in message
    assert "the patch new is not in the lock" in message
    assert f"the patch '{patches[-1].name}' of the lock is not in this release" in message


def test_another_choice_of_files_is_another_tree(lock, request_of, tmp_path):
    release = load_release()
    first, *pins = release.lock.pins
    changed = replace(release.lock, pins=(replace(first, excluded=("x",)), *pins))
    with pytest.raises(SourceError, match="same commits, but other archives or other files"):
        start(request_of(pytorch=replace(release, lock=changed)), lock(), tmp_path)


def test_another_release_is_refused_by_its_version(lock, request_of, tmp_path):
    newer = replace(load_release(), version="2.7.0")
    with pytest.raises(SourceError, match=r"PyTorch is 2\.7\.0, and '2\.6\.0' in the lock"):
        start(request_of(pytorch=newer), lock(), tmp_path)


def test_other_operators_options_and_files_are_refused(lock, request_of, tmp_path, monkeypatch):
    locked = lock()
    request = request_of("aten::tanh", dtypes=api.DtypeSet.of(["float32"]))
    with pytest.raises(ConfigurationError) as caught:
        start(request, locked, tmp_path)
    assert "dtypes is 'float32', and 'all' in the lock" in caught.value.message
    assert "other operators: new aten::tanh, gone aten::relu" in caught.value.message
    assert str(caught.value.hint).endswith("write the lock again: lock()")
    monkeypatch.setattr(planning, "digest_deciding_files", lambda *_: "0" * 64)
    with pytest.raises(ConfigurationError, match="builder's own files are not those"):
        start(request_of(), locked, tmp_path)


def test_options_for_the_toolchain_are_noticed_without_one(lock, request_of, tools):
    locked = lock((ANDROID, LINUX))
    tools["missing"] = True
    chosen = ToolchainOptions(stl=Stl.SHARED, page_size=65536)
    request = request_of(tools=chosen)
    made = api.plan_locked(request, [ANDROID], locked)
    with pytest.raises(ConfigurationError, match=r"stl is 'c\+\+_shared', and 'c\+\+_st"):
        api.refuse_other_plans(made, request, locked)
    # They are for Android only.
    api.refuse_other_plans(api.plan_locked(request, [LINUX], locked), request, locked)


def test_a_key_that_nothing_explains_is_refused(lock, request_of, tmp_path):
    locked = lock((LINUX,))
    key = locked.expected.targets["linux-x86_64"].keys["c"]
    locked = lock((LINUX,), change=(key, "0" * 16))
    with pytest.raises(ConfigurationError, match=f"keys of the plans are c {key}, and c 0000"):
        start(request_of(), locked, tmp_path)


def test_a_lock_of_another_machine(lock, request_of, tmp_path):
    machine = f'"machine": "{locks.host_abi()}"'
    locked = lock(change=(machine, '"machine": "darwin-arm64"'))
    with pytest.raises(ConfigurationError, match="was written on 'darwin-arm64', and this machine"):
        start(request_of(), locked, tmp_path)
    # A lint job may run anywhere.
    request = request_of()
    api.refuse_other_plans(api.plan_locked(request, [ANDROID], locked), request, locked)


def test_abis_products_and_levels_that_the_lock_lacks(lock, request_of, tmp_path):
    locked = lock((ANDROID,), name="detector")
    with pytest.raises(ConfigurationError, match=r"product 'detector', has no linux-x86_64, only"):
        start(request_of(), locked, tmp_path)
    newer = replace(ANDROID, min_os=24)
    with pytest.raises(ConfigurationError, match="for 'android-arm64-v8a-21', and this build is"):
        api.plan_locked(request_of(), [newer], locked)
    read = api.read_lock(locked.path)
    with pytest.raises(ConfigurationError, match="no product 'detectr'; did you mean 'detector'"):
        api.choose_locked(locked.path, read, "detectr")
    with pytest.raises(ConfigurationError, match="has no build without products"):
        api.choose_locked(locked.path, read, "")


def test_shaders_need_a_compiler_in_the_lock(lock, request_of, monkeypatch):
    locked = lock((ANDROID,))
    request = request_of("vulkan_prepack::run_conv2d_context")
    with pytest.raises(ConfigurationError, match="no compiler of shaders"):
        api.plan_locked(request, [ANDROID], locked)

    def find_compiler(toolchain, backends, runner):
        assert any(one.shaders for one in backends)
        return replace(toolchain, shader_compiler=make_tool("glslc"), shader_headers="239")

    for module in (link,):
        monkeypatch.setattr(module, "with_shader_compiler", find_compiler)
    other = lock((ANDROID,), request=request)
    assert other.expected.targets["arm64-v8a"].tools.shader_headers == "239"
    # Without such a model, the compiler of shaders decides nothing.
    (plan,) = api.plan_locked(request_of(), [ANDROID], other)
    assert not any("Vulkan" in part for part in plan.toolchain)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "JSON is malformed|Input data was truncated"),
        ("{}", "required field `schema`"),
        ('{"schema": 1, "abi": "x86"}', "required field"),
        ('{"schema": 2}', "schema 2 is newer than 1"),
        ("[" * 100_000, "nested too deeply|malformed|Expected"),
        ("\x00\xff", "malformed"),
    ],
)
def test_files_that_are_no_lock(tmp_path, text, said):
    path = tmp_path / "builder.lock"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigurationError, match=said) as caught:
        api.read_lock(path)
    assert str(path) in caught.value.message


def test_a_lock_whose_tree_is_missing_is_refused(lock):
    with pytest.raises(ConfigurationError, match=r"it has no tree '2\.6\.0'"):
        lock(change=('    "2.6.0": {', '    "2.6.1": {'))


def test_a_missing_lock_and_one_in_the_way(tmp_path, lock):
    with pytest.raises(ConfigurationError, match="cannot be read: No such file") as caught:
        api.read_lock(tmp_path / "none.lock")
    assert "lock()" in str(caught.value.hint)
    (tmp_path / "builder.lock").write_text("mine")
    with pytest.raises(ConfigurationError, match="not a lock of builder, and would be overwritten"):
        lock()
    assert Path(tmp_path / "builder.lock").read_text() == "mine"


@pytest.mark.parametrize(("name", "where"), [("", ""), ("one", " of the product 'one'")])
def test_a_lock_without_keys_of_plans_is_refused_by_name(lock, tmp_path, name, where):
    locked = lock((LINUX,), name=name)
    content = json.loads(locked.path.read_text())
    content["products"][name]["linux-x86_64"]["keys"] = {}
    locked.path.write_text(json.dumps(content))
    with pytest.raises(ConfigurationError) as caught:
        api.read_lock(locked.path)
    said = f"it has no keys of plans for 'linux-x86_64'{where}"
    assert said in caught.value.message
    assert caught.value.message.startswith(f"{locked.path} is not a lock")
    assert "lock()" in str(caught.value.hint)
