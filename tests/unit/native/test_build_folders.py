from __future__ import annotations

from samples import make_list, make_plan, make_release

from builder.core.plan import Flavour, Profile, VulkanPrecision
from builder.core.sources import SourceLock, SourcePatch
from builder.native.build_folders import Layout


def test_operator_lists_share_objects_and_nothing_else(tmp_path):
    one = Layout.of(tmp_path, make_plan())
    other = Layout.of(tmp_path, make_plan(operator_list=make_list("aten::tanh")))
    assert one.root == other.root
    assert (one.configured, one.limits) == (other.configured, other.limits)
    assert one.plan_folder != other.plan_folder
    assert one.logs != other.logs
    for folder in (one.configured, one.configured_marker, one.limits, one.plan_folder, one.logs):
        assert folder.is_relative_to(one.root)
    assert one.root.is_relative_to(tmp_path)


def test_flavours_share_the_configuration_but_no_objects(tmp_path):
    flavours = (Flavour(), Flavour(profile=Profile.SPEED), Flavour(strip_error_messages=True))
    layouts = [Layout.of(tmp_path, make_plan(flavour=flavour)) for flavour in flavours]
    assert len({layout.configured for layout in layouts}) == 1
    assert len({layout.objects for layout in layouts}) == 3
    assert len({layout.plan_folder for layout in layouts}) == 3


def test_another_precision_has_other_shaders_and_shares_nothing(tmp_path):
    half = make_plan(flavour=Flavour(vulkan_precision=VulkanPrecision.FP16))
    assert Layout.of(tmp_path, make_plan()).root != Layout.of(tmp_path, half).root


def test_another_configuration_shares_nothing(tmp_path):
    patch = SourcePatch(name="0001-a", text="--- a\n", reason="why")
    lock = SourceLock(version="2.6.0", pins=(), patches=(patch,))
    patched = make_release(lock=lock)
    one = Layout.of(tmp_path, make_plan())
    assert one.root != Layout.of(tmp_path, make_plan(release=patched)).root
