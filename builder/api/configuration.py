"""Reads `builder.yaml`: the settings of builds and exports as a file.

The keys of the file are the settings themselves (`builder.core.setting_fields`), so that nothing is
declared twice. builder/schemas/builder-yaml.json is made from the same declarations.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, replace
from pathlib import Path
from typing import Any, get_args

from builder.api.configured_values import convert_value, show_value
from builder.api.products import (
    EXPORTS,
    OUTPUT,
    PRODUCTS,
    Configuration,
    Outputs,
    Product,
    Values,
    find_output,
    make_error,
)
from builder.api.release_report import CHECKSUMS, MARKDOWN, PAGE, REPORT, list_published
from builder.api.settings import BuildSettings, ProofSettings, PublishSettings, ReleaseSettings
from builder.core.budgets import Budgets
from builder.core.nesting import InputSpec
from builder.core.setting_fields import SettingField, fill, list_settings
from builder.core.typed import suggest
from builder.errors import BuilderError, ConfigurationError, Hint, Run
from builder.export.request import ExportRequest
from builder.formats.plain_yaml import parse_documents
from builder.formats.yaml_lines import Place, find_lines
from builder.packaging.result_folder import LISTING
from builder.system.files import (
    describe_absent,
    describe_unreadable,
    leads_nowhere,
    read_regular,
)
from builder.system.scratch import is_scratch_name

_OWN = (BuildSettings, ProofSettings)
_SHARED = (*_OWN, ReleaseSettings)
"""What stands in each product, and outside of the products."""
_PUBLISHED = ("release", "output")
_MOST = 1 << 20
"""Bytes of a file that is read."""
_MOST_LISTED = 1_000
"""Items of each list, and keys of each mapping: products, exports, inputs."""
_MOST_TOGETHER = 100_000
"""Inputs of all products together; products share what stands outside of them."""
_LONGEST_TEXT = 4096
"""Characters of a text; no path can be longer (Linux, PATH_MAX)."""
_DEEPEST = 64
"""Folders in a path."""
_LONGEST = 255
"""Bytes of a name in a path, on all file systems that builder runs on."""
_OF_RELEASES = frozenset(name.casefold() for name in (REPORT, MARKDOWN, PAGE, CHECKSUMS, LISTING))
"""Names of what builder writes beside the products of a release."""
_PATHS_OR_NAMES = frozenset(("weights", "calibrate", "ops_lists"))
"""Settings that name a file in the folder of the configuration, or something else."""


def read_configuration(path: Path) -> Configuration:
    """Returns what `path` says; paths in it are relative to its folder. Nothing is run.

    Raises:
        ConfigurationError: it cannot be read, is not YAML, has an unknown key or a wrong value, or
            a budget is for an ABI that no product has. The message names file, line and key.
    """
    try:
        # Editors of Windows begin a text with a byte-order mark.
        text = read_regular(path, _MOST).decode("utf-8-sig")
    except OSError as error:
        raise ConfigurationError(
            f"{path} {describe_unreadable(path, error)}", hint=Hint("write one: ", Run("init"))
        ) from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not a text file in UTF-8") from None
    except ValueError as error:
        raise ConfigurationError(f"{path}: {error}") from None
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
        said = str(error)
        between = ", " if said.startswith("line ") else ": "
        raise ConfigurationError(f"{path}{between}{said}") from None
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
        # Before any value is read: a product takes half a millisecond, an input asks the disk.
        self._refuse_large(document, ())
        content = dict(self._take_mapping(document, ()))
        exports = self._take_list(content.pop(EXPORTS, None), (EXPORTS,))
        products = self._take_mapping(content.pop(PRODUCTS, None), (PRODUCTS,))
        shared = self._read_groups(_SHARED, content, (), others=(EXPORTS, PRODUCTS))
        if not (shared or products or exports):
            raise self._fail((), "it has no settings")
        release: Values = {path: shared.pop(path) for path in tuple(shared) if path[0] == "release"}
        usual = self.path.parent / BuildSettings().output
        shared.setdefault(OUTPUT, self._check_path(usual, OUTPUT))
        read = tuple(
            self._read_product(name, value, shared) for name, value in products.items()
        ) or (Product(name="", values=shared),)
        self._refuse_many(read)
        self._refuse_idle(shared, read)
        requests = tuple(
            self._read_export(value, (EXPORTS, number)) for number, value in enumerate(exports)
        )
        self._refuse_same_exports(requests)
        release = self._place_release(release, read)
        outputs = Outputs(read)
        for folder in list_published(Path(str(release[_PUBLISHED]))):
            outputs.add_folder(folder, "the folder of the release")
        for number, one in enumerate(requests):
            if said := outputs.find_meeting(one.output):
                raise self._fail((EXPORTS, number, "output"), said)
        return Configuration(
            path=self.path,
            lines=self.lines,
            products=read,
            release=release,
            exports=requests,
        )

    def _refuse_large(self, value: object, place: Place) -> None:
        """Raises ConfigurationError for more than a file that people write has."""
        if isinstance(value, str) and len(value) > _LONGEST_TEXT:
            raise self._fail(
                place, f"it has {len(value):,} characters, more than {_LONGEST_TEXT:,}"
            )
        if not isinstance(value, dict | list):
            return
        if len(value) > _MOST_LISTED:
            raise self._fail(place, f"it has {len(value):,}, more than {_MOST_LISTED:,}")
        # parse_documents has limited how deep values are nested.
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(key, str) and len(key) > _LONGEST_TEXT:
                raise self._fail(place, f"a key has more than {_LONGEST_TEXT:,} characters")
            self._refuse_large(inner, (*place, key))

    def _refuse_many(self, products: Sequence[Product]) -> None:
        inputs = (one.values.get(("request", "inputs"), ()) for one in products)
        count = sum(len(listed) for listed in inputs if isinstance(listed, tuple))
        if count > _MOST_TOGETHER:
            raise self._fail(
                (PRODUCTS,),
                f"the products have {count:,} inputs together, more than {_MOST_TOGETHER:,}",
            )

    def _refuse_same_exports(self, exports: Sequence[ExportRequest]) -> None:
        """Raises ConfigurationError for two exports with one output, of which one would be lost."""
        known: dict[Path, int] = {}
        for number, one in enumerate(exports):
            first = known.setdefault(one.output.resolve(), number)
            if first != number:
                line = self.lines.get((EXPORTS, first))
                raise self._fail(
                    (EXPORTS, number, "output"),
                    "another export has the same output" + (f" (line {line})" if line else ""),
                )

    def _read_product(self, name: str, value: object, shared: Values) -> Product:
        place = (PRODUCTS, name)
        if not _is_plain_name(name):
            raise self._fail(
                place,
                "this cannot be the name of a product: it is also that of a folder, so it has "
                "neither separators nor control characters, and no spaces around it",
            )
        # Also where the file system does not tell upper and lower case apart.
        if name.casefold() in _OF_RELEASES or is_scratch_name(name):
            raise self._fail(
                place,
                "this cannot be the name of a product: it is also that of a folder in a release, "
                "where builder writes a file with this name",
            )
        own = self._read_groups(_OWN, self._take_mapping(value, place), place)
        # Products that share a folder would replace each other's results.
        own.setdefault(OUTPUT, self._check_path(Path(str(shared[OUTPUT])) / name, place))
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
        outputs = Outputs()
        for one in products:
            if said := outputs.find_meeting(find_output(one)):
                raise self._fail((PRODUCTS, one.name), f"its output {said}")
            outputs.add(one)

    def _place_release(self, values: Values, products: Sequence[Product]) -> Values:
        """Returns the settings of the release; its folder is beside the file, and its own."""
        usual = self._check_path(self.path.parent / PublishSettings().output, ("release",))
        placed = {_PUBLISHED: usual, **values}
        if said := Outputs(products).find_meeting(Path(str(placed[_PUBLISHED]))):
            raise self._fail(("release", "output"), said)
        return placed

    def _refuse_idle_budgets(self, values: Values, abis: Sequence[str], place: Place) -> None:
        for name, budget in _make_budgets(values).list_idle(abis):
            raise self._fail(
                (*place, "budgets", name),
                f"{budget.text} is for the ABI {budget.abi!r}, which is not in targets.abis: "
                f"{', '.join(abis)}",
            )

    def _read_export(self, value: object, place: Place) -> ExportRequest:
        values = self._read_groups((ExportRequest,), self._take_mapping(value, place), place)
        try:
            made = fill(ExportRequest, values)
        except (TypeError, ValueError) as error:
            raise self._fail(place, str(error)) from None
        return replace(made, folder=self.path.parent.resolve())

    def _read_groups(
        self,
        kinds: Sequence[type],
        value: Mapping[str, object],
        place: Place,
        others: Sequence[str] = (),
    ) -> dict[tuple[str, ...], object]:
        """Returns the settings of several dataclasses, whose fields have different names."""
        tree = {key: inner for kind in kinds for key, inner in _make_tree(kind).items()}
        read = dict(self._walk(tree, value, place, others))
        for one in (one for kind in kinds for one in list_settings(kind)):
            if one.default is MISSING and _has_group(value, one.group) and one.path not in read:
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
            made = convert_value(kind, value)
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
            if leads_nowhere(path):
                said = f"{path} {describe_absent(path)}"
            raise self._fail(place, said)
        return kind(path)

    def _check_path(self, path: Path, place: Place) -> Path:
        """Returns `path`, there or not; ConfigurationError if no file can have this path."""
        try:
            if len(path.parts) - len(self.path.parent.parts) > _DEEPEST:
                raise self._fail(place, f"this path has more than {_DEEPEST} folders")
            if any(len(os.fsencode(name)) > _LONGEST for name in path.parts):
                raise self._fail(place, f"a name in this path has more than {_LONGEST} bytes")
            # A path with `..` behind a folder that is absent has only its links looked at.
            path.resolve()
            path.stat()
        except FileNotFoundError:
            pass
        except (OSError, RuntimeError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            # Before Python 3.13, links in a circle are a RuntimeError.
            if isinstance(error, RuntimeError):
                reason = os.strerror(errno.ELOOP)
            raise self._fail(place, f"this path cannot be used: {reason}") from None
        return path

    def _take_mapping(self, value: object, place: Place) -> Mapping[str, object]:
        # A key whose lines are all comments has no value.
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self._fail(place, f"expected keys with values, not {show_value(value)}")
        return value

    def _take_list(self, value: object, place: Place) -> Sequence[object]:
        if value is None:
            return []
        if not isinstance(value, list):
            raise self._fail(
                place, f"expected a list, not {show_value(value)}: write [{show_value(value)}]"
            )
        return value

    def _fail(self, place: Place, message: str) -> ConfigurationError:
        hint = "docs/reference/settings.md lists the keys"
        return make_error(self.path, self.lines, place, message, hint)


def _has_group(value: Mapping[str, object], group: Sequence[str]) -> bool:
    """Returns whether keys of a group would stand in `value`, or whether the group itself does."""
    inner: object = value
    for key in group:
        if not isinstance(inner, dict) or key not in inner:
            return False
        inner = inner[key]
    return True


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
