"""Pictures of what `builder size --html` writes, taken by a Chromium without a window."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A part of the page, in pixels from its top."""

    name: str
    width: int
    height: int
    top: int = 0


def take_pictures(runtime: Path, folder: Path, pictures: tuple[Picture, ...]) -> list[Path]:
    """Writes a PNG for each of `pictures` of the size report of `runtime` into `folder`.

    Raises:
        FileNotFoundError: there is no Chromium on the PATH.
        subprocess.CalledProcessError: builder or Chromium failed.
    """
    chromium = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if chromium is None:
        message = "no Chromium is installed: apt install chromium"
        raise FileNotFoundError(message)
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as temporary:
        page = Path(temporary) / "size.html"
        size = (sys.executable, "-m", "builder", "size", str(runtime), "--html", str(page))
        subprocess.run(size, check=True, stdout=subprocess.DEVNULL)
        return [_take(chromium, page, folder, picture) for picture in pictures]


def _take(chromium: str, page: Path, folder: Path, picture: Picture) -> Path:
    target = folder / f"{picture.name}.png"
    shifted = page.with_name(f"{picture.name}.html")
    style = f"<style>html{{margin-top:-{picture.top}px;overflow:hidden}}</style>"
    shifted.write_text(page.read_text() + style)
    command = (
        chromium,
        "--headless",
        "--no-sandbox",  # the page is our own, and root has no sandbox
        "--disable-gpu",
        "--hide-scrollbars",
        f"--user-data-dir={page.parent / 'profile'}",
        f"--window-size={picture.width},{picture.height}",
        f"--screenshot={target}",
        shifted.as_uri(),
    )
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return target
