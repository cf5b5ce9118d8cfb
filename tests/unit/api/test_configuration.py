"""builder.yaml: what it says, and what is wrong with it, by file, line and key."""

from __future__ import annotations

import re
from pathlib import Path

import jsonschema
import pytest

from builder.api import BuildSettings, read_configuration, render_configuration
from builder.cli.hints import show_hint
from builder.core.budgets import Budget
from builder.core.dtypes import DtypeSet
from builder.core.nesting import parse_input
from builder.core.plan import Profile
from builder.core.toolchain import Stl
from builder.errors import ConfigurationError, ModelError
from builder.export.request import Method, Pass
from builder.formats.plain_yaml import parse_documents
from builder.system.machine import host_abi
from tests.json_schemas import read_schema

EVERY_KIND = """\
inputs: [m.ptl, models/other.ptl]
ops_lists: [mobilenet_v2]
targets:
  abis: [arm64-v8a, ios-arm64]
  min_api: 24
  min_ios: 15.0
profile: speed
strip_error_messages: true
dtypes: [float32, int64]
jobs: 4
lock_timeout: 0.5
accelerators: [metal]
output: results
assets:
  - m.ptl
tools: {launcher: none, stl: c++_shared}
android: {group: com.example, version: 7, prefab: true}
budgets:
  max_size: [2.5MB, arm64-v8a=2MB]
  max_compressed:
exports:
  - source: package:make
    output: m.ptl
    arguments: {num_classes: 10}
    inputs: ["float32[1,3,8,8]", '{"ids": int64[1,8]}']
    tolerance: 0.01
    weights: DEFAULT
    quantisation: {method: static}
    optimisation: {left_out: [prepack]}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "models").mkdir()
    for name in ("m.ptl", "models/other.ptl"):
        (tmp_path / name).write_text("model")
    return tmp_path


def write(folder, text):
    (folder / "builder.yaml").write_text(text)
    return folder / "builder.yaml"


def settings_of(folder, text, given=None):
    configuration = read_configuration(write(folder, text))
    return {
        one.name: configuration.make_settings(one, given or {}) for one in configuration.products
    }


def test_every_kind_of_value(folder):
    settings = settings_of(folder, EVERY_KIND)[""]
    request = settings.request
    assert request.inputs == (folder / "m.ptl", folder / "models/other.ptl")
    assert request.ops_lists == ("mobilenet_v2",)
    assert (settings.targets.abis, settings.targets.min_api) == (("arm64-v8a", "ios-arm64"), 24)
    assert settings.targets.min_ios == "15.0"
    assert (request.flavour.profile, request.flavour.strip_error_messages) == (Profile.SPEED, True)
    assert request.dtypes == DtypeSet.of(["float32", "int64"])
    assert (request.jobs, request.lock_timeout) == (4, 0.5)
    assert [one.name for one in request.accelerators] == ["metal"]
    assert settings.output == folder / "results"
    assert settings.packages.assets == (folder / "m.ptl",)
    assert (request.tools.launcher, request.tools.stl) == ("none", Stl.SHARED)
    android = settings.packages.android
    assert (android.group, android.version, android.prefab) == ("com.example", "7", True)
    assert settings.budgets.max_compressed == ()
    assert settings.budgets.max_size == tuple(map(Budget.parse, ("2.5MB", "arm64-v8a=2MB")))
    (export,) = read_configuration(folder / "builder.yaml").exports
    assert (export.source, export.output, export.folder) == (
        *("package:make", folder / "m.ptl", folder.resolve()),
    )
    assert export.arguments == (("num_classes", "10"),)
    assert export.inputs == tuple(map(parse_input, ("float32[1,3,8,8]", '{"ids": int64[1,8]}')))
    assert (export.tolerance, export.weights) == (0.01, Path("DEFAULT"))
    assert export.quantisation.method is Method.STATIC
    assert export.optimisation.left_out == {Pass.PREPACK}


def test_the_schema_takes_the_same_file():
    (content,) = parse_documents(EVERY_KIND)
    # Plain YAML leaves fractions as texts, which an editor reads as numbers.
    content["lock_timeout"], content["exports"][0]["tolerance"] = 0.5, 0.01
    content["android"]["version"] = "7"
    del content["budgets"]["max_compressed"]
    content["exports"][0]["arguments"] = {"num_classes": "10"}
    jsonschema.Draft202012Validator(read_schema("builder-yaml")).validate(content)


def test_what_the_user_gives_counts_more(folder):
    given = {("request", "jobs"): 7, ("output",): Path("elsewhere")}
    settings = settings_of(folder, EVERY_KIND, given)[""]
    assert (settings.request.jobs, settings.output) == (7, Path("elsewhere"))
    assert settings.request.flavour.profile is Profile.SPEED


PRODUCTS = """\
targets: {abis: [arm64-v8a]}
budgets: {max_size: [linux-x86_64=3MB, arm64-v8a=2MB]}
tools: {launcher: none}
products:
  one:
    inputs: [m.ptl]
    tools: {page_size: 16384}
  two:
    inputs: [models/other.ptl]
    targets: {abis: [linux-x86_64]}
    profile: debug
    output: two out
