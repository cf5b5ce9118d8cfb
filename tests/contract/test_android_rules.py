"""The rules for Android on libraries that clang and lld link for it, as they should be and not."""

from __future__ import annotations

import random
import re
import struct
import subprocess

import pytest
from android_libraries import NAME, SOUND, SOURCE, TRIPLES, link, make_stubs, stub

from builder.formats.elf import DAMAGE, Elf
from builder.platforms.android.check import check_binaries, guess_abi
from builder.platforms.android.libraries import GNU_RELRO, read_facts
from builder.verify.policy import Binary

pytestmark = pytest.mark.host
ABIS = sorted(TRIPLES)


@pytest.fixture(scope="module")
def ndk(tmp_path_factory):
    return make_stubs(tmp_path_factory.mktemp("ndk"))


@pytest.fixture(scope="module")
def sound(ndk, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound")
    return {abi: link(folder / abi / NAME, abi, *SOUND, needed=(stub(ndk, abi),)) for abi in ABIS}


def check(path, abi, **options):
    binary = Binary(path=f"jni/{abi}/{path.name}", abi=abi, contents=path.read_bytes())
    return check_binaries([binary], **{"min_api": 21, **options})


def broken(report):
    return [finding.rule for finding in report.violations]


@pytest.mark.parametrize("abi", ABIS)
def test_a_sound_library_keeps_every_rule(sound, ndk, abi):
    report = check(sound[abi], abi, ndk=ndk)
    assert report.findings == ()
    assert guess_abi(sound[abi].read_bytes()) == abi


@pytest.mark.parametrize("abi", ABIS)
def test_facts_are_those_that_readelf_tells(sound, abi):
    told = subprocess.run(
        ("readelf", "-W", "-l", "-d", "-S", "-n", "--dyn-syms", str(sound[abi])),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    facts, elf = read_facts(sound[abi].read_bytes()), Elf(sound[abi].read_bytes())
    assert list(facts.needed) == re.findall(r"\(NEEDED\).*\[(.*)\]", told) == ["libc.so"]
    assert [facts.soname] == re.findall(r"\(SONAME\).*\[(.*)\]", told)
    loads = re.findall(r"^ +LOAD .* (0x\w+)$", told, re.MULTILINE)
    assert [load.alignment for load in facts.loads] == [int(size, 16) for size in loads]
    shown = re.findall(r"^ +LOAD +\w+ (\w+) \w+ \w+ (\w+)", told, re.MULTILINE)
    assert [(f"{load.address:x}", f"{load.memory:x}") for load in facts.loads] == [
        tuple(number.removeprefix("0x").lstrip("0") or "0" for number in pair) for pair in shown
    ]
    assert len(loads) >= 3
    symbols = re.findall(r"GLOBAL +DEFAULT +(\w+) +(\w+)", told)
    assert set(facts.exports) == {name for place, name in symbols if place != "UND"}
    assert set(facts.undefined) == {name for place, name in symbols if place == "UND"} == {"malloc"}
    names = re.findall(r"^ +\[ *\d+\] (\.\S+) +\S+ +[0-9a-f]{8,16} ", told, re.MULTILINE)
    assert [section.name for section in elf.sections if section.name] == names
    assert facts.build_id is ("Build ID:" in told) is True
    assert facts.bind_now is ("BIND_NOW" in told) is True


@pytest.mark.parametrize(
    ("rule", "options"),
    [
        ("page-size", ("-Wl,-z,max-page-size=4096",)),
        ("relro", ("-Wl,-z,norelro",)),
        ("relro", ("-Wl,-z,lazy",)),
        ("no-exec-stack", ("-Wl,-z,execstack",)),
        ("soname", ("-Wl,-soname,libother.so",)),
        ("soname", ("-Wl,-rpath,$ORIGIN",)),
        ("build-id", ("-Wl,--build-id=none",)),
        ("loader", ("-Wl,--hash-style=gnu",)),
        ("loader", ("-Wl,--pack-dyn-relocs=relr",)),
        ("loader", ("-Wl,--pack-dyn-relocs=android",)),
    ],
)
@pytest.mark.parametrize("abi", ["arm64-v8a", "x86_64"])
def test_an_option_of_the_linker_breaks_one_rule(ndk, tmp_path, abi, rule, options):
    many = "".join(f"__attribute__((used)) static int *p{i} = &value;\n" for i in range(64))
    library = link(
        tmp_path / NAME, abi, *SOUND, *options, source=SOURCE + many, needed=(stub(ndk, abi),)
    )
    assert set(broken(check(library, abi, ndk=ndk))) == {rule}


@pytest.mark.parametrize("abi", ABIS)
def test_pages_of_4_kb_are_a_violation_where_there_are_64_bits(ndk, tmp_path, abi):
    small = "-Wl,-z,max-page-size=4096"
    library = link(tmp_path / NAME, abi, *SOUND, small, needed=(stub(ndk, abi),))
    assert broken(check(library, abi)) == (["page-size"] if "64" in abi else [])
    assert broken(check(library, abi, page_size=4096)) == []


@pytest.mark.parametrize("abi", ABIS)
def test_pages_of_16_kb_are_not_enough_when_more_are_wanted(sound, abi):
    report = check(sound[abi], abi, page_size=65536)
    assert broken(report) == (["page-size"] if "64" in abi else [])
    assert [finding.found for finding in report.violations] == (
        ["LOAD segments aligned to 16384 bytes"] if "64" in abi else []
    )


@pytest.mark.parametrize("abi", ABIS)
def test_relro_that_ends_within_its_segment(sound, tmp_path, abi):
    """lld makes no such library; this is one whose GNU_RELRO has 8 bytes."""
    contents = bytearray(sound[abi].read_bytes())
    elf, wide = Elf(bytes(contents)), "64" in abi
    number = [segment.kind for segment in elf.segments].index(GNU_RELRO)
    start, size, place = (64, 56, 40) if wide else (52, 32, 20)  # of headers, and of p_memsz
    where, word = start + number * size + place, "<Q" if wide else "<I"
    (memory,) = struct.unpack_from(word, contents, where)
    assert memory == elf.segments[number].memory
    struct.pack_into(word, contents, where, 8)
    cut = tmp_path / NAME
    cut.write_bytes(contents)
    assert broken(check(cut, abi)) == (["relro-place"] if wide else [])


def test_relocations_in_code(ndk, tmp_path):
    source = SOURCE + '__asm__(".text; .quad pointer");'
    library = link(
        tmp_path / NAME,
        "x86_64",
        *SOUND,
        "-Wl,-z,notext",
        source=source,
        needed=(stub(ndk, "x86_64"),),
    )
    assert broken(check(library, "x86_64")) == ["text-relocations"]


def test_symbols_and_debug_information(ndk, tmp_path):
    options = tuple(option for option in SOUND if option != "-Wl,-s")
    library = link(tmp_path / NAME, "arm64-v8a", *options, "-g", needed=(stub(ndk, "arm64-v8a"),))
    found = {f.found for f in check(library, "arm64-v8a").violations if f.rule == "stripped"}
    assert "a symbol table" in found
    assert any(".debug_info" in text for text in found)


def test_thread_local_variables_need_a_new_loader(ndk, tmp_path):
    source = SOURCE + "_Thread_local int own; int *of(void) { return &own; }\n"
    source += '__attribute__((visibility("default"))) int *JNI_OnUnload(void) { return of(); }'
    library = link(
        tmp_path / NAME,
        "arm64-v8a",
        *SOUND,
        "-fno-emulated-tls",
        source=source,
        needed=(stub(ndk, "arm64-v8a"),),
    )
    assert broken(check(library, "arm64-v8a")) == ["exports", "loader"]
    assert broken(check(library, "arm64-v8a", min_api=29)) == ["exports"]


def test_symbols_are_looked_for_in_what_is_needed(ndk, tmp_path):
    source = SOURCE.replace("malloc", "reallocarray")
    library = link(tmp_path / NAME, "arm64-v8a", *SOUND, source=source)
    (finding,) = check(library, "arm64-v8a", ndk=ndk).violations
    assert finding.rule == "undefined"
    assert "reallocarray" in finding.found
    (unchecked,) = check(library, "arm64-v8a", ndk=ndk, min_api=22).findings
    assert unchecked.found.endswith("has no stub libraries aarch64-linux-android/22")
    (unchecked,) = check(library, "arm64-v8a").findings
    assert (unchecked.rule, str(unchecked.verdict)) == ("undefined", "not checked")


def test_a_library_that_lies_beside_may_be_needed(ndk, tmp_path):
    other = link(
        tmp_path / "libother.so",
        "x86",
        *SOUND,
        "-Wl,-soname,libother.so",
        source='__attribute__((visibility("default"))) int other(void) { return 1; }',
    )
    source = "int other(void);" + SOURCE.replace("malloc(1) != 0", "malloc(other()) != 0")
    library = link(tmp_path / NAME, "x86", *SOUND, source=source, needed=(stub(ndk, "x86"), other))
    (finding,) = check(library, "x86").violations
    assert finding.found == "libother.so, which is not a public system library"
    pair = [
        Binary(path=f"jni/x86/{path.name}", abi="x86", contents=path.read_bytes())
        for path in (library, other)
    ]
    assert check_binaries(pair, min_api=21, ndk=ndk).findings == ()


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/home/me/src/module.cpp", True),
        ("from /tmp/build-1/a.h: no", True),
        ("C:\\\\src\\\\module.cpp", True),
        ("/proc/self/maps", False),
        ("/sys/devices/system/cpu/possible", False),
        ("/buildbot/src/android/ndk-release-r25/libcxxabi/abort.cpp", False),
        ("aten/src/ATen/native/Add.cpp", False),
        ("https://pytorch.org/docs/stable", False),
        ("and/or", False),
        ("/code", False),
    ],
)
def test_paths_of_the_building_machine_are_told_from_those_of_devices(ndk, tmp_path, path, found):
    source = f'{SOURCE}__attribute__((used)) static const char where[] = "{path}";'
    library = link(tmp_path / NAME, "x86", *SOUND, source=source, needed=(stub(ndk, "x86"),))
    assert broken(check(library, "x86")) == (["paths"] if found else [])


def test_another_processor_than_that_of_the_folder(sound):
    assert "abi" in broken(check(sound["x86"], "arm64-v8a"))


@pytest.mark.parametrize("abi", ABIS)
def test_a_damaged_library_is_told_or_read_but_never_more(sound, abi):
    contents = sound[abi].read_bytes()
    chance = random.Random(abi)
    for _ in range(300):
        damaged = bytearray(contents)
        for _ in range(chance.randrange(1, 8)):
            damaged[chance.randrange(min(len(damaged), 2048))] = chance.randrange(256)
        cut = (
            bytes(damaged[: chance.randrange(len(damaged))])
            if chance.random() < 0.3
            else bytes(damaged)
        )
        binary = Binary(path=f"jni/{abi}/{NAME}", abi=abi, contents=cut)
        check_binaries([binary], min_api=21)
    with pytest.raises(DAMAGE):
        Elf(contents[:40]).sections  # noqa: B018 - reading is the test
