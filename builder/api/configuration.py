"""Reads `builder.yaml`: the settings of builds and exports as a file.

The keys of the file are the settings themselves (`builder.core.setting_fields`), so that nothing is
declared twice. builder/schemas/builder-yaml.json is made from the same declarations.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, replace
from enum import EnumType
from pathlib import Path
from typing import Any, get_args

from builder.api.settings import BuildSettings, TargetSettings
from builder.api.toolchains import locate_targets
from builder.core.backends import Backend
from builder.core.budgets import Budgets
from builder.core.dtypes import DtypeSet
from builder.core.nesting import InputSpec, parse_input
from builder.core.release import Release
from builder.core.setting_fields import SettingField, fill, list_settings
from builder.core.typed import suggest
from builder.errors import BuilderError, ConfigurationError, Hint, Run
from builder.export.request import ExportRequest
from builder.formats.plain_yaml import parse_documents
from builder.formats.yaml_lines import Place, find_lines
from builder.sources.releases import list_optional_backends, load_release
from builder.system.files import read_regular

EXPORTS, PRODUCTS = "exports", "products"
_OUTPUT = ("output",)
_INPUTS = ("request", "inputs")
_MOST = 1 << 20
"""Bytes of a file that is read."""
_LONGEST = 255
"""Bytes of a name in a path, on all file systems that builder runs on."""
_PATHS_OR_NAMES = frozenset(("weights", "calibrate", "ops_lists"))
"""Settings that name a file in the folder of the configuration, or something else."""

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

    def make_settings(self, product: Product, given: Values) -> BuildSettings:
        """Returns the settings of a product; what is `given` by the user counts more.

        Raises:
            ConfigurationError: a model is not there, or settings do not fit together.
        """
        values = {**product.values, **given}
        try:
            settings = fill(BuildSettings, values)
        except ValueError as error:
            raise ConfigurationError(f"{self.path}: {error}") from None
        request = settings.request
        if not request.inputs and not request.ops_lists:
            where = f"the product {product.name!r}" if product.name else "it"
            raise ConfigurationError(
                f"{self.path}: {where} has neither inputs nor ops_lists, so there is no model"
            )
        # What is given on the command line has no line here, and the command line refuses it.
        if _INPUTS not in given:
            self._refuse_absent(product, request.inputs)
        if not any(path[0] == "targets" for path in given):
            self._refuse_targets(product, settings.targets)
        return settings

    def _refuse_absent(self, product: Product, models: Sequence[Path]) -> None:
        made = {one.output.resolve() for one in self.exports}
        for number, model in enumerate(models):
            if model.exists():
                continue
            is_made = model.resolve() in made
            raise self._fail(
                product,
                ("inputs", number),
                f"the file {model} does not exist"
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
            raise self._fail(product, key, error.message, hint) from None

    def _fail(
        self, product: Product, key: Place, message: str, hint: str | None
    ) -> ConfigurationError:
        """Returns the error for a key of a product, which may stand outside of the product."""
        own = (PRODUCTS, product.name, *key)
        place = own if any(own[:n] in self.lines for n in range(3, len(own) + 1)) else key
        return _make_error(self.path, self.lines, place, message, hint)


def read_configuration(path: Path) -> Configuration:
    """Returns what `path` says; paths in it are relative to its folder. Nothing is run.

    Raises:
        ConfigurationError: it cannot be read, is not YAML, has an unknown key or a wrong value, or
            a budget is for an ABI that no product has. The message names file, line and key.
    """
    try:
        text = read_regular(path, _MOST).decode()
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror}", hint=Hint("write one: ", Run("init"))
        ) from None
    except ValueError as error:
        raise ConfigurationError(f"{path}, {error}") from None
    return parse_configuration(text, path)


def parse_configuration(text: str, path: Path) -> Configuration:
    """Returns what `text` says as the content of the file `path`, which need not be there.

    Raises:
        ConfigurationError: as `read_configuration` does.
    """
    try:
        lines = find_lines(text)
        documents = list(parse_documents(text))
    except ValueError as error:
        raise ConfigurationError(f"{path}, {error}") from None
    if len(documents) > 1:
        raise ConfigurationError(f"{path}: it has {len(documents)} YAML documents, and not one")
    reader = _Reader(path, lines)
    return reader.read(documents[0] if documents else None)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Turns plain values into settings; each error has the line of its key."""

    path: Path
    lines: Mapping[Place, int]

    def read(self, document: object) -> Configuration:
        content = dict(self._take_mapping(document, ()))
        exports = self._take_list(content.pop(EXPORTS, None), (EXPORTS,))
        products = self._take_mapping(content.pop(PRODUCTS, None), (PRODUCTS,))
        shared = self._read_group(BuildSettings, content, (), others=(EXPORTS, PRODUCTS))
        if not (shared or products or exports):
            raise self._fail((), "it has no settings")
        usual = self.path.parent / BuildSettings().output
        shared.setdefault(_OUTPUT, self._check_path(usual, _OUTPUT))
        read = tuple(
            self._read_product(name, value, shared) for name, value in products.items()
        ) or (Product(name="", values=shared),)
        self._refuse_idle(shared, read)
        return Configuration(
            path=self.path,
            lines=self.lines,
            products=read,
            exports=tuple(
                self._read_export(value, (EXPORTS, number)) for number, value in enumerate(exports)
            ),
        )

    def _read_product(self, name: str, value: object, shared: Values) -> Product:
        place = (PRODUCTS, name)
        if not _is_plain_name(name):
            raise self._fail(
                place,
                "this cannot be the name of a product: it is also that of a folder, so it has "
                "neither separators nor control characters, and no spaces around it",
            )
        own = self._read_group(BuildSettings, self._take_mapping(value, place), place)
        # Products that share a folder would replace each other's results.
        own.setdefault(_OUTPUT, self._check_path(Path(str(shared[_OUTPUT])) / name, place))
        return Product(name=name, values={**shared, **own})

    def _refuse_idle(self, shared: Values, products: Sequence[Product]) -> None:
        """Raises ConfigurationError for budgets of ABIs that are not built."""
        self._refuse_shared_outputs(products)
        everywhere = {abi for one in products for abi in _list_abis(one.values)}
        for one in products:
            place: Place = (PRODUCTS, one.name) if one.name else ()
            own = {path: v for path, v in one.values.items() if shared.get(path) is not v}
            self._refuse_idle_budgets(own, _list_abis(one.values), place)
        self._refuse_idle_budgets(shared, sorted(everywhere), ())

    def _refuse_shared_outputs(self, products: Sequence[Product]) -> None:
        """Raises ConfigurationError for outputs that are the same, or inside one another."""
        outputs: dict[Path, str] = {}
        for one in products:
            output = Path(str(one.values[_OUTPUT])).resolve()
            if output in outputs:
                known = outputs[output]
                raise self._fail(
                    (PRODUCTS, one.name), f"it has the same output as the product {known!r}"
                )
            outputs[output] = one.name
        for output, name in outputs.items():
            outer = next((outputs[one] for one in output.parents if one in outputs), None)
            if outer is not None:
                raise self._fail(
                    (PRODUCTS, name), f"its output is inside that of the product {outer!r}"
                )

    def _refuse_idle_budgets(self, values: Values, abis: Sequence[str], place: Place) -> None:
        for name, budget in _make_budgets(values).list_idle(abis):
            raise self._fail(
                (*place, "budgets", name),
                f"{budget.text} is for the ABI {budget.abi!r}, which is not in targets.abis: "
                f"{', '.join(abis)}",
            )

    def _read_export(self, value: object, place: Place) -> ExportRequest:
        values = self._read_group(ExportRequest, self._take_mapping(value, place), place)
        try:
            made = fill(ExportRequest, values)
        except (TypeError, ValueError) as error:
            raise self._fail(place, str(error)) from None
        return replace(made, folder=self.path.parent.resolve())

    def _read_group(
        self, kind: type, value: Mapping[str, object], place: Place, others: Sequence[str] = ()
    ) -> dict[tuple[str, ...], object]:
        tree = _make_tree(kind)
        read = dict(self._walk(tree, value, place, others))
        for one in list_settings(kind):
            is_used = len(one.path) == 1 or any(path[:-1] == one.path[:-1] for path in read)
            if one.default is MISSING and is_used and one.path not in read:
                where = (*place, *one.group)
                raise self._fail(where, f"the key {one.name!r} is missing")
        return read

    def _walk(
        self,
        tree: Mapping[str, Any],
        value: Mapping[str, object],
        place: Place,
        others: Sequence[str] = (),
    ) -> Iterator[tuple[tuple[str, ...], object]]:
        for key, inner in value.items():
            here = (*place, key)
            if key not in tree:
                raise self._fail(here, f"unknown key; {suggest(key, (*tree, *others))}")
            known = tree[key]
            if isinstance(known, SettingField):
                yield known.path, self._convert_all(known, inner, here)
            else:
                yield from self._walk(known, self._take_mapping(inner, here), here)

    def _convert_all(self, one: SettingField, value: object, place: Place) -> object:
        # The items of a list may all be comments.
        if value is None and not one.several and not _is_pairs(one):
            raise self._fail(place, "it has no value")
        if _is_pairs(one):
            pairs = self._take_mapping(value, place)
            kind = get_args(one.kind)[1]
            return tuple(
                (name, self._convert(one, kind, inner, (*place, name)))
                for name, inner in pairs.items()
            )
        if not one.several:
            return self._convert(one, one.kind, value, place)
        items = self._take_list(value, place)
        if not items and one.default:
            raise self._fail(place, "the list is empty; without the key, the default applies")
        made = [self._convert(one, one.kind, item, (*place, n)) for n, item in enumerate(items)]
        return frozenset(made) if isinstance(one.default, frozenset) else tuple(made)

    def _convert(self, one: SettingField, kind: Any, value: object, place: Place) -> object:  # noqa: ANN401
        if one.setting.absent and value == one.setting.absent:
            return None
        try:
            made = _CONVERSIONS.get(kind, _convert_other)(kind, value)
        except (ValueError, BuilderError) as error:
            raise self._fail(place, str(error)) from None
        least, most = one.setting.least, one.setting.most
        # Only numbers have bounds.
        if isinstance(made, int | float) and not _is_within(made, least, most):
            limits = f"from {least}" + (f" to {most:,}" if most is not None else "")
            raise self._fail(place, f"expected a number {limits}, not {value}")
        if kind is Path or one.name in _PATHS_OR_NAMES:
            return self._place(one, str(made), kind, place)
        return made

    def _place(self, one: SettingField, text: str, kind: Any, place: Place) -> object:  # noqa: ANN401
        """Returns a path in the folder of the file; a name stays a name."""
        path = self._check_path(self.path.parent / text, place)
        if one.name in _PATHS_OR_NAMES and not path.exists():
            return kind(text)
        wanted = one.setting.path.removeprefix("new ")
        is_wanted = path.is_file() if wanted == "file" else path.is_dir()
        may_be_absent = wanted != one.setting.path and not path.exists()
        if wanted and not is_wanted and not may_be_absent:
            said = f"{path} is no {wanted}" if path.exists() else f"there is no {wanted} {path}"
            raise self._fail(place, said)
        return kind(path)

    def _check_path(self, path: Path, place: Place) -> Path:
        """Returns `path`, there or not; ConfigurationError if no file can have this path."""
        try:
            if any(len(os.fsencode(name)) > _LONGEST for name in path.parts):
                raise self._fail(place, f"a name in this path has more than {_LONGEST} bytes")
            # A path with `..` behind a folder that is absent has only its links looked at.
            path.resolve()
            path.stat()
        except FileNotFoundError:
            pass
        except (OSError, RuntimeError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise self._fail(place, f"this path cannot be used: {reason}") from None
        return path

    def _take_mapping(self, value: object, place: Place) -> Mapping[str, object]:
        # A key whose lines are all comments has no value.
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self._fail(place, f"expected keys with values, not {_show(value)}")
        return value

    def _take_list(self, value: object, place: Place) -> Sequence[object]:
        if value is None:
            return []
        if not isinstance(value, list):
            raise self._fail(place, f"expected a list, not {_show(value)}: write [{_show(value)}]")
        return value

    def _fail(self, place: Place, message: str) -> ConfigurationError:
        hint = "docs/reference/settings.md lists the keys"
        return _make_error(self.path, self.lines, place, message, hint)


def _make_error(
    path: Path, lines: Mapping[Place, int], place: Place, message: str, hint: str | None
) -> ConfigurationError:
    """Returns an error that names file, key, and the line of the key or of one around it."""
    line = next((lines[place[:n]] for n in range(len(place), 0, -1) if place[:n] in lines), None)
    where = str(path) if line is None else f"{path}, line {line}"
    key = ".".join(map(str, place))
    return ConfigurationError(
        f"{where}: {key}: {message}" if key else f"{where}: {message}", hint=hint
    )


def _is_plain_name(name: str) -> bool:
    is_shown = name.isprintable() and name == name.strip()
    return bool(name) and is_shown and name not in {".", ".."} and not {"/", "\\"} & set(name)


def _make_tree(kind: type) -> dict[str, Any]:
    """Returns the keys of a dataclass as nested dicts; each leaf is a setting."""
    tree: dict[str, Any] = {}
    for one in list_settings(kind):
        place = tree
        for name in one.group:
            place = place.setdefault(name, {})
        place[one.name] = one
    return tree


def _list_abis(values: Values) -> tuple[str, ...]:
    abis = values.get(("targets", "abis"), BuildSettings().targets.abis)
    assert isinstance(abis, tuple)
    return abis


def _make_budgets(values: Values) -> Budgets:
    given = {path: value for path, value in values.items() if path[0] == "budgets"}
    return fill(BuildSettings, given).budgets if given else Budgets()


def _is_within(number: float, least: int | None, most: int | None) -> bool:
    return (least is None or number >= least) and (most is None or number <= most)


def _is_pairs(one: SettingField) -> bool:
    return one.kind is not InputSpec and len(get_args(one.kind)) == 2


def _show(value: object) -> str:
    return repr(value) if len(repr(value)) < 60 else f"{type(value).__name__} of {len(str(value))}"


def _take_bool(kind: Any, value: object) -> object:  # noqa: ANN401, ARG001
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false, not {_show(value)}")  # noqa: TRY004
    return value


def _take_int(kind: Any, value: object) -> object:  # noqa: ANN401, ARG001
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"expected a whole number, not {_show(value)}")  # noqa: TRY004
    return value


