import json

import pytest
from click.testing import CliRunner

from builder import api
from builder.cli.fetch import command
from builder.core.sources import SourceTree
from builder.errors import ConfigurationError
from builder.sources import trees
from builder.sources.choice import FetchRequest
from builder.sources.providers import ProviderName


@pytest.fixture
def calls(monkeypatch, tmp_path):
    seen = []

    def fetch(request, *, progress):
        seen.append(request)
        tree = SourceTree(root=tmp_path, version="2.6.0", digest="d" * 64)
        return (tree,) * (1 + len(request.features))

    monkeypatch.setattr(api, "fetch_sources", fetch)
    monkeypatch.setattr(trees, "fetch_trees", lambda _, request, **given: fetch(request, **given))
    monkeypatch.setattr(api, "list_source_origins", lambda tree: {"xnnpack": "git"})
    return seen


def test_prints_path_digest_and_licences(calls, tmp_path):
    result = CliRunner().invoke(command, [])
    assert result.exit_code == 0
    assert str(tmp_path) in result.stdout
    assert "d" * 64 in result.stdout
    xnnpack = next(line for line in result.stdout.splitlines() if line.startswith("xnnpack"))
    assert "BSD-3-Clause" in xnnpack
    assert xnnpack.endswith("git")
    assert "torchvision" not in result.stdout


def test_json_has_the_identity_of_every_source(calls):
    result = CliRunner().invoke(command, ["--json", "--feature", "vulkan"])
    printed = json.loads(result.stdout)
    sources = {source["name"]: source for source in printed["sources"]}
    assert len(sources["pytorch"]["commit"]) == 40
    assert sources["xnnpack"]["origin"] == "git"
    assert "vulkan-memory-allocator" not in sources
    (optional,) = printed["features"]["vulkan"]["sources"]
    assert optional["name"] == "vulkan-memory-allocator"
    assert printed["digest"] == "d" * 64
    assert all(patch["reason"] for patch in printed["patches"])


def test_options_reach_the_use_case(calls, tmp_path):
    CliRunner().invoke(command, ["--from", str(tmp_path), "--provider", "git", "--offline"])
    CliRunner().invoke(command, ["--check"])
    release = api.load_release()
    assert calls == [
        FetchRequest(
            pytorch=release, source_folder=tmp_path, provider=ProviderName.GIT, offline=True
        ),
        FetchRequest(pytorch=release, check=True),
    ]


@pytest.mark.parametrize("given", [("--from", "."), ("--provider", "git"), ("--offline",)])
def test_checking_fetches_nothing(calls, given):
    result = CliRunner().invoke(command, ["--check", *given])
    assert result.exit_code == 2
    assert "--check does not fetch anything" in result.output
    assert calls == []


def test_each_feature_is_fetched_once_after_pytorch(calls):
    features = ("--feature", "torchvision", "--feature", "pocketfft", "--feature", "torchvision")
    result = CliRunner().invoke(command, features)
    assert [call.features for call in calls] == [("torchvision", "pocketfft")]
    names = [line.split()[0] for line in result.stdout.splitlines()]
    assert names.index("pytorch") < names.index("torchvision") < names.index("pocketfft")
    assert names.count("path") == 3


def test_an_unknown_feature_lists_the_known_ones(monkeypatch, tmp_path):
    monkeypatch.setenv("BUILDER_CACHE", str(tmp_path))
    result = CliRunner().invoke(command, ["--feature", "nope"])
    assert isinstance(result.exception, ConfigurationError)
    assert "pocketfft, torchvision, vulkan" in result.exception.message


def test_an_unknown_abi_lists_the_known_ones():
    with pytest.raises(ConfigurationError, match="linux-aarch64, linux-armhf, linux-x86_64"):
        api.locate_target("linux-mips")
    assert str(api.locate_target("linux-x86_64")) == "linux-x86_64"


def test_sources_are_fetched_only_when_they_are_not_there(calls, monkeypatch, tmp_path):
    notes = []

    class Progress:
        note = staticmethod(notes.append)

    monkeypatch.setenv("BUILDER_CACHE", str(tmp_path))
    release = api.load_release()
    assert api.find_sources(release) is None
    assert api.locate_sources(release, progress=Progress()).version == "2.6.0"
    assert "the PyTorch sources are missing" in notes[0]
    assert len(calls) == 1


def test_what_a_feature_needs_is_fetched_with_a_word(calls, monkeypatch, tmp_path):
    notes = []

    class Progress:
        note = staticmethod(notes.append)

    monkeypatch.setenv("BUILDER_CACHE", str(tmp_path))
    api.locate_sources(api.load_release(), progress=Progress(), feature="torchvision")
    assert "torchvision sources are missing" in notes[0]
    assert [call.features for call in calls] == [("torchvision",)]
