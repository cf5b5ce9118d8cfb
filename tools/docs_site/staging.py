"""Copies README, docs and the pages that they link to into one folder, as Sphinx wants them.

The repository's links are for its own viewers. In the site, `docs/` is the root, and everything
else that a page links to is below `project/`.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path, PurePosixPath

OUTSIDE = PurePosixPath("project")
INDEX = PurePosixPath("docs/README.md")
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(\]\()([^)\s]+)(\))")
_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
_ITEM = re.compile(r"^- (?:.|\n(?!\n|- ))*", re.MULTILINE)


def stage_pages(root: Path, target: Path) -> list[PurePosixPath]:
    """Writes all pages that the index reaches into `target`.

    Returns:
        The staged pages, as paths below `target`.

    Raises:
        ValueError: a link leads to a path that is not a file of the repository.
    """
    waiting, done = [INDEX], dict[PurePosixPath, PurePosixPath]()
    while waiting:
        page = waiting.pop()
        if page in done:
            continue
        done[page] = place_in_site(page)
        staged = target / done[page]
        staged.parent.mkdir(parents=True, exist_ok=True)
        if page.suffix != ".md":
            shutil.copyfile(root / page, staged)
            continue
        text, linked = move_links((root / page).read_text(), page)
        for path in linked:
            if not (root / path).is_file():
                message = f"{page}: {path} is not a file, which a site needs"
                raise ValueError(message)
        waiting.extend(linked)
        if page == INDEX:
            text = f"{text}\n{render_navigation(text)}"
        staged.write_text(text)
    return sorted(path for path in done.values() if path.suffix == ".md")


def place_in_site(path: PurePosixPath) -> PurePosixPath:
    """Returns where a file of the repository stands in the site."""
    if path == INDEX:
        return PurePosixPath("index.md")
    if path.is_relative_to("docs"):
        return path.relative_to("docs")
    return OUTSIDE / path


def move_links(text: str, page: PurePosixPath) -> tuple[str, list[PurePosixPath]]:
    """Returns a page with the links that it has in the site, and the files that they lead to."""
    linked = []

    def move(match: re.Match[str]) -> str:
        path, mark, anchor = match[2].partition("#")
        if not path or "://" in path:
            return match[0]
        file = PurePosixPath(os.path.normpath(page.parent / path))
        linked.append(file)
        moved = os.path.relpath(place_in_site(file), place_in_site(page).parent)
        return f"{match[1]}{moved}{mark}{anchor}{match[3]}"

    parts, end = [], 0
    for fence in _FENCE.finditer(text):
        parts += [_LINK.sub(move, text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join((*parts, _LINK.sub(move, text[end:]))), linked


def render_navigation(index: str) -> str:
    """Returns the trees of the side bar: one for each section of the index that lists pages.

    An item with several links, such as that of the commands, is a tree of its own.
    """
    trees = []
    _, *sections = _SECTION.split(index)
    for title, body in zip(sections[::2], sections[1::2], strict=True):
        single, several = list[str](), list[str]()
        for item in _ITEM.findall(body):
            targets = [link[1] for link in _LINK.findall(item)]
            if len(targets) == 1:
                single += targets
            elif targets:
                several.append(_render_tree(item[2:].partition(":")[0], targets))
        trees += [_render_tree(title, single), *several] if single else several
    return "\n".join(trees)


def _render_tree(caption: str, targets: list[str]) -> str:
    lines = "\n".join(re.sub(r"\.md(#.*)?$", "", target) for target in targets)
    return f"```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{lines}\n```\n"