def _take_float(kind: Any, value: object) -> object:  # noqa: ANN401, ARG001
    # Plain YAML has whole numbers only; others are texts.
    try:
        number = float(value) if isinstance(value, str | int) else math.nan
    except ValueError:
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError(f"expected a number, not {_show(value)}")
    return number


def _take_text(kind: Any, value: object) -> str:  # noqa: ANN401, ARG001
    # A version such as 7 looks like a number.
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise ValueError(f"expected text, not {_show(value)}")
    return str(value)


def _take_backend(kind: Any, value: object) -> Backend:  # noqa: ANN401
    known = {one.name: one for one in list_optional_backends()}
    name = _take_text(kind, value)
    if name not in known:
        raise ValueError(f"{name!r} is not a backend; {suggest(name, known)}")
    return known[name]


def _take_dtypes(kind: Any, value: object) -> DtypeSet:  # noqa: ANN401
    if isinstance(value, list):
        return DtypeSet.of(_take_text(kind, one) for one in value)
    return DtypeSet.parse(_take_text(kind, value))


def _convert_other(kind: Any, value: object) -> object:  # noqa: ANN401
    text = _take_text(kind, value)
    if isinstance(kind, EnumType):
        known = [str(one) for one in list[Any](kind)]
        if text not in known:
            raise ValueError(f"{text!r} is not a value of it; {suggest(text, known)}")
        return kind(text)
    return kind.parse(text) if hasattr(kind, "parse") else kind(text)


_CONVERSIONS: dict[object, Any] = {
    bool: _take_bool,
    int: _take_int,
    float: _take_float,
    Backend: _take_backend,
    DtypeSet: _take_dtypes,
    InputSpec: lambda kind, value: parse_input(_take_text(kind, value)),
    Release: lambda kind, value: load_release(_take_text(kind, value)),
}
"""Types that a value is read as in another way than text with `parse`."""
