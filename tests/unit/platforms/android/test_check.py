from __future__ import annotations

from dataclasses import replace

import pytest

from builder.errors import ConfigurationError, ExitCode, VerificationError
from builder.formats.elf import Segment
from builder.platforms.android import check as policing
from builder.platforms.android.check import check_binaries, check_libraries, guess_abi
from builder.platforms.android.libraries import BinaryFacts
from builder.verify.policy import Binary, Verdict, describe_findings, refuse_violations

NAME = "libpytorch_jni_lite.so"
LOADED = Segment(
    kind=1, flags=6, offset=0x4000, address=0x8000, size=10, memory=10, alignment=0x4000
)
STACK = Segment(kind=0x6474E551, flags=6, offset=0, address=0, size=0, memory=0, alignment=0)
RELRO = LOADED._replace(kind=0x6474E552)
# A LOAD segment of three pages whose sections are those that are made read-only, and data.
WRITABLE = LOADED._replace(memory=0xA000)
SOUND = BinaryFacts(
    bits=64,
    machine=183,
    segments=(LOADED, STACK, RELRO),
    tags=frozenset({4, 0x6FFFFEF5}),
    needed=("libc.so", "liblog.so"),
    soname=NAME,
    runpaths=(),
    bind_now=True,
    text_relocations=False,
    exports=("JNI_OnLoad",),
    undefined=("malloc",),
    sections=frozenset({".text"}),
    placed=((0x8000, 0x8008), (0x9000, 0x12000)),
    build_id=True,
    has_symbol_table=False,
    paths=("/proc/cpuinfo",),
)


@pytest.fixture
def check(monkeypatch):
    def call(facts, **options):
        monkeypatch.setattr(policing, "read_facts", lambda _: facts)
        binary = Binary(path=f"jni/arm64-v8a/{NAME}", abi="arm64-v8a", contents=b"")
        return check_binaries([binary], **{"min_api": 21, **options})

    return call


def test_what_nobody_can_know_is_said_and_fails_nothing(check):
    report = check(SOUND)
    (finding,) = report.findings
    assert (finding.rule, finding.verdict) == ("undefined", Verdict.UNCHECKED)
    assert report.violations == ()
    refuse_violations(report, "the AAR")


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("abi", {"machine": 62}),
        ("page-size", {"segments": (LOADED._replace(alignment=4096), *SOUND.segments[1:])}),
        ("page-size", {"segments": (LOADED._replace(offset=0x4001), *SOUND.segments[1:])}),
        ("page-size", {"segments": SOUND.segments[1:]}),
        ("needed", {"needed": ("libfbjni.so",)}),
        ("needed", {"needed": ("libvulkan.so",)}),
        ("exports", {"exports": ("JNI_OnLoad", "leak")}),
        ("exports", {"exports": ("JNI_OnLoad", "torchlite_load")}),
        ("exports", {"exports": ()}),
        ("loader", {"tags": frozenset({4, 36})}),
        ("loader", {"tags": frozenset({0x6FFFFEF5})}),
        ("loader", {"segments": (*SOUND.segments, LOADED._replace(kind=7))}),
        ("relro", {"segments": SOUND.segments[:2]}),
        ("relro", {"bind_now": False}),
        ("relro-place", {"segments": (WRITABLE, STACK, RELRO._replace(memory=0x1000))}),
        (
            "relro-place",
            {"segments": (WRITABLE, STACK, RELRO._replace(address=0xA000, memory=0x2000))},
        ),
        ("relro-place", {"segments": (*SOUND.segments, RELRO)}),
        ("relro-place", {"segments": (WRITABLE, STACK, RELRO._replace(address=0x1000))}),
        ("relro-place", {"segments": (WRITABLE, STACK, RELRO._replace(address=2**64 - 4096))}),
        ("no-exec-stack", {"segments": (LOADED, SOUND.segments[2])}),
        ("no-exec-stack", {"segments": (LOADED, SOUND.segments[2], STACK._replace(flags=7))}),
        ("no-exec-stack", {"segments": (*SOUND.segments, LOADED._replace(flags=7))}),
        ("text-relocations", {"text_relocations": True}),
        ("soname", {"soname": None}),
        ("soname", {"runpaths": ("/home",)}),
        ("build-id", {"build_id": False}),
        ("stripped", {"has_symbol_table": True}),
        ("stripped", {"sections": frozenset({".text", ".gnu_debugdata"})}),
        ("paths", {"paths": ("/proc/cpuinfo", "/root/pytorch/a.cpp")}),
    ],
)
def test_each_rule_finds_what_breaks_it(check, rule, changes):
    (finding,) = check(replace(SOUND, **changes)).violations
    assert finding.rule == rule
    assert finding.file == f"jni/arm64-v8a/{NAME}"
    assert "{" not in finding.wanted + finding.remedy
    assert finding.found
    assert finding.remedy


