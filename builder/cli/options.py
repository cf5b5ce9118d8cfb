"""Arguments and options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from builder import api
from builder.core.budgets import Budget, parse_budget, parse_size
from builder.core.dtypes import DtypeSet
from builder.core.inputs import parse_specs  # reads NumPy
from builder.core.nesting import parse_input
from builder.core.plan import Flavour, Profile
from builder.core.targets import MIN_API, MIN_IOS, format_os_version
from builder.core.toolchain import ToolchainOptions
from builder.errors import ConfigurationError
from builder.platforms.android.package import ARTIFACT, GROUP, AarOptions
from builder.platforms.apple.package import AppleOptions
from builder.system.children import DEFAULT_SECONDS, Limits
from builder.system.folders import locate_op_list
from builder.system.machine import host_abi

if TYPE_CHECKING:
    from builder.core.nesting import InputSpec


class SizeType(click.ParamType):  # type: ignore[type-arg]
    """Bytes as people write them: `500MB`, `8GiB`."""

    name = "SIZE"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Returns the bytes, or fails as click has it."""
        try:
            size = value if isinstance(value, int) else parse_size(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if size < 1:
            self.fail("a limit of nothing lets nothing run", param, ctx)
        return size


def inputs_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds MODEL... and --ops-list, which `command` gets as `models`."""
    argument = click.argument(
        "models", metavar="MODEL...", nargs=-1, type=click.Path(path_type=Path)
    )
    lists = click.option(
        "--ops-list",
        "names",
        multiple=True,
        metavar="NAME",
        help="An operator list that ships with builder, e.g. mobilenet_v2, or a file.",
    )

    @functools.wraps(command)
    def with_lists(*, models: tuple[Path, ...], names: tuple[str, ...], **others: object) -> object:
        if not models and not names:
            raise click.UsageError("Missing argument 'MODEL...', or --ops-list NAME.")
        return command(models=(*models, *map(locate_op_list, names)), **others)

    return argument(lists(with_lists))


abis_option = click.option(
    "--abi",
    "abis",
    default=(host_abi(),),
    show_default=True,
    multiple=True,
    help="What to build for; once more per ABI. `builder doctor` lists the known ones.",
)


min_api_option = click.option(
    "--min-api",
    type=int,
    help=f"Oldest API level of Android that is to run it; {MIN_API} when not given.",
)


min_ios_option = click.option(
    "--min-ios",
    metavar="VERSION",
    help=f"Oldest iOS that is to run it (deployment target); {format_os_version(MIN_IOS)} when "
    "not given.",
)


def toolchain_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds what chooses compilers and their libraries, which `command` gets as one `tools`."""
    launchers = click.option(
        "--launcher",
        metavar="NAME",
        envvar="BUILDER_LAUNCHER",
        default="auto",
        show_default=True,
        show_envvar=True,
        help="What to hand compilations to: ccache, sccache, distcc, icecc, ccache+distcc, "
        "ccache+icecc or none; auto takes ccache or sccache if there is one.",
    )
    ndks = click.option(
        "--ndk",
        type=click.Path(path_type=Path, exists=True, file_okay=False),
        help="Android NDK; else ANDROID_NDK_HOME, ANDROID_NDK_ROOT, or the newest of the SDK's.",
    )
    libraries = click.option(
        "--stl",
        type=click.Choice(["c++_static", "c++_shared"]),
        default="c++_static",
        show_default=True,
        help="C++ library for Android: linked in, or as a second library in the AAR.",
    )
    pages = click.option(
        "--page-size",
        type=int,
        help="Bytes that Android's loader maps at once; 16384 on 64-bit ABIs when not given.",
    )
    apple_sdks = click.option(
        "--apple-sdk",
        type=click.Path(path_type=Path, exists=True, file_okay=False),
        help="SDK of Apple's, or a folder with some; else Xcode's under macOS, open headers under "
        "Linux.",
    )

    @functools.wraps(command)
    def with_tools(
        *,
        launcher: str,
        ndk: Path | None,
        stl: str,
        page_size: int | None,
        apple_sdk: Path | None,
        **others: object,
    ) -> object:
        tools = ToolchainOptions(
            launcher=launcher,
            ndk=ndk,
            shared_stl=stl == "c++_shared",
            page_size=page_size,
            apple_sdk=apple_sdk,
        )
        return command(tools=tools, **others)

    return launchers(ndks(libraries(pages(apple_sdks(with_tools)))))


runtime_option = click.option(
    "--runtime",
    required=True,
    type=click.Path(path_type=Path),
    help="What `builder build -o` wrote, one ABI's folder in it, or its library.",
)


def random_inputs_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --shape, --dtype and --input, which `command` gets as the specifications `inputs`."""
    shape = click.option(
        "--shape",
        "shapes",
        multiple=True,
        metavar="N,N,...",
        help="Shape of one random input, or `scalar`; used instead of saved inputs.",
    )
    dtype = click.option(
        "--dtype", "dtypes", multiple=True, metavar="NAME", help="Type of the random inputs."
    )
    text = click.option(
        "--input",
        "texts",
        multiple=True,
        metavar="SPEC",
        help="One argument of any kind, in place of --shape: int64[1,16], 0.5, "
        '[float32[3,8,8], float32[3,9,9]], {"ids": int64[1,8]}.',
    )

    @functools.wraps(command)
    def with_inputs(
        *,
        shapes: tuple[str, ...],
        dtypes: tuple[str, ...],
        texts: tuple[str, ...],
        **others: object,
    ) -> object:
        return command(inputs=parse_inputs(shapes, dtypes, texts), **others)

    return shape(dtype(text(with_inputs)))


def parse_inputs(
    shapes: tuple[str, ...], dtypes: tuple[str, ...], texts: tuple[str, ...]
) -> tuple[InputSpec, ...]:
    """Returns what --input describes, or --shape and --dtype; ConfigurationError for both."""
    if texts and (shapes or dtypes):
        raise ConfigurationError(
            "--input and --shape both describe the inputs", hint="give all with --input"
        )
    return tuple(map(parse_input, texts)) or parse_specs(shapes, dtypes)


def limits_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --time-limit and --memory-limit; `command` gets them as `limits`, None without them."""
    times = click.option(
        "--time-limit",
        type=click.IntRange(1, 1_000_000),
        metavar="SECONDS",
        help="CPU time that PyTorch gets for one run of the model; 120 when not given.",
    )
    memories = click.option(
        "--memory-limit",
        type=SizeType(),
        help="Memory that PyTorch gets for the model: 8GiB, 500MB; half of the machine's when not "
        "given.",
    )

    @functools.wraps(command)
    def with_limits(
        *, time_limit: int | None, memory_limit: int | None, **others: object
    ) -> object:
        given = time_limit is not None or memory_limit is not None
        chosen = Limits(seconds=time_limit or DEFAULT_SECONDS, memory=memory_limit or 0)
        return command(limits=chosen if given else None, **others)

    return times(memories(with_limits))


def via_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --via and --adb, which `command` gets as one `via`."""
    commands = click.option(
        "--via",
        default="",
        metavar="COMMAND",
        help="What runs the runtime's programs, such as 'adb -s SERIAL shell' or an emulator.",
    )
    devices = click.option("--adb", is_flag=True, help="The same as --via 'adb shell'.")

    @functools.wraps(command)
    def with_via(*, via: str, adb: bool, **others: object) -> object:
        if via and adb:
            raise click.UsageError("--adb is --via 'adb shell': give one of them")
        return command(via=via or ("adb shell" if adb else ""), **others)

    return commands(devices(with_via))


def aar_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds what an AAR is called and what more is in it, which `command` gets as one `aar`."""
    groups = click.option(
        "--group", default=GROUP, show_default=True, help="Maven group of the AAR."
    )
    artifacts = click.option(
        "--artifact", default=ARTIFACT, show_default=True, help="Maven artifact of the AAR."
    )
    versions = click.option(
        "--aar-version", help="Version of the AAR; PyTorch's with a revision when not given."
    )
    assets = click.option(
        "--asset",
        "assets",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        multiple=True,
        help="File to put into the AAR's assets or the Swift package's resources, such as the "
        "model; once more per file.",
    )
    prefabs = click.option(
        "--prefab", is_flag=True, help="Let C++ code of an app use the AAR too (its C API)."
    )

    @functools.wraps(command)
    def with_aar(
        *,
        group: str,
        artifact: str,
        aar_version: str | None,
        assets: tuple[Path, ...],
        prefab: bool,
        **others: object,
    ) -> object:
        aar = AarOptions(
            group=group, artifact=artifact, version=aar_version, assets=assets, prefab=prefab
        )
        return command(aar=aar, **others)

    return groups(artifacts(versions(assets(prefabs(with_aar)))))


def apple_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds what an xcframework's packages say, which `command` gets as one `apple`."""
    versions = click.option(
        "--pod-version", help="Version of the pod; PyTorch's with a revision when not given."
    )
    urls = click.option(
        "--xcframework-url",
        metavar="URL",
        help="Where the xcframework's zip will be served, for SwiftPM and CocoaPods.",
    )

    @functools.wraps(command)
    def with_apple(
        *,
        pod_version: str | None,
        xcframework_url: str | None,
        **others: object,
    ) -> object:
        try:
            apple = AppleOptions(version=pod_version, url=xcframework_url)
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        return command(apple=apple, **others)

    return versions(urls(with_apple))


def accelerator_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --metal and --coreml, which `command` gets as one `accelerators`."""
    metals = click.option(
        "--metal",
        is_flag=True,
        help="For Apple's ABIs: kernels for Metal, for models exported with --backend metal.",
    )
    coremls = click.option(
        "--coreml",
        is_flag=True,
        help="For Apple's ABIs: the delegate for models that were lowered to Core ML.",
    )

    @functools.wraps(command)
    def with_accelerators(*, metal: bool, coreml: bool, **others: object) -> object:
        chosen = api.choose_accelerators(metal=metal, coreml=coreml)
        return command(accelerators=chosen, **others)

    return metals(coremls(with_accelerators))


def flavour_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --profile and --strip-error-messages, which `command` gets as one `flavour`."""
    messages = click.option(
        "--strip-error-messages",
        is_flag=True,
        help="Failed checks name their condition and file only; the library gets smaller.",
    )
    profiles = click.option(
        "--profile",
        type=click.Choice([str(profile) for profile in Profile]),
        default=str(Profile.SIZE),
        show_default=True,
        help="What to optimise for.",
    )

    @functools.wraps(command)
    def with_flavour(*, profile: str, strip_error_messages: bool, **others: object) -> object:
        flavour = Flavour(profile=Profile(profile), strip_error_messages=strip_error_messages)
        return command(flavour=flavour, **others)

    return profiles(messages(with_flavour))


def _parse_dtypes(ctx: click.Context, param: click.Parameter, value: str) -> DtypeSet | None:
    del ctx, param
    if value == "auto":
        return None
    try:
        return DtypeSet.of(name.strip() for name in value.split(","))
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


dtypes_option = click.option(
    "--dtypes",
    metavar="LIST",
    default="auto",
    show_default=True,
    callback=_parse_dtypes,
    help="Compile kernels for these dtypes only, e.g. float32,int64,bool. all: for every dtype. "
    "auto: for those that can occur in the models, for all where that cannot be known.",
)


class BudgetType(click.ParamType):  # type: ignore[type-arg]
    """`2.5MB`, or `linux-x86_64=2.5MB` for one ABI."""

    name = "[ABI=]SIZE"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Budget:
        """Returns the budget, or fails as click has it."""
        try:
            return value if isinstance(value, Budget) else parse_budget(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


max_size_option = click.option(
    "--max-size",
    type=BudgetType(),
    multiple=True,
    help="Exit with 8 when the stripped library is larger: 2.5MB, 900KiB; once more per ABI.",
)
max_compressed_option = click.option(
    "--max-compressed",
    type=BudgetType(),
    multiple=True,
    help="The same for the library as a download compresses it.",
)