"""


def test_products_share_what_stands_outside(folder):
    read = settings_of(folder, PRODUCTS)
    one, two = read["one"], read["two"]
    assert (one.output, two.output) == (folder / "out/one", folder / "two out")
    assert (one.targets.abis, two.targets.abis) == (("arm64-v8a",), ("linux-x86_64",))
    assert (one.request.flavour.profile, two.request.flavour.profile) == (
        *(Profile.SIZE, Profile.DEBUG),
    )
    tools = one.request.tools
    assert (tools.launcher, tools.page_size, two.request.tools.page_size) == ("none", 16384, None)


def test_products_are_chosen_by_name(folder):
    configuration = read_configuration(write(folder, PRODUCTS))
    assert [one.name for one in configuration.choose(["two", "two"])] == ["two"]
    assert [one.name for one in configuration.choose([])] == ["one", "two"]
    with pytest.raises(ConfigurationError, match=r"no product 'tow'; did you mean 'two'"):
        configuration.choose(["tow"])
    with pytest.raises(ConfigurationError, match="it has no 'products'"):
        read_configuration(write(folder, "inputs: [m.ptl]\n")).choose(["one"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("inputs: [m.ptl]\ntarget:\n", r", line 2: target: unknown key; did you mean 'targets'"),
        ("product: {}\n", r", line 1: product: unknown key; did you mean 'products'"),
        ("targets:\n  abi: [x]\n", r", line 2: targets.abi: unknown key; did you mean 'abis'"),
        ("android: {assets: [a]}\n", r", line 1: android.assets: unknown key; known are art"),
        ("inputs: m.ptl\n", r", line 1: inputs: expected a list, not 'm.ptl': write \['m.ptl'\]"),
        ("inputs:\n- [m.ptl]\n", r", line 2: inputs.0: expected text, not \['m.ptl'\]"),
        ("jobs: 0\n", r", line 1: jobs: expected a number from 1 to 10,000, not 0"),
        ("jobs: '4'\n", r"line 1: jobs: expected a whole number, not '4'"),
        ("jobs: true\n", r"line 1: jobs: expected a whole number, not true"),
        ("jobs:\n", r"line 1: jobs: it has no value"),
        ("lock_timeout: nan\n", r"line 1: lock_timeout: expected a number, not 'nan'"),
        ("lock_timeout: true\n", r"line 1: lock_timeout: expected a number, not true"),
        ("lock_timeout: -1\n", r"line 1: lock_timeout: expected a number from 0, not -1"),
        ("skip_unknown: 1\n", r"line 1: skip_unknown: expected true or false, not 1"),
        ("profile: fast\n", r"line 1: profile: 'fast' is not a value of it; known are"),
        ("dtypes: float31\n", r"line 1: dtypes: unknown dtypes: float31"),
        ("accelerators: [cuda]\n", r"line 1: accelerators.0: 'cuda' is not a backend"),
        ("pytorch: 1.0\n", r"line 1: pytorch: .*1\.0"),
        ("assets: [no.ptl]\n", r"line 1: assets.0: there is no file .*no\.ptl"),
        ("tools: {ndk: nowhere}\n", r"line 1: tools.ndk: there is no folder"),
        ("tools: [x]\n", r"line 1: tools: expected keys with values, not \['x'\]"),
        ("budgets: {max_size: [big]}\n", r"line 1: budgets.max_size.0: 'big' is not a size"),
        (
            "targets: {abis: [arm64-v8a]}\nbudgets:\n  max_size: [2MB, arm64=2MB]\n",
            r"line 3: budgets.max_size: arm64=2MB is for the ABI 'arm64', which is not in targets",
        ),
        (
            "targets: {abis: [arm64-v8a]}\nproducts:\n a:\n  budgets: {max_size: [x86=2MB]}\n",
            r"line 4: products.a.budgets.max_size: x86=2MB is for the ABI 'x86'",
        ),
        (
            "products:\n one: {inputs: [m.ptl]}\n one: {inputs: [m.ptl]}\n",
            r", line 3: the key 'one' stands there twice",
        ),
        (
            "products:\n one: {output: x}\n two: {output: ./x}\n",
            r"line 3: products.two: its output .*/x is also the output of the product 'one'",
        ),
        ("products:\n a/b: {}\n", r"line 2: products.a/b: this cannot be the name of a product"),
        ("products:\n '': {}\n", r"line 2: products.: this cannot be the name of a product"),
        ('products:\n "a\\tb": {}\n', r"line 2: products.*: this cannot be the name of a product"),
        ('products:\n "a\\u2028": {}\n', r"line 2: .*: this cannot be the name of a product"),
        ("products:\n a\\b: {}\n", r"line 2: .*: this cannot be the name of a product"),
        ("products:\n ' a': {}\n", r"line 2: .*: this cannot be the name of a product"),
        *(
            (f"products:\n {name}: {{}}\n", r"line 2: .*: this cannot be the name .* in a release")
            for name in (
                *("report.json", "report.md", "report.html", "SHA256SUMS", ".builder.json"),
                *("Report.JSON", "sha256sums", ".builder-tmp-abcd1234"),
            )
        ),
        ("products:\n ~: {}\n ~: {}\n", r"line 3: the key '~' stands there twice"),
        ("? [a]\n: 1\n", r"line 1: a key is not a scalar"),
        (
            "products:\n a: {output: o/linux-x86_64}\n b: {output: o}\n",
            r"line 3: products.b: its output .*/o holds the output of the product 'a'",
        ),
        (
            "products:\n a: {}\n b: {output: out/a/x}\n",
            r"line 3: products.b: its output .*/out/a/x is inside the output of the product 'a'",
        ),
        ("jobs: 1\ntargets: {abis: []}\n", r"line 2: targets.abis: the list is empty"),
        ("jobs: 1\ntargets: {abis: }\n", r"line 2: targets.abis: the list is empty"),
        ("output: m.ptl\n", r"line 1: output: .*m\.ptl is no folder"),
        ("assets: [models]\n", r"line 1: assets.0: .*models is no file"),
        (
            "inputs: [m.ptl]\ntargets:\n abis: [arm64-v8a, arm64]\n",
            r"line 3: targets.abis.1: unknown ABI 'arm64'",
        ),
        (
            "products:\n a:\n  inputs: [m.ptl]\n  targets: {abis: [x]}\n",
            r"line 4: products.a.targets.abis.0: unknown ABI 'x'",
        ),
        (
            "targets: {abis: [x]}\nproducts: {a: {inputs: [m.ptl], targets: {min_api: 24}}}\n",
            r"line 1: targets.abis.0: unknown ABI 'x'",
        ),
        (
            "inputs: [m.ptl]\nproducts:\n a:\n  inputs: [m.ptl, no.ptl]\n",
            r"line 4: products.a.inputs.1: the file .*no\.ptl does not exist",
        ),
        (
            "inputs: [no.ptl]\nproducts:\n a:\n  jobs: 1\n",
            r"line 1: inputs.0: the file .*no\.ptl does not exist",
        ),
        (
            "inputs: [m.ptl]\ntargets:\n  abis: [arm64-v8a]\n  min_api: 2\n",
            r"line 4: targets.min_api: .* cannot have API level 2",
        ),
        (
            "inputs: [m.ptl]\ntargets:\n  abis: [arm64-v8a]\n  min_ios: 2\n",
            r"line 4: targets.min_ios: iOS 2 is for Apple's ABIs",
        ),
        ("products: {one: {products: {}}}\n", r"products.one.products: unknown key"),
        ("products: {one: [m.ptl]}\n", r"products.one: expected keys with values"),
        ("exports:\n - {source: m}\n", r"line 2: exports.0: the key 'output' is missing"),
        (
            "exports:\n - source: m\n   output: m.ptl\n   quantisation: {flow: fx}\n",
            r"line 4: exports.0.quantisation: the key 'method' is missing",
        ),
        *(
            (
                f"exports:\n - source: m\n   output: m.ptl\n   quantisation:{empty}\n",
                r"line 4: exports.0.quantisation: the key 'method' is missing",
            )
            for empty in (" {}", "", "\n     # method: static")
        ),
        (
            "exports:\n - {source: m, output: m.ptl, inputs: ['float32[x']}\n",
            r"exports.0.inputs.0: ",
        ),
        *(
            (f"inputs: [m.ptl]\nlock_timeout: {number}\n", r"line 2: .*expected a number")
            for number in ("1_0", "\u0661\u0662", "0x10", "null_", "1e9999")
        ),
        ("", r"it has no settings"),
        ("just words\n", r"expected keys with values, not 'just words'"),
        ("- a\n", r"expected keys with values"),
        ("a: &x 1\nb: *x\n", r"aliases are not allowed|tags|unknown key"),
        ("inputs: !!python/name:os.system [x]\n", r"tags are not allowed"),
        ("inputs: [m.ptl\n", r"line 2: it is not YAML"),
        ("--- {jobs: 1}\n--- {jobs: 2}\n", r"it has 2 YAML documents"),
    ],
)
def test_mistakes_name_file_line_and_key(folder, text, said):
    path = write(folder, text)
    with pytest.raises(ConfigurationError, match=said) as caught:
        settings_of(folder, text)
    assert caught.value.message.startswith(str(path))
    assert caught.value.exit_code == 2


LONG = "x" * 300
"""More bytes than the name of a file can have."""


@pytest.mark.parametrize("path", ['"a\\0b"', "loop", "loop/x", LONG, f"no/{LONG}"])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("jobs: 1\ninputs: [m.ptl, {}]\n", r"line 2: inputs\.1"),
        ("jobs: 1\nops_lists: [{}]\n", r"line 2: ops_lists\.0"),
        ("jobs: 1\nassets: [{}]\n", r"line 2: assets\.0"),
        ("jobs: 1\noutput: {}\n", r"line 2: output"),
        ("jobs: 1\ntools: {{ndk: {}}}\n", r"line 2: tools\.ndk"),
        ("exports:\n- source: m\n  output: {}\n", r"line 3: exports\.0\.output"),
        (
            "exports:\n- {{source: m, output: x}}\n- source: m\n  output: m\n  weights: {}\n",
            r"line 5: exports\.1\.weights",
        ),
        (
            "products:\n a: {{inputs: [m.ptl]}}\n b: {{output: {}}}\n",
            r"line 3: products\.b\.output",
        ),
    ],
)
def test_paths_that_no_file_can_have(folder, text, said, path):
    (folder / "loop").symlink_to("loop")
    with pytest.raises(ConfigurationError, match=rf"builder\.yaml, {said}: .*path"):
        settings_of(folder, text.format(path))


def test_the_usual_output_can_be_no_path_either(folder):
    with pytest.raises(ConfigurationError, match=r"line 2: products\.x+: a name in this path"):
        settings_of(folder, f"products:\n {LONG}: {{inputs: [m.ptl]}}\n")
    (folder / "out").symlink_to("out")
    with pytest.raises(ConfigurationError, match="output: this path cannot be used"):
        settings_of(folder, "inputs: [m.ptl]\n")


@pytest.mark.parametrize("name", ["no", "yes", "True", "~", "null", "+1", "1", "0x1", "café 2"])
def test_names_of_products_are_what_stands_in_the_file(folder, name):
    read = settings_of(
        folder, f"products:\n  {name}: {{inputs: [m.ptl]}}\n  x: {{inputs: [m.ptl]}}\n"
    )
    assert list(read) == [name, "x"]
    assert read[name].output == folder / "out" / name
    with pytest.raises(
        ConfigurationError, match=re.escape(f"line 2: products.{name}.job: unknown")
    ):
        settings_of(folder, f"products:\n  {name}: {{job: 1}}\n")


def test_hints_about_the_file_name_its_keys(folder):
    with pytest.raises(ConfigurationError, match=r"targets\.min_api: API level 24") as caught:
        settings_of(folder, "inputs: [m.ptl]\ntargets: {abis: [linux-x86_64], min_api: 24}\n")
    assert "leave out targets.min_api" in show_hint(caught.value.hint, "build")


def test_a_model_that_is_not_there(folder):
    with pytest.raises(
        ConfigurationError, match=r"line 1: inputs.0: the file .*no\.ptl does not exist$"
    ):
        settings_of(folder, "inputs: [no.ptl]\n")
    text = "inputs: [no.ptl]\nexports: [{source: mobilenet_v2, output: no.ptl}]\n"
    with pytest.raises(ConfigurationError, match="an export of this file makes it") as caught:
        settings_of(folder, text)
    assert "--export" in caught.value.hint


def test_a_product_without_models(folder):
    with pytest.raises(ConfigurationError, match="it has neither inputs nor ops_lists"):
        settings_of(folder, "jobs: 4\n")
    with pytest.raises(ConfigurationError, match="the product 'a' has neither inputs"):
        settings_of(folder, "products: {a: {jobs: 4}}\n")


def test_what_classes_refuse_names_the_file(folder):
    with pytest.raises(ConfigurationError, match=r"builder\.yaml: .*is not an https URL"):
        settings_of(folder, "inputs: [m.ptl]\napple: {url: 'http://x/a.zip'}\n")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a: 1\0", b"a" * ((1 << 20) + 1)])
def test_files_that_are_no_text(folder, content):
    (folder / "builder.yaml").write_bytes(content)
    with pytest.raises(ConfigurationError, match=re.escape(str(folder / "builder.yaml"))):
        read_configuration(folder / "builder.yaml")


def test_no_file_and_no_regular_file(folder):
    for path in (folder / "none.yaml", folder, Path("/dev/zero")):
        with pytest.raises(ConfigurationError, match=str(path)):
            read_configuration(path)


DATA = Path(__file__).parents[2] / "data/models"


def test_the_first_file_is_one_that_can_be_read(tmp_path):
    (tmp_path / "sub").mkdir()
    for place in (tmp_path / "conv.ptl", tmp_path / "sub/an odd 'name'.ptl"):
        place.write_bytes((DATA / "conv.ptl").read_bytes())
    text = render_configuration((), tmp_path / "builder.yaml", tmp_path / "s.json")
    assert text.startswith("# yaml-language-server: $schema=s.json\n")
    settings = settings_of(tmp_path, text)[""]
    assert settings.request.inputs == (tmp_path / "conv.ptl", tmp_path / "sub/an odd 'name'.ptl")
    assert settings.targets.abis == (host_abi(),)
    # Each setting that stands there as a comment is one that can be used.
    commented = re.sub(r"^( *)# (?= *[a-z_]+:|    |  - )", r"\1", text, flags=re.MULTILINE)
    assert commented.count("\n# ") < text.count("\n# ")
    with pytest.raises(ConfigurationError, match=r"an export|does not exist|no file"):
        settings_of(tmp_path, commented)


def test_the_first_file_of_named_models(tmp_path):
    text = render_configuration((DATA / "conv.ptl",), tmp_path / "builder.yaml")
    assert settings_of(tmp_path, text)[""].request.inputs[0].resolve() == DATA / "conv.ptl"
    (tmp_path / "bad.ptl").write_text("no model")
    with pytest.raises(ModelError):
        render_configuration((tmp_path / "bad.ptl",), tmp_path / "builder.yaml")


HARM = "exports: [{source: evil, output: e.ptl}] # "


@pytest.mark.parametrize(
    "character",
    ["\n", "\r", "\x85", "\u2028", "\u2029", "\x7f", "\ufffe", "\ufeff", "\x1b", "é", "\U0001f600"],
)
def test_the_first_file_has_names_as_models_only(tmp_path, character):
    name = f'a{character}{HARM}"\\.ptl'
    (tmp_path / name).write_bytes((DATA / "conv.ptl").read_bytes())
    text = render_configuration((), tmp_path / "builder.yaml")
    assert text.isascii()
    read = read_configuration(write(tmp_path, text))
    assert read.exports == ()
    (settings,) = (read.make_settings(one, {}) for one in read.products)
    assert settings.request.inputs == (tmp_path / name,)
    # What stands there as a comment says the same.
    commented = text.replace("# assets:", "assets:")
    settings = settings_of(tmp_path, commented)[""]
    assert settings.packages.assets == (tmp_path / name,)


def test_the_first_file_refuses_names_that_yaml_cannot_have(tmp_path):
    (tmp_path / "a\udcff.ptl").write_bytes((DATA / "conv.ptl").read_bytes())
    with pytest.raises(ConfigurationError, match=r"udcff.ptl' is not UTF-8"):
        render_configuration((), tmp_path / "builder.yaml")
    for name in (f"s\n{HARM}", f"s\u2028{HARM}", "s\x7f", "s\udcff"):
        with pytest.raises(ConfigurationError, match=r"cannot stand in a"):
            render_configuration((DATA / "conv.ptl",), tmp_path / "builder.yaml", tmp_path / name)


def test_the_first_file_is_read_back(tmp_path, monkeypatch):
    module = "builder.api.initial_configuration._quote"
    for text in (f'"m.ptl"\n{HARM}', '"other.ptl"', '"m.ptl"\njobs: 1\n#'):
        monkeypatch.setattr(module, lambda _, text=text: text)
        with pytest.raises(ConfigurationError, match=r"cannot stand in|stands there twice"):
            render_configuration((DATA / "conv.ptl",), tmp_path / "builder.yaml")


def test_a_folder_without_models_or_with_too_many(tmp_path):
    with pytest.raises(ConfigurationError, match="has no lite file"):
        render_configuration((), tmp_path / "builder.yaml")
    for number in range(51):
        (tmp_path / f"{number}.ptl").touch()
    with pytest.raises(ConfigurationError, match="51 lite files"):
        render_configuration((), tmp_path / "builder.yaml")


def test_defaults_are_those_of_the_settings(folder):
    settings = settings_of(folder, "inputs: [m.ptl]\n")[""]
    usual = BuildSettings()
    assert settings.output == folder / usual.output
    assert (settings.targets, settings.packages, settings.budgets) == (
        *(usual.targets, usual.packages, usual.budgets),
    )


@pytest.mark.parametrize("key", ["products", "exports"])
def test_the_number_of_products_and_exports_has_a_limit(folder, key):
    items = {
        "products": "products:\n" + "".join(f"  p{n}:\n" for n in range(1001)),
        "exports": "exports:\n" + "  - {source: a, output: a}\n" * 1001,
    }
    with pytest.raises(ConfigurationError, match=f"{key}: it has 1,001, more than 1,000"):
        read_configuration(write(folder, items[key]))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"inputs: [{'m.ptl, ' * 1001}]", "inputs: it has 1,001, more than 1,000"),
        (f"pytorch: {'2' * 5000}", "pytorch: it has 5,000 characters, more than 4,096"),
        (f"targets: {{min_ios: '{'1.' * 3000}'}}", "min_ios: it has 6,000 characters"),
        (f"{'k' * 5000}: 1", "it is not YAML|a key has more than 4,096 characters"),
        (f"inputs: [m.ptl]\noutput: {'a/' * 100}", "output: this path has more than 64 folders"),
        (
            f"inputs: [{'m.ptl, ' * 500}]\nproducts:\n" + "".join(f"  p{n}:\n" for n in range(500)),
            "products: the products have 250,000 inputs together, more than 100,000",
        ),
    ],
)
def test_a_file_is_no_larger_than_people_write(folder, text, said):
    with pytest.raises(ConfigurationError, match=said):
        read_configuration(write(folder, text))


def test_a_key_that_products_share_is_wrong_for_a_product_that_is_named(folder):
    text = """\