@pytest.mark.parametrize(
    ("place", "changes"),
    [
        ("the end is on a page", {"segments": (WRITABLE, STACK, RELRO._replace(memory=0x4000))}),
        (
            "it is a suffix that begins on a page",
            {"segments": (WRITABLE, STACK, RELRO._replace(address=0xC000, memory=0x6000))},
        ),
        (
            "it has all sections, and ends in the gap behind them",
            {
                "segments": (WRITABLE, STACK, RELRO._replace(memory=0xB000)),
                "placed": ((0x8000, 0x8008),),
            },
        ),
        (
            "devices of 32 bits have pages of 4 KB",
            {"segments": (WRITABLE, STACK, RELRO._replace(memory=0x1000)), "bits": 32},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_relro_may_lie_where_whole_pages_can_be_made_read_only(check, place, changes):
    report = check(replace(SOUND, **changes))
    assert report.violations == (), place
    assert "relro-place" not in {finding.rule for finding in report.unchecked}


_CUT = (WRITABLE, STACK, RELRO._replace(memory=0x1000))


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("no section headers", {"segments": _CUT, "placed": ()}),
        ("no section headers", {"segments": _CUT, "placed": ((0x100, 0x200),)}),
        ("is empty", {"segments": (*_CUT[:2], RELRO._replace(memory=0))}),
        ("not within one", {"segments": (*_CUT[:2], RELRO._replace(memory=2**63))}),
        (
            "not within one",
            {
                "segments": (
                    *(LOADED._replace(memory=0x1000), WRITABLE._replace(address=0xC000)),
                    *(STACK, RELRO._replace(memory=0x5000)),
                ),
            },
        ),
        ("not writable", {"segments": (LOADED._replace(flags=5), STACK, RELRO)}),
        ("not within one", {"segments": _CUT[1:]}),
    ],
)
def test_relro_whose_place_cannot_be_told_is_said_not_to_be_checked(check, reason, changes):
    report = check(replace(SOUND, **changes))
    assert "relro-place" not in {finding.rule for finding in report.violations}
    (finding,) = (one for one in report.unchecked if one.rule == "relro-place")
    assert reason in finding.found


def test_relro_is_held_against_the_page_size_that_is_wanted(check):
    facts = replace(SOUND, segments=(WRITABLE, STACK, RELRO._replace(memory=0x4000)))
    (finding,) = [f for f in check(facts, page_size=0x10000).violations if "relro" in f.rule]
    assert finding.found == "RELRO is not a suffix and its end, 0xc000, is not aligned to 65536"


def test_what_the_api_level_brings_is_allowed(check):
    facts = replace(SOUND, needed=("libvulkan.so",), tags=frozenset({36, 0x6FFFFEF5}))
    assert {finding.rule for finding in check(facts, min_api=29).violations} == {"loader"}
    assert check(facts, min_api=30).violations == ()


def test_the_c_api_may_be_exported_where_it_is_offered(check):
    facts = replace(SOUND, exports=("JNI_OnLoad", "torchlite_load"))
    assert check(facts, has_prefab=True).violations == ()


def test_symbols_that_cannot_be_read_are_said_not_to_be_checked(check):
    report = check(replace(SOUND, exports=None, undefined=None, sections=frozenset()))
    unchecked = {finding.rule for finding in report.unchecked}
    assert unchecked == {"exports", "undefined", "build-id"}


def test_what_is_no_library_or_of_no_abi_is_a_violation():
    report = check_binaries([Binary(path="a/b.so", abi="x86", contents=b"text")], min_api=21)
    (finding,) = report.violations
    assert finding.rule == "abi"
    assert "not a shared library" in finding.found
    assert guess_abi(b"text") == ""


def test_a_folder_of_no_abi_is_a_violation(monkeypatch):
    monkeypatch.setattr(policing, "read_facts", lambda _: SOUND)
    report = check_binaries([Binary(path="jni/mips/b.so", abi="mips", contents=b"")], min_api=21)
    assert [finding.found for finding in report.violations] == ["'mips' is not an ABI of Android"]


def test_no_library_is_no_success():
    with pytest.raises(ConfigurationError, match="contains no library"):
        check_binaries([], min_api=21)


def test_a_violation_fails_with_all_that_was_found(check):
    report = check(replace(SOUND, bind_now=False, soname=None))
    with pytest.raises(VerificationError) as caught:
        refuse_violations(report, "the AAR")
    assert caught.value.exit_code == ExitCode.VERIFICATION == 8
    message = caught.value.message
    assert message.startswith("the AAR breaks 2 rules")
    assert "relro violated: symbols bound when they are first used" in message
    assert "remedy: link with -Wl,-z,relro,-z,now" in message
    assert len(describe_findings(report.violations)) == 6


def test_a_huge_file_is_refused_before_it_is_read(tmp_path):
    library = tmp_path / "huge.so"
    with library.open("wb") as stream:
        stream.write(b"\x7fELF")
        stream.truncate(1 << 40)
    with pytest.raises(ConfigurationError, match="more than"):
        check_libraries(library)
