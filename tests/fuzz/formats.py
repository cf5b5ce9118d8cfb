"""The foreign formats: seeds, what mutates them, and the readers that have to stand it.

A reader is called as the command line calls it wherever that is possible. It may return, or refuse
with a BuilderError; the pure readers of `builder.core` refuse with ValueError, which the stages
turn into one.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import lzma
import os
import plistlib
import random
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from machos import ARM64, SIMULATOR, X86_64, make_archive, make_object
from pt2_files import make_features, make_old
from samples import make_manifest, make_plan, make_reference_graph, make_toolchain

from builder import api
from builder.core.artifacts import OperatorPrice, SizeReport
from builder.core.build_lock import lock_plan, make_lock
from builder.core.input_descriptions import parse_specs
from builder.core.model_facts import ModelFormat, ModelOrigin, OperatorList
from builder.core.nesting import parse_input
from builder.core.operator_schemas import Schemas
from builder.core.operators import Operator, OperatorSet
from builder.core.plan import BuildRequest
from builder.core.runtime_manifest import ManifestFile, render_json
from builder.core.toolchain import ToolchainOptions
from builder.core.typed import to_json
from builder.errors import BuilderError, ConfigurationError
from builder.export.request import Optimisation, Saving
from builder.export.rewrite_models import rewrite
from builder.formats.macho import join_architectures, read_macho, read_members, split_architectures
from builder.formats.macho_objects import read_pointers
from builder.formats.tbd import parse_stub, render_stub
from builder.formats.unwind_info import parse_unwind_info
from builder.graph.lift import lift_program
from builder.graph.lower import lower_program
from builder.graph.text import draw_graphs, list_graph, render_graph
from builder.graph.well_formed import check_program
from builder.lite.bytecode import parse_bytecode
from builder.lite.effort import Effort
from builder.lite.model import LiteModel
from builder.lite.objects import Tensor
from builder.lite.pickles import parse_pickle
from builder.lite.read import read_lite
from builder.lite.write import write_lite
from builder.models.read import read_model
from builder.oplists.read import read_op_list
from builder.oplists.write import render_op_list
from builder.packaging.runtime_folder import REFERENCES, SIZE_REPORT, render_size_report
from builder.platforms.android.aar import read_aar_manifest
from builder.platforms.android.check import check_libraries
from builder.platforms.android.manifest import AarManifest, LibraryEntry
from builder.platforms.apple.check import check_slices
from builder.platforms.apple.manifest import SliceEntry, XcframeworkManifest
from builder.platforms.apple.xcframework import find_manifest, read_binaries
from builder.pt2.read import read_program
from builder.size.reference_graph import render_references
from builder.system.archives import extract_archive
from builder.system.reference_cases import read_reference
from builder.system.reference_headers import find_input_dtypes, reference_path
from builder.verify.runner import parse_missing_operators, parse_run_result
from builder.verify.runtime import locate_runtime
from tests.fuzz.elves import make_elf
from tests.fuzz.mutators import (
    aar,
    archives,
    elf,
    input_specs,
    lite_flatbuffer,
    lite_zip,
    macho,
    manifests,
    operator_lists,
    pickles,
    property_lists,
    pt2,
    raw,
    reference_cases,
    runner_output,
    sizes,
    tbd,
    torchscript,
    unwinding,
    zips,
)

MODELS = Path(__file__).parents[1] / "data/models"
PROGRAMS = Path(__file__).parents[1] / "data/pt2"
LINKED = Path(__file__).parents[1] / "data/linked/lib.so"
_SCHEMAS = Schemas((Path(__file__).parents[2] / "third_party/2.6.0/schemas.txt").read_text())
_GROWTH = 40
"""How many times as large as a file builder may make it: packed records are unpacked."""
_LONGEST = 1 << 20
"""Bytes of a file that is mutated once more."""
Reader = Callable[[bytes, Path], object]


@dataclass(frozen=True, kw_only=True)
class Format:
    """A foreign format."""

    mutator: ModuleType
    """One of `tests.fuzz.mutators`."""
    seeds: Callable[[], tuple[bytes, ...]]
    """Files that are fine."""
    read: Reader
    """Takes a file and an empty folder to work in."""
    refusals: tuple[type[BaseException], ...] = (BuilderError,)
    """How the reader may refuse."""
    rounds: tuple[int, ...] = (1, 1, 1, 2, 3)
    """How often one file is mutated."""

    def mutate(self, rng: random.Random) -> bytes:
        """Returns a mutated file."""
        data = rng.choice(self.seeds())
        for _ in range(rng.choice(self.rounds)):
            if len(data) > _LONGEST:
                break
            try:
                data = self.mutator.mutate(data, rng)
            except Exception:  # noqa: BLE001 - mutators take apart what mutations left
                data = raw.mutate(data, rng)
        return data


def _read_models(pattern: str) -> Callable[[], tuple[bytes, ...]]:
    return lambda: tuple(path.read_bytes() for path in sorted(MODELS.glob(pattern)))


def _zip_models() -> tuple[bytes, ...]:
    every = _read_models("*.ptl")()
    return tuple(data for data in every if data.startswith(b"PK"))


def _pickle_seeds() -> tuple[bytes, ...]:
    entries = (entry for data in _zip_models() for entry in zips.unpack(data))
    return tuple(entry.content for entry in entries if entry.name.endswith(b".pkl"))


def _write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def _read_model(data: bytes, folder: Path) -> None:
    path = _write(folder, "model.ptl", data)
    assert read_model(path).methods
    model = read_lite(path)
    for kind in ModelFormat.LITE_ZIP, ModelFormat.LITE_FLATBUFFER:
        _write_again(model, folder / f"{kind}.ptl", kind, _GROWTH * (len(data) + _LONGEST))
    _lift_and_lower(path)


def _lift_and_lower(path: Path) -> None:
    program = api.read_graphs(path)
    check_program(program)
    draw_graphs(program.graphs.values())
    for graph in program.graphs.values():
        assert render_graph(graph)
        list_graph(graph)
    lowered = lower_program(program, _SCHEMAS)
    check_program(lift_program(lowered, _SCHEMAS))
    rewrite(program, Optimisation(), Saving(), _SCHEMAS)


def _write_again(model: LiteModel, path: Path, kind: ModelFormat, most: int) -> None:
    try:
        write_lite(model, path, kind=kind)
    except BuilderError:
        return
    assert path.stat().st_size < most
    try:
        read_lite(path)
    except BuilderError as error:
        raise AssertionError(f"{kind} that builder wrote: {error}") from error


def _pt2_seeds() -> tuple[bytes, ...]:
    files = [path.read_bytes() for path in sorted(PROGRAMS.glob("*.pt2"))]
    return (*files, make_features().data(), make_old())


def _read_pt2(data: bytes, folder: Path) -> None:
    exported = read_program(_write(folder, "model.pt2", data), _SCHEMAS)
    sizes = {symbol.name: symbol.value or 1 for symbol in exported.symbols}
    for one in exported.inputs:
        with contextlib.suppress(ConfigurationError):
            one.spec(sizes)
    lower_program(exported.program, _SCHEMAS)
    (graph,) = exported.program.graphs.values()
    for node in graph.block.nodes:
        value = node.attributes.get("value")
        if isinstance(value, Tensor):
            value.storage.read()
    rewrite(exported.program, Optimisation(), Saving(), _SCHEMAS)


def _read_pickle(data: bytes, folder: Path) -> None:
    effort = Effort.of(len(data))
    parse_bytecode(parse_pickle(data, record="bytecode.pkl", effort=effort), effort)


def _aar_seeds() -> tuple[bytes, ...]:
    library = make_elf()
    contents = {
        "AndroidManifest.xml": b'<manifest xmlns:android="http://schemas.android.com/apk/res/android">'
        b'<uses-sdk android:minSdkVersion="21"/></manifest>',
        "classes.jar": zips.pack([zips.Entry(b"A.class", b"\xca\xfe\xba\xbe")]),
        "jni/arm64-v8a/libpytorch_jni_lite.so": library,
        "jni/x86_64/libother.so": make_elf(machine=62),
    }
    manifest = AarManifest(
        group="org.pytorch",
        artifact="pytorch_android_lite",
        version="2.6.0-1",
        min_api=21,
        pins={"pytorch": "c" * 40},
        libraries={
            "arm64-v8a": LibraryEntry(
                path="jni/arm64-v8a/libpytorch_jni_lite.so",
                page_size=16384,
                flags=(),
                runtime=make_manifest(abi="android-arm64"),
            )
        },
        files={
            name: ManifestFile(size=len(one), sha256=hashlib.sha256(one).hexdigest())
            for name, one in contents.items()
        },
    )
    named = {**contents, "torchlite/manifest.json": manifest.to_text().encode()}
    entries = [zips.Entry(name.encode(), content) for name, content in named.items()]
    return zips.pack(entries), zips.pack(entries[:-1])


def _read_aar(data: bytes, folder: Path) -> None:
    path = _write(folder, "a.aar", data)
    faults: list[BuilderError] = []
    for reader in (check_libraries, api.measure_aar, read_aar_manifest):
        try:
            reader(path)
        except BuilderError as error:
            faults.append(error)
    if len(faults) == 3:
        raise faults[0]


def _read_elf(data: bytes, folder: Path) -> None:
    check_libraries(_write(folder, "libpytorch_jni_lite.so", data))


def _read_linked_elf(data: bytes, folder: Path) -> None:
    reasons = api.read_reasons(_write(folder, "lib.so", data))
    reasons.list_retained(5)
    reasons.cut(".")
    reasons.explain("", 3)


def _macho_seeds() -> tuple[bytes, ...]:
    section = (("__TEXT", "__text", 0x80000400, b"\xc0\x03\x5f\xd6" * 8),)
    linked = make_object(
        sections=section,
        undefined=("_malloc",),
        optional=("_maybe",),
        defined=(("_local", 1, 4),),
        relocations={"__text": b"\4\0\0\0\0\0\0\x0c\0\0\0\0\1\0\0\x06"},
    )
    library = make_archive(a_o=make_object(), b_o=linked)
    intel = make_archive(c_o=make_object(cpu=X86_64, platform=SIMULATOR))
    return library, join_architectures({"arm64": library, "x86_64": intel})


def _write_xcframework(folder: Path, library: bytes, info: bytes | None = None) -> Path:
    root = folder / "X.xcframework"
    (root / "ios-arm64").mkdir(parents=True, exist_ok=True)
    (root / "ios-arm64/libX.a").write_bytes(library)
    (root / "Info.plist").write_bytes(_info() if info is None else info)
    return root


def _info(**changes: object) -> bytes:
    entry = {
        "LibraryIdentifier": "ios-arm64",
        "LibraryPath": "libX.a",
        "SupportedArchitectures": ["arm64"],
        "SupportedPlatform": "ios",
        **changes,
    }
    return plistlib.dumps({"AvailableLibraries": [entry], "XCFrameworkFormatVersion": "1.0"})


def _read_macho(data: bytes, folder: Path) -> None:
    check_slices(read_binaries(_write_xcframework(folder, data)), {})
    libraries = split_architectures(data) or {"": data}
    for member in (member for library in libraries.values() for member in read_members(library)):
        file = read_macho(member.contents)
        for section in file.sections:
            list(read_pointers(file, section))


def _read_plist(data: bytes, folder: Path) -> None:
    root = _write_xcframework(folder, make_archive(a_o=make_object(cpu=ARM64)), data)
    check_slices(read_binaries(root), {})


def _plist_seeds() -> tuple[bytes, ...]:
    both = _info(SupportedPlatformVariant="simulator", SupportedArchitectures=["arm64", "x86_64"])
    binary = plistlib.dumps(plistlib.loads(_info()), fmt=plistlib.FMT_BINARY)
    return _info(), both, binary


def _tbd_seeds() -> tuple[bytes, ...]:
    stub = render_stub("/usr/lib/libX.dylib", ["_a", "_b", "$ld$hide$os1.0$_c"], ["arm64-ios"])
    objective = stub.replace("...\n", "    objc-classes:    [ A, B ]\n...\n")
    listed = {"data": {"global": ["_a"], "objc_class": ["A"]}, "text": {"weak": ["_b"]}}
    library = {"target_info": [{"target": "arm64-ios"}], "exported_symbols": [listed]}
    five = {"main_library": library, "libraries": [library], "tapi_tbd_version": 5}
    return stub.encode(), objective.encode(), (stub + stub).encode(), json.dumps(five).encode()


def _unwind_seed() -> tuple[bytes, ...]:
    words = [1, 28, 0, 28, 0, 28, 2]
    index = [0x100, 60, 52, 0x200, 0, 60]
    page = [2, 8 | 2 << 16, 0x100, 0x04000000, 0x180, 0x04000001]
    table = [0x100, 0x300]
    data = b"".join(one.to_bytes(4, "little") for one in [*words, *index, *table, *page])
    return (data,)


def _manifest_seeds() -> tuple[bytes, ...]:
    runtime = make_manifest(files={"lib/a.so": ManifestFile(size=3, sha256="a" * 64)})
    entry = SliceEntry(
        path="ios-arm64/libX.a",
        arch="arm64",
        min_os=150000,
        flags=(),
        linked=10,
        compressed=5,
        runtime=make_manifest(abi="ios-arm64"),
    )
    framework = XcframeworkManifest(
        version="2.6.0.1", pins={}, slices={"ios-arm64": entry}, files=runtime.files
    )
    return runtime.to_text().encode(), framework.to_text().encode()


def _read_manifests(data: bytes, folder: Path) -> None:
    (folder / "torchlite").mkdir(exist_ok=True)
    _write(folder, "torchlite/manifest.json", data)
    _write(folder, "manifest.json", data)
    try:
        find_manifest(folder)
    except BuilderError:
        locate_runtime(folder, host_abi="linux-x86_64", to_run=False)


def _size_seeds() -> tuple[bytes, ...]:
    price = OperatorPrice(exclusive=3, inclusive=1003, models=("m.ptl",))
    report = SizeReport(
        file=60_000,
        compressed=20_000,
        sections={".text": 40_000},
        parts={"core": 40_000},
        units={"torch/a.cpp": 40_000},
        operators={"aten::add.Tensor": price, "aten::mul": price},
    )
    references = render_references(make_reference_graph())
    return (sizes.join(render_size_report(report).encode(), references),)


def _read_sizes(data: bytes, folder: Path) -> None:
    report, references = sizes.split(data)
    (folder / SIZE_REPORT).parent.mkdir(parents=True, exist_ok=True)
    _write(folder, SIZE_REPORT, report)
    _write(folder, REFERENCES, references)
    _write(folder, "manifest.json", make_manifest().to_text().encode())
    measured = api.size(folder)
    api.price_set(measured, ["aten::add"])
    assert api.render_size_page(measured)


def _list_seeds() -> tuple[bytes, ...]:
    names = map(Operator.parse, ("aten::add.Tensor", "aten::relu", "quantized::linear"))
    listed = OperatorList(
        operators=OperatorSet.of(names, source="m.ptl"),
        custom_classes=("quantized.LinearPackedParamsBase",),
        bytecode_versions=(8,),
        models=(ModelOrigin("m.ptl", "a" * 64, 8),),
    )
    counted = b"root_operators:\n  aten::add.Tensor: 3\n  aten::relu: 1\n"
    return render_op_list(listed).encode(), counted, b"- aten::add.Tensor\n- aten::relu  # x\n"


def _read_list(data: bytes, folder: Path) -> None:
    try:
        read_op_list(_write(folder, "ops.yaml", data))
    except BuilderError:
        read_op_list(_write(folder, "ops.txt", data))


def _reference_seeds() -> tuple[bytes, ...]:
    tensors = {
        "input.0": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "input.1": {"dtype": "I64", "shape": [], "data_offsets": [24, 32]},
        "output.0": {"dtype": "F16", "shape": [4], "data_offsets": [32, 40]},
    }
    told = {"format": "1", "model_sha256": "a" * 64, "torch_version": "2.6.0"}
    nested = {**told, "structure": "[{'a': float32[2,3]}, 1]"}
    headers = (json.dumps({"__metadata__": one, **tensors}).encode() for one in (told, nested))
    return tuple(len(one).to_bytes(8, "little") + one + bytes(40) for one in headers)


def _read_reference(data: bytes, folder: Path) -> None:
    model = folder / "m.ptl"
    reference_path(model).write_bytes(data)
    find_input_dtypes(model, "a" * 64)
    read_reference(reference_path(model))


def _archive_seeds() -> tuple[bytes, ...]:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, content in (("p-1/dir/a.h", b"a"), ("p-1/b.cpp", b"b" * 600)):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("p-1/link")
        link.type, link.linkname = tarfile.SYMTYPE, "dir/a.h"
        archive.addfile(link)
    plain = stream.getvalue()
    wheel = zips.pack([zips.Entry(b"p/a.py", b"x = 1"), zips.Entry(b"p/b.so", b"b" * 600, 8)])
    return plain, gzip.compress(plain, mtime=0), lzma.compress(plain, preset=0), wheel


def _read_archive(data: bytes, folder: Path) -> None:
    inside, beside = folder / "inside", folder / "beside"
    shutil.rmtree(inside, ignore_errors=True)
    beside.mkdir(exist_ok=True)
    name = "a.whl" if data.startswith(b"PK") else "a.tar"
    try:
        extract_archive(_write(beside, name, data), inside / "out", strip=0)
    finally:
        there = {path.name for path in (*folder.iterdir(), *inside.iterdir(), *beside.iterdir())}
        assert there <= {"inside", "beside", "out", "a.whl", "a.tar"}, there
        for path in inside.rglob("*"):
            if path.is_symlink():
                assert Path(os.path.realpath(path)).is_relative_to(inside / "out")
            else:
                assert path.is_dir() or path.is_file()


def _output_seeds() -> tuple[bytes, ...]:
    outputs = [
        {"dtype": "float32", "file": "output.0.bin", "shape": [2, 3]},
        {"dtype": "int64", "file": "output.1.bin", "shape": []},
    ]
    line = json.dumps({"outputs": outputs, "seconds": 0.01}).encode()
    return b"a warning\n" + line + b"\n", line


def _read_output(data: bytes, folder: Path) -> None:
    _write(folder, "output.0.bin", bytes(24))
    _write(folder, "output.1.bin", bytes(8))
    text = data.decode("utf-8", "replace")
    parse_missing_operators(text)
    parse_run_result(text, folder=folder)


def _spec_seeds() -> tuple[bytes, ...]:
    texts = ("float32[1,3,224,224]", "int64", "1,3,224,224", "scalar", "True", "-0.5",
             '{"ids": int64[1,8], "scale": 0.5}', "[(float32[2,3], 1), float32[]]")  # fmt: skip
    return tuple(text.encode() for text in texts)


def _read_spec(data: bytes, folder: Path) -> None:
    text = data.decode("utf-8", "replace")
    try:
        str(parse_input(text))
    except BuilderError:
        parse_specs([text], [])


_CONFIGURATION = b"""\
targets: {abis: [arm64-v8a, linux-x86_64], min_api: 24}
profile: speed
dtypes: [float32, int64]
output: out
budgets: {max_size: [2.5MB, arm64-v8a=2MB], max_compressed: [1MB]}
android: {group: com.example, version: "1.4", prefab: true}
accelerators: [metal]
tools: {launcher: none}
exports:
  - {source: mobilenet_v2, output: a.ptl, inputs: ["float32[1,3,8,8]"]}
