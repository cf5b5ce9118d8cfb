"""Fetching for real: a loopback server that misbehaves, a real git, kill -9."""

import hashlib
import http.server
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import pytest

from builder.core.sources import SourceLock, SourcePin
from builder.errors import SourceError
from builder.sources.git import GitProvider
from builder.sources.providers import DistributionProvider, Unavailable
from builder.sources.store import ArchiveStore
from builder.sources.tree import check_tree, find_tree, materialise
from builder.system.distribution import AptConfiguration, Mirror
from builder.system.network import Downloader
from builder.system.process import Runner
from builder.system.progress import Silent

CONTENT = bytes(range(256)) * 2000


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves files with ranges; can break off, be slow, and count."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        body = server.files.get(self.path)
        server.requests.append((self.path, self.headers.get("Range")))
        if body is None:
            self.send_error(404)
            return
        tag = '"' + hashlib.sha256(body).hexdigest()[:16] + '"'
        start, wanted = 0, self.headers.get("Range")
        if wanted and self.headers.get("If-Range") == tag:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("ETag", tag)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        rest = body[start:]
        if server.cuts:
            rest = rest[: server.cuts.pop(0)]
            self.close_connection = True
        for at in range(0, len(rest), 1 << 16):
            self.wfile.write(rest[at : at + (1 << 16)])
            self.wfile.flush()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.files, running.requests, running.cuts = {}, [], []
        running.url = f"http://127.0.0.1:{running.server_address[1]}/debian"
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def make_archive(files):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=0) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"top/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def make_pin(archive=b"", **changes):
    fields = {
        "name": "thing",
        "path": ".",
        "version": "1.0",
        "url": "https://127.0.0.1:9/thing",
        "commit": "a" * 40,
        "package": "thing",
        "file": "thing_1+dfsg.orig.tar.gz",
        "sha256": hashlib.sha256(archive).hexdigest(),
        "strip": 1,
        "licence": "MIT",
        "size": len(archive),
        "unpacked": len(archive),
    }
    return SourcePin(**{**fields, **changes})


PATH = "/debian/pool/main/t/thing/thing_1%2Bdfsg.orig.tar.gz"


def mirror(server, cache, **options):
    apt = AptConfiguration(mirrors=(Mirror(url=server.url, components=("main",)),))
    downloader = Downloader(sleep=lambda _: None, **options)
    store = ArchiveStore(folder=cache / "downloads")
    return DistributionProvider(apt=apt, downloader=downloader, store=store)


def test_a_tree_from_a_mirror_that_breaks_off_twice(server, tmp_path):
    archive = make_archive({"a": CONTENT})
    server.files[PATH] = archive
    server.cuts = [100_000, 200_000]
    lock = SourceLock(version="1.0", pins=(make_pin(archive),), patches=())
    made = materialise(lock, tmp_path, [mirror(server, tmp_path)], Silent())
    assert (made.root / "a").read_bytes() == CONTENT
    assert [wanted for _, wanted in server.requests] == [None, "bytes=100000-", "bytes=300000-"]


def test_a_file_that_changes_while_it_is_fetched_is_fetched_anew(server, tmp_path):
    archive = make_archive({"a": CONTENT})
    server.files[PATH] = make_archive({"a": CONTENT[::-1]})
    server.cuts = [100_000]
    original = Handler.do_GET

    def change_after_first(handler):
        original(handler)
        server.files[PATH] = archive

    handler = type("Changing", (Handler,), {"do_GET": change_after_first})
    server.RequestHandlerClass = handler
    delivery = mirror(server, tmp_path).deliver(make_pin(archive), lambda _: None)
    assert delivery.archive.read_bytes() == archive


def test_wrong_bytes_are_refused_and_the_next_run_asks_again(server, tmp_path):
    archive = make_archive({"a": CONTENT})
    server.files[PATH] = archive[:-1] + b"x"
    lock = SourceLock(version="1.0", pins=(make_pin(archive),), patches=())
    with pytest.raises(SourceError, match="expected sha256"):
        materialise(lock, tmp_path, [mirror(server, tmp_path)], Silent())
    server.files[PATH] = archive
    materialise(lock, tmp_path, [mirror(server, tmp_path)], Silent())
    assert check_tree(lock, tmp_path) == 1


def test_nobody_answering_names_the_url(tmp_path):
    class Nowhere:
        url = "http://127.0.0.1:9/debian"

    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9/debian/pool.*connection was refused"):
        mirror(Nowhere, tmp_path).deliver(make_pin(b"x"), lambda _: None)


