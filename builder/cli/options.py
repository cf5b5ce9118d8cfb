"""Arguments and options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from builder import api
from builder.core.backends import Chosen
from builder.core.budgets import Budget, parse_budget, parse_size
from builder.core.dtypes import DtypeSet
from builder.core.inputs import parse_specs  # imports NumPy
from builder.core.nesting import parse_input
from builder.core.plan import Flavour, Profile
from builder.core.targets import MIN_API, MIN_IOS, format_os_version
from builder.core.toolchain import ToolchainOptions
from builder.errors import ConfigurationError
from builder.system.children import DEFAULT_SECONDS, Limits
from builder.system.folders import locate_op_list
from builder.system.machine import host_abi

if TYPE_CHECKING:
    from builder.core.nesting import InputSpec


class SizeType(click.ParamType):  # type: ignore[type-arg]
    """A number of bytes as people write it: `500MB`, `8GiB`."""

    name = "SIZE"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Returns the bytes; raises click's error when the text is not a size."""
        try:
            size = value if isinstance(value, int) else parse_size(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if size < 1:
            self.fail("the limit must be at least one byte", param, ctx)
        return size


def inputs_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds MODEL... and --ops-list; `command` receives both as `models`."""
    argument = click.argument(
        "models", metavar="MODEL...", nargs=-1, type=click.Path(path_type=Path)
    )
    lists = click.option(
        "--ops-list",
        "names",
        multiple=True,
        metavar="NAME",
        help="An operator list: the name of one that ships with builder, e.g. mobilenet_v2, or a "
        "file.",
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
    help="The ABI to build for; repeat the option for several ABIs. `builder doctor` lists all "
    "ABIs.",
)


min_api_option = click.option(
    "--min-api",
    type=int,
    help=f"Oldest API level of Android that the runtime must support (default: {MIN_API}).",
)


min_ios_option = click.option(
    "--min-ios",
    metavar="VERSION",
    help="Oldest iOS version that the runtime must support, the deployment target (default: "
    f"{format_os_version(MIN_IOS)}).",
)


def toolchain_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options for compilers and their libraries; `command` receives one `tools`."""
    launchers = click.option(
        "--launcher",
        metavar="NAME",
        envvar="BUILDER_LAUNCHER",
        default="auto",
        show_default=True,
        show_envvar=True,
        help="The program that starts the compiler: ccache, sccache, distcc, icecc, ccache+distcc, "
        "ccache+icecc or none. auto uses ccache or sccache if one is installed.",
    )
    ndks = click.option(
        "--ndk",
        type=click.Path(path_type=Path, exists=True, file_okay=False),
        help="Folder of the Android NDK (default: ANDROID_NDK_HOME, ANDROID_NDK_ROOT, or the "
        "newest NDK in the Android SDK).",
    )
    libraries = click.option(
        "--stl",
        type=click.Choice(["c++_static", "c++_shared"]),
        default="c++_static",
        show_default=True,
        help="C++ library for Android: linked into the runtime (c++_static), or a second library "
        "in the AAR (c++_shared).",
    )
    pages = click.option(
        "--page-size",
        type=int,
        help="Page size in bytes to which Android libraries are aligned (default: 16384 on "
        "64-bit ABIs).",
    )
    apple_sdks = click.option(
        "--apple-sdk",
        type=click.Path(path_type=Path, exists=True, file_okay=False),
        help="An Apple SDK, or a folder with several (default: Xcode's SDKs on macOS, Apple's open "
        "headers on Linux).",
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
    help="The output folder of `builder build`, the folder of one ABI in it, or the library file.",
)


def random_inputs_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --shape, --dtype and --input; `command` receives them as specifications, `inputs`."""
    shape = click.option(
        "--shape",
        "shapes",
        multiple=True,
        metavar="N,N,...",
        help="Shape of one random input, or `scalar`; random inputs replace the saved ones.",
    )
    dtype = click.option(
        "--dtype", "dtypes", multiple=True, metavar="NAME", help="Dtype of the random inputs."
    )
    text = click.option(
        "--input",
        "texts",
        multiple=True,
        metavar="SPEC",
        help="One argument of any kind, instead of --shape: int64[1,16], 0.5, "
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
    """Returns the inputs that --input, or --shape and --dtype, describe.

    Raises:
        ConfigurationError: both are given, or one cannot be parsed.
    """
    if texts and (shapes or dtypes):
        raise ConfigurationError(
            "--input cannot be combined with --shape or --dtype: both describe the inputs",
            hint="describe all inputs with --input",
        )
    return tuple(map(parse_input, texts)) or parse_specs(shapes, dtypes)


def limits_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --time-limit and --memory-limit; `command` receives `limits`, None if none is given."""
    times = click.option(
        "--time-limit",
        type=click.IntRange(1, 1_000_000),
        metavar="SECONDS",
        help=f"CPU time that PyTorch may use to run the model once (default: {DEFAULT_SECONDS}).",
    )
    memories = click.option(
        "--memory-limit",
        type=SizeType(),
        help="Memory that PyTorch may use for the model, e.g. 8GiB or 500MB (default: half of this "
        "machine's memory).",
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
    """Adds --via and --adb; `command` receives one `via`."""
    commands = click.option(
        "--via",
        default="",
        metavar="COMMAND",
        help="The command that runs the runtime's programs, e.g. 'adb -s SERIAL shell' or an "
        "emulator.",
    )
    devices = click.option(
        "--adb", is_flag=True, help="Run on a device; short for --via 'adb shell'."
    )

    @functools.wraps(command)
    def with_via(*, via: str, adb: bool, **others: object) -> object:
        if via and adb:
            raise click.UsageError(
                "--adb means --via 'adb shell': give only one of the two options"
            )
        return command(via=via or ("adb shell" if adb else ""), **others)

    return commands(devices(with_via))


def accelerator_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds an option for each backend that has one; `command` receives those as `accelerators`."""
    known = [one for one in api.load_backends().values() if one.chosen is Chosen.OPTION]

    @functools.wraps(command)
    def with_accelerators(**given: object) -> object:
        chosen = tuple(one for one in known if given.pop(one.name))
        return command(accelerators=chosen, **given)

    decorated: Callable[..., Any] = with_accelerators
    for one in known:
        decorated = click.option(one.option, one.name, is_flag=True, help=one.help)(decorated)
    return decorated


def flavour_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --profile and --strip-error-messages; `command` receives one `flavour`."""
    messages = click.option(
        "--strip-error-messages",
        is_flag=True,
        help="Make the library smaller: messages of failed checks in PyTorch contain only "
        "condition and file.",
    )
    profiles = click.option(
        "--profile",
        type=click.Choice([str(profile) for profile in Profile]),
        default=str(Profile.SIZE),
        show_default=True,
        help="What the compiler optimises for.",
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
        return DtypeSet.parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


dtypes_option = click.option(
    "--dtypes",
    metavar="LIST",
    default="auto",
    show_default=True,
    callback=_parse_dtypes,
    help="Compile kernels only for these dtypes, e.g. float32,int64,bool. all: for every dtype. "
    "auto: for the dtypes that can occur in the models, or for all if that is unknown.",
)


class BudgetType(click.ParamType):  # type: ignore[type-arg]
    """A size budget: `2.5MB`, or `linux-x86_64=2.5MB` for one ABI."""

    name = "[ABI=]SIZE"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Budget:
        """Returns the budget; raises click's error when the text is not one."""
        try:
            return value if isinstance(value, Budget) else parse_budget(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


max_size_option = click.option(
    "--max-size",
    type=BudgetType(),
    multiple=True,
    help="Exit with code 8 if the stripped library is larger, e.g. 2.5MB or 900KiB; repeat the "
    "option for budgets per ABI.",
)
max_compressed_option = click.option(
    "--max-compressed",
    type=BudgetType(),
    multiple=True,
    help="Exit with code 8 if the compressed library, as in a download, is larger.",
)
