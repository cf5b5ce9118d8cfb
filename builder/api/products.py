"""What a file `builder.yaml` says: products, each with its settings, and exports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builder.api.settings import (
    BuildSettings,
    ProofSettings,
    PublishSettings,
    ReleaseSettings,
    TargetSettings,
)
from builder.api.toolchains import locate_targets
from builder.core.setting_fields import fill
from builder.core.typed import suggest
from builder.errors import ConfigurationError, Hint, Run, name_product
from builder.export.request import ExportRequest
from builder.formats.yaml_lines import Place
from builder.system.files import describe_absent

EXPORTS, PRODUCTS = "exports", "products"
OUTPUT = ("output",)
"""Where the path of a product's output stands in its settings."""
_INPUTS = ("request", "inputs")
_LONGEST_MESSAGE = 500
"""Characters of a message, which may quote a value of the file."""

Values = Mapping[tuple[str, ...], object]
"""Settings by their path, as `builder.core.setting_fields.fill` takes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One set of models with its packages."""

    name: str
    """Its key below `products`; empty where the file has none."""
    values: Values
    """Its settings, with those that all products share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What a file says."""

    path: Path
    products: tuple[Product, ...]
    """In the order of the file; at least one."""
    exports: tuple[ExportRequest, ...] = ()
    """What makes models of the products."""
    release: Values = field(default_factory=dict)
    """Settings of the release; paths begin with `release`."""
    lines: Mapping[Place, int]
    """The line of each key."""

    def choose(self, names: Sequence[str]) -> tuple[Product, ...]:
        """Returns the products with these names, or all without any; ConfigurationError if not."""
        known = {one.name: one for one in self.products if one.name}
        for name in names:
            if name not in known:
                said = suggest(name, known) if known else f"it has no {PRODUCTS!r}"
                raise ConfigurationError(f"{self.path} has no product {name!r}; {said}")
        return tuple(known[name] for name in dict.fromkeys(names)) or self.products

    def make_settings(
        self, product: Product, given: Values, *, absent: bool = False
    ) -> BuildSettings:
        """Returns the settings of a product; what is `given` by the user counts more.

        With `absent`, models need not be there, as before the exports that make them.

        Raises:
            ConfigurationError: a model is not there, or settings do not fit together.
        """
        values = {**product.values, **given}
        try:
            settings = fill(BuildSettings, values)
        except ValueError as error:
            named = self._name(product)
            raise ConfigurationError(f"{self.path}: {named}{error}") from None
        request = settings.request
        if not request.inputs and not request.ops_lists:
            where = f"the product {product.name!r}" if product.name else "it"
            raise ConfigurationError(
                f"{self.path}: {where} has neither inputs nor ops_lists, so there is no model"
            )
        # What is given on the command line has no line here, and the command line refuses it.
        if _INPUTS not in given and not absent:
            self._refuse_absent(product, request.inputs)
        if not any(path[0] == "targets" for path in given):
            self._refuse_targets(product, settings.targets)
        return settings

    def make_publishing(self, given: Values) -> PublishSettings:
        """Returns the settings of the release; what is `given` by the user counts more."""
        return fill(ReleaseSettings, {**self.release, **given}).release

    def make_proofs(self, product: Product) -> ProofSettings:
        """Returns how a release verifies and checks a product.

        Raises:
            ConfigurationError: an ABI of `verify` is not built.
        """
        proofs = fill(ProofSettings, product.values)
        built = fill(BuildSettings, product.values).targets.abis
        named: list[tuple[Place, str]] = [
            (("verify", "abis", n), abi) for n, abi in enumerate(proofs.verify.abis)
        ]
        named += [(("verify", "via", abi), abi) for abi, _ in proofs.verify.via]
        for place, abi in named:
            if abi not in built:
                message = f"the ABI {abi!r} is not in targets.abis: {', '.join(built)}"
                raise self.fail(product, place, message, None)
        return proofs

    def find_line(self, *key: str) -> str:
        """Returns how an error names a key that stands outside of the products."""
        line = self.lines.get(key)
        where = str(self.path) if line is None else f"{self.path}, line {line}"
        return f"{where}: {'.'.join(key)}"

    def _refuse_absent(self, product: Product, models: Sequence[Path]) -> None:
        made = {one.output.resolve() for one in self.exports}
        for number, model in enumerate(models):
            if model.exists():
                continue
            is_made = model.resolve() in made
            raise self.fail(
                product,
                ("inputs", number),
                f"the file {model} {describe_absent(model)}"
                + (", and an export of this file makes it" if is_made else ""),
                Hint(Run("build", ("--export",))) if is_made else None,
            )

    def _refuse_targets(self, product: Product, wanted: TargetSettings) -> None:
        abis = wanted.abis
        for abi in dict.fromkeys(abis):
            self._locate(product, ("targets", "abis", abis.index(abi)), (abi,), {})
        for name in ("min_api", "min_ios"):
            limits = {name: getattr(wanted, name)}
            self._locate(product, ("targets", name), abis, limits)

    def _locate(
        self, product: Product, key: Place, abis: Sequence[str], limits: Mapping[str, Any]
    ) -> None:
        try:
            locate_targets(abis, **limits)
        except ConfigurationError as error:
            # The text of a hint has the keys of the file, and not the options of a command.
            hint = str(error.hint) if key[1] != "abis" else error.hint
            raise self.fail(product, key, error.message, hint) from None

    def _name(self, product: Product) -> str:
        """Returns what begins a message that is about one of several products."""
        named = name_product(product.name, len(self.products))
        return f"{named}: " if named else ""

    def fail(
        self, product: Product, key: Place, message: str, hint: str | None
    ) -> ConfigurationError:
        """Returns the error for a key of a product, with its line, which may be outside of it."""
        names = (one for one in key if isinstance(one, str))
        is_own = (PRODUCTS, product.name, *names) in self.lines
        place = (PRODUCTS, product.name, *key) if is_own else key
        # A key that all products share may be wrong for one of them only.
        message = message if is_own else f"{self._name(product)}{message}"
        return make_error(self.path, self.lines, place, message, hint)