products:
  one: {inputs: [a.ptl], budgets: {max_size: [1KB]}}
  two: {ops_lists: [mobilenet_v2], profile: debug, output: other}
"""


def _read_configuration(data: bytes, folder: Path) -> None:
    configuration = api.read_configuration(_write(folder, "builder.yaml", data))
    for product in configuration.products:
        # A model that is not there is refused here, after the file has been read.
        with contextlib.suppress(BuilderError):
            configuration.make_settings(product, {})


def _lock_seeds() -> tuple[bytes, ...]:
    tools = make_toolchain().versions
    made = lock_plan(make_plan(), tools, {"c": "0" * 16}, chosen=ToolchainOptions())
    lock = make_lock({"": made, "two": made}, builder="1", machine="linux-x86_64")
    return (render_json(to_json(lock)).encode(),)


def _read_lock(data: bytes, folder: Path) -> None:
    path = _write(folder, "builder.lock", data)
    lock = api.read_lock(path)
    plan = make_plan()
    for name in lock.products:
        with contextlib.suppress(BuilderError):
            api.refuse_other_plans([plan], BuildRequest(), api.choose_locked(path, lock, name))


_PURE = (BuilderError, ValueError)
FORMATS = {
    "aar": Format(mutator=aar, seeds=_aar_seeds, read=_read_aar),
    "archive": Format(mutator=archives, seeds=_archive_seeds, read=_read_archive),
    "configuration": Format(
        mutator=operator_lists, seeds=lambda: (_CONFIGURATION,), read=_read_configuration
    ),
    "elf": Format(mutator=elf, seeds=lambda: (make_elf(),), read=_read_elf),
    "elf_linked": Format(mutator=elf, seeds=lambda: (LINKED.read_bytes(),), read=_read_linked_elf),
    "flatbuffer": Format(
        mutator=lite_flatbuffer, seeds=_read_models("*_flatbuffer.ptl"), read=_read_model
    ),
    "input": Format(mutator=input_specs, seeds=_spec_seeds, read=_read_spec),
    "lock": Format(mutator=manifests, seeds=_lock_seeds, read=_read_lock),
    "macho": Format(mutator=macho, seeds=_macho_seeds, read=_read_macho, refusals=_PURE),
    "manifest": Format(mutator=manifests, seeds=_manifest_seeds, read=_read_manifests),
    "operators": Format(mutator=operator_lists, seeds=_list_seeds, read=_read_list),
    "output": Format(mutator=runner_output, seeds=_output_seeds, read=_read_output),
    "pickle": Format(mutator=pickles, seeds=_pickle_seeds, read=_read_pickle),
    "plist": Format(mutator=property_lists, seeds=_plist_seeds, read=_read_plist),
    "program": Format(mutator=pt2, seeds=_pt2_seeds, read=_read_pt2),
    "reference": Format(mutator=reference_cases, seeds=_reference_seeds, read=_read_reference),
    "sizes": Format(mutator=sizes, seeds=_size_seeds, read=_read_sizes),
    "tbd": Format(
        mutator=tbd,
        seeds=_tbd_seeds,
        read=lambda data, _: parse_stub(data.decode("utf-8", "replace"), "arm64-ios"),
        refusals=_PURE,
    ),
    "torchscript": Format(mutator=torchscript, seeds=_read_models("*.pt"), read=_read_model),
    "unwinding": Format(
        mutator=unwinding,
        seeds=_unwind_seed,
        read=lambda data, _: list(parse_unwind_info(data)),
        refusals=_PURE,
    ),
    "zip": Format(mutator=lite_zip, seeds=_zip_models, read=_read_model),
}
"""By the name that `--format` takes."""
