from __future__ import annotations

import dataclasses

import pytest
from samples import make_list

from builder.api.core_choice import choose_core, load_core_facts, refuse_other_facts
from builder.core.cores import Core, CoreChoice
from builder.core.model_facts import ModelOrigin, OperatorList
from builder.core.operators import OperatorSet
from builder.core.targets import parse_target
from builder.errors import ConfigurationError, ExitCode, ModelError, SourceError
from builder.sources.releases import load_release
from builder.sources.schemas import load_schemas

RELEASE = load_release()
LINUX = parse_target("linux-x86_64")
MOBILENET = make_list(
    "aten::adaptive_avg_pool2d",
    "aten::add.Tensor",
    "prepacked::conv2d_clamp_run",
    classes=("xnnpack.Conv2dOpContext",),
)
LACKING = make_list("aten::add.Tensor", "quantized::mul")


def choose(choice, wanted, *, target=LINUX, accelerators=()):
    return choose_core(choice, wanted, release=RELEASE, target=target, accelerators=accelerators)


def test_the_core_of_pytorch_is_not_asked_for_a_reason():
    assert choose(CoreChoice.UPSTREAM, LACKING) == (Core.UPSTREAM, "as asked")


def test_auto_takes_builders_own_core_where_it_has_everything():
    assert choose(CoreChoice.AUTO, MOBILENET)[0] is Core.OWN
    assert choose(CoreChoice.OWN, MOBILENET) == (Core.OWN, "as asked")


def test_auto_says_why_it_takes_the_core_of_pytorch():
    core, reason = choose(CoreChoice.AUTO, LACKING)
    assert core is Core.UPSTREAM
    assert "quantized::mul is registered by hand" in reason


def test_a_core_that_lacks_an_operator_is_refused_by_its_name():
    with pytest.raises(ModelError, match=r"quantized::mul is registered by hand") as caught:
        choose(CoreChoice.OWN, LACKING)
    assert caught.value.exit_code is ExitCode.MODEL
    assert "core=upstream" in str(caught.value.hint)


def with_model(**facts) -> OperatorList:
    origin = ModelOrigin("m.ptl", "a" * 64, 8, **facts)
    operators = OperatorSet.of(MOBILENET.operators, source="m.ptl")
    return dataclasses.replace(MOBILENET, operators=operators, models=(origin,))


def test_a_flatbuffer_is_refused_by_its_name():
    with pytest.raises(ModelError, match=r"m\.ptl is a flatbuffer"):
        choose(CoreChoice.OWN, with_model(is_flatbuffer=True))


def test_an_operator_that_needs_an_upgrader_is_refused():
    listed = OperatorSet.of(make_list("aten::div.Tensor").operators, source="m.ptl")
    old = dataclasses.replace(with_model(operator_version=3), operators=listed)
    with pytest.raises(ModelError, match=r"aten::div\.Tensor of m\.ptl, of version 3, needs an"):
        choose(CoreChoice.OWN, old)
    new = dataclasses.replace(with_model(operator_version=4), operators=listed)
    assert choose(CoreChoice.OWN, new)[0] is Core.OWN


@pytest.mark.parametrize("abi", ["arm64-v8a", "armeabi-v7a", "linux-aarch64"])
def test_it_serves_android_as_it_does_linux(abi):
    assert choose(CoreChoice.OWN, MOBILENET, target=parse_target(abi))[0] is Core.OWN


@pytest.mark.parametrize("abi", ["ios-arm64", "ios-simulator-arm64"])
def test_apples_platforms_are_refused(abi):
    with pytest.raises(ModelError, match=f"no packages for {abi}"):
        choose(CoreChoice.OWN, MOBILENET, target=parse_target(abi))
    assert choose(CoreChoice.AUTO, MOBILENET, target=parse_target(abi))[0] is Core.UPSTREAM


def test_an_accelerator_is_refused_by_its_name():
    with pytest.raises(ModelError, match="no tensors for Vulkan"):
        choose(CoreChoice.OWN, MOBILENET, accelerators=[RELEASE.backends["vulkan"]])


def test_the_lists_of_the_release_are_compared_with_the_sources():
    facts = load_core_facts(RELEASE)
    declared = set(load_schemas()) - facts.by_hand
    refuse_other_facts(RELEASE, declared, facts.upgraded)
    with pytest.raises(SourceError, match=r"aten::add\.Tensor"):
        refuse_other_facts(RELEASE, declared - {"aten::add.Tensor"}, facts.upgraded)
    with pytest.raises(SourceError, match="does not fit"):
        refuse_other_facts(RELEASE, declared, {**facts.upgraded, "aten::gelu": 3})


def test_a_release_without_the_lists_is_an_error_that_names_the_file(tmp_path):
    with pytest.raises(ConfigurationError, match=r"own_core\.toml cannot be read"):
        load_core_facts(dataclasses.replace(RELEASE, folder=tmp_path))