class Outputs:
    """The outputs of products; tells which of them another place for files would meet."""

    def __init__(self, products: Sequence[Product] = ()) -> None:
        self._outputs: dict[Path, str] = {}
        """Output -> what it is called."""
        self._around: dict[Path, str] = {}
        """Folder -> what an output is called that is somewhere inside of it."""
        for one in products:
            self.add(one)

    def add(self, product: Product) -> None:
        """Adds the output of a product."""
        whose = f"the product {product.name!r}" if product.name else "the build"
        self.add_folder(find_output(product), f"the output of {whose}")

    def add_folder(self, folder: Path, named: str) -> None:
        """Adds another folder, which errors call `named`."""
        resolved = folder.resolve()
        self._outputs.setdefault(resolved, named)
        for outer in resolved.parents:
            self._around.setdefault(outer, named)

    def find_meeting(self, folder: Path) -> str:
        """Says which output `folder` is, is in or holds; empty if none."""
        resolved = folder.resolve()
        if resolved in self._outputs:
            return f"{folder} is also {self._outputs[resolved]}"
        for outer in resolved.parents:
            if outer in self._outputs:
                return f"{folder} is inside {self._outputs[outer]}"
        inner = self._around.get(resolved)
        return f"{folder} holds {inner}" if inner else ""


def find_output(product: Product) -> Path:
    """Returns the folder that builds of a product write into."""
    return Path(str(product.values[OUTPUT]))


def make_error(
    path: Path, lines: Mapping[Place, int], place: Place, message: str, hint: str | None
) -> ConfigurationError:
    """Returns an error that names file, key, and the line of the key or of one around it."""
    line = next((lines[place[:n]] for n in range(len(place), 0, -1) if place[:n] in lines), None)
    where = str(path) if line is None else f"{path}, line {line}"
    key = ".".join(map(str, place))
    if len(message) > _LONGEST_MESSAGE:
        message = f"{message[:_LONGEST_MESSAGE]}..."
    return ConfigurationError(
        f"{where}: {key}: {message}" if key else f"{where}: {message}", hint=hint
    )