KILLED = """
import os, signal, sys
sys.path[:0] = [{tests!r}]
from pathlib import Path
import test_fetch_http as t
from builder.core.sources import SourceLock
from builder.sources.tree import materialise
from builder.system.progress import Silent

class Server:
    url = {url!r}

cache = Path({cache!r})
pin = t.make_pin(Path({archive!r}).read_bytes())
lock = SourceLock(version="1.0", pins=(pin,), patches=())


class Killed(Silent):
    # Ends this process in the call of that number, or when it is told of that step.

    calls = 0

    def advance(self, done, total, what):
        self.calls += 1
        if self.calls == {point!r}:
            os.kill(os.getpid(), signal.SIGKILL)

    def step(self, text):
        if text.startswith(str({point!r})):
            os.kill(os.getpid(), signal.SIGKILL)

materialise(lock, cache, [t.mirror(Server, cache)], Killed())
"""


def test_kill_minus_nine_and_again(server, tmp_path):
    """However far the first run came, the second ends with the same tree and asks for the rest."""
    archive = make_archive({f"folder/{i}": CONTENT[:4000] for i in range(400)})
    server.files[PATH] = archive
    (tmp_path / "archive").write_bytes(archive)
    cache = tmp_path / "cache é"
    lock = SourceLock(version="1.0", pins=(make_pin(archive),), patches=())
    for point in (1, 2, "Unpacking"):
        script = KILLED.format(
            tests=str(Path(__file__).parent),
            url=server.url,
            cache=str(cache),
            archive=str(tmp_path / "archive"),
            point=point,
        )
        ended = subprocess.run([sys.executable, "-c", script], check=False)
        assert ended.returncode == -signal.SIGKILL
        assert find_tree(lock, cache) is None
    materialise(lock, cache, [mirror(server, cache)], Silent())
    assert check_tree(lock, cache) == 400
    assert any(wanted for _, wanted in server.requests)


@pytest.fixture
def repository(tmp_path):
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    folder = tmp_path / "upstream"
    (folder / "src").mkdir(parents=True)
    (folder / "src/a.c").write_text("int a;\n")
    (folder / "docs").mkdir()
    (folder / "docs/x").write_text("x")
    environment = {
        **os.environ,
        "GIT_CONFIG_GLOBAL": os.devnull,
        **{
            f"GIT_{who}_{what}": value
            for who in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", "t"), ("EMAIL", "t@example.org"))
        },
    }

    def git(*arguments):
        return subprocess.run(
            ["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True,
            text=True,
        ).stdout.strip()  # fmt: skip

    git("init", "-q", ".")
    git("add", ".")
    git("commit", "-q", "-m", "one")
    pinned = git("rev-parse", "HEAD")
    (folder / "src/a.c").write_text("int b;\n")
    git("commit", "-q", "-a", "-m", "two")
    return f"file://{folder}", pinned


def test_git_delivers_the_pinned_commit_and_then_works_offline(repository, tmp_path):
    url, commit = repository
    pin = make_pin(b"not the distribution's bytes", url=url, commit=commit, excluded=("docs",))
    lock = SourceLock(version="1.0", pins=(pin,), patches=())
    runner = Runner.inherit()
    made = materialise(
        lock, tmp_path, [GitProvider(runner=runner, folder=tmp_path / "git")], Silent()
    )
    assert (made.root / "src/a.c").read_text() == "int a;\n"
    assert not (made.root / "docs").exists()
    shutil.rmtree(tmp_path / "upstream")
    shutil.rmtree(tmp_path / "sources")
    offline = GitProvider(runner=runner, folder=tmp_path / "git", offline=True)
    materialise(lock, tmp_path, [offline], Silent())
    assert check_tree(lock, tmp_path) == 1


def test_a_damaged_repository_is_not_trusted(repository, tmp_path):
    url, commit = repository
    pin = make_pin(url=url, commit=commit)
    provider = GitProvider(runner=Runner.inherit(), folder=tmp_path / "git")
    provider.deliver(pin, lambda _: None)
    (pack,) = (tmp_path / "git").rglob("*.pack")
    pack.chmod(0o644)
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 0xFF
    pack.write_bytes(content)
    offline = GitProvider(runner=Runner.inherit(), folder=tmp_path / "git", offline=True)
    with pytest.raises(Unavailable):
        offline.deliver(pin, lambda _: None)
    provider.deliver(pin, lambda _: None)
    assert offline.deliver(pin, lambda _: None).archive.is_file()


def test_git_says_when_there_is_no_such_commit(repository, tmp_path):
    pin = make_pin(url=repository[0], commit="b" * 40)
    with pytest.raises(Unavailable, match="git fetch file://"):
        GitProvider(runner=Runner.inherit(), folder=tmp_path / "git").deliver(pin, lambda _: None)
    assert not list((tmp_path / "git").iterdir())