verify: {abis: [x86]}
products:
  a: {inputs: [m.ptl], targets: {abis: [x86]}}
  b: {inputs: [m.ptl], targets: {abis: [arm64-v8a]}}
"""
    read = read_configuration(write(folder, text))
    first, second = read.products
    read.make_proofs(first)
    with pytest.raises(ConfigurationError) as caught:
        read.make_proofs(second)
    said = "the ABI 'x86' is not in targets.abis: arm64-v8a"
    assert caught.value.message == f"{read.path}, line 1: verify.abis.0: product 'b': {said}"


def test_a_byte_order_mark_is_ignored(folder):
    (folder / "ops.txt").write_text("\ufeffaten::add.Tensor\n", encoding="utf-8")
    text = "\ufeffops_lists: [ops.txt]\njobs: x\n"
    with pytest.raises(ConfigurationError, match=r"line 2: jobs: expected a whole number"):
        settings_of(folder, text)
    settings = settings_of(folder, text.replace("x\n", "3\n"))[""]
    assert (settings.request.jobs, settings.request.ops_lists) == (3, (str(folder / "ops.txt"),))


def test_what_is_no_utf_8_is_refused_in_words_of_builder(folder):
    path = write(folder, "")
    path.write_text("jobs: 1\n", encoding="utf-16")
    with pytest.raises(ConfigurationError) as caught:
        read_configuration(path)
    assert caught.value.message == f"{path} is not a text file in UTF-8"


def test_a_long_value_is_cut_in_messages(folder):
    with pytest.raises(ConfigurationError) as caught:
        read_configuration(write(folder, f"inputs: [m.ptl]\npytorch: {'2' * 4000}"))
    assert len(caught.value.message) < 700
    assert "line 2: pytorch: builder cannot build PyTorch 2222" in caught.value.message


def test_two_exports_with_one_output_are_refused(folder):
    text = """\
exports:
  - {source: a, output: m.ptl}
  - {source: b, output: other.ptl}
  - {source: b, output: models/../m.ptl}
"""
    with pytest.raises(ConfigurationError) as caught:
        read_configuration(write(folder, text))
    assert caught.value.message.endswith(
        "line 4: exports.2.output: another export has the same output (line 2)"
    )
