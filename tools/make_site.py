"""Builds the site of the documents with Sphinx, and the pictures in them with Chromium.

    python tools/make_site.py [-o site]               writes the site; any warning is an error
    python tools/make_site.py --pictures out/linux-x86_64
                                                      takes the pictures in docs/pictures anew,
                                                      from the size report of a runtime

The site needs the packages of the extra `test`, and the pictures a Chromium, which nothing here
installs: `apt install chromium`. Both work without a network.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from docs_site.pictures import Picture, take_pictures
from docs_site.staging import stage_pages

ROOT = Path(__file__).resolve().parent.parent
PARTS = Path(__file__).resolve().parent / "docs_site"
PICTURES = (
    Picture(name="size-treemap", width=1100, height=745),
    Picture(name="size-report", width=1100, height=725, top=750),
)


def main() -> None:
    """Does what the options say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "site", help="folder to write")
    parser.add_argument("--pictures", type=Path, metavar="RUNTIME", help="take the pictures anew")
    options = parser.parse_args()
    if options.pictures:
        for path in take_pictures(options.pictures, ROOT / "docs/pictures", PICTURES):
            click.echo(f"{path}: {path.stat().st_size:,} bytes")
        return
    sys.exit(build_site(options.output))


def build_site(output: Path) -> int:
    """Writes the site into `output`, and returns Sphinx's exit code."""
    with TemporaryDirectory() as temporary:
        source = Path(temporary) / "pages"
        pages = stage_pages(ROOT, source)
        shutil.copy(PARTS / "conf.py", source)
        shutil.copytree(PARTS / "static", source / "static")
        options = ("-b", "html", "-E", "-W", "--keep-going", "-q", "-d", f"{temporary}/trees")
        command = (sys.executable, "-m", "sphinx", *options, str(source), str(output))
        code = subprocess.run(command, check=False).returncode
    if code == 0:
        click.echo(f"{len(pages)} pages: {output / 'index.html'}")
    return code


if __name__ == "__main__":
    main()
