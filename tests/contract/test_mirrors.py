"""Mirrors of the user, and Debian's archive, on a server of 127.0.0.1."""

from __future__ import annotations

import hashlib
import http.server
import io
import tarfile
import threading
from dataclasses import replace

import pytest

from builder.core.sources import SourceLock, SourcePin
from builder.errors import ConfigurationError, SourceError
from builder.sources import mirrors
from builder.sources.choice import FetchRequest, choose_providers
from builder.sources.mirrors import add_snapshot, list_urls
from builder.sources.providers import ProviderName, Unavailable
from builder.sources.tree import materialise
from builder.sources.trees import fetch_trees
from builder.system.process import Runner
from builder.system.progress import Silent


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves files by their paths; anything else is `server.page`, or not there."""

    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        body = self.server.files.get(self.path, self.server.page)
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.files, running.asked, running.page = {}, [], None
        running.host = f"127.0.0.1:{running.server_address[1]}"
        running.url = f"http://{running.host}/artifactory/sources"
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def archive():
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        info = tarfile.TarInfo("top/a.txt")
        info.size = 5
        tar.addfile(info, io.BytesIO(b"hello"))
    return stream.getvalue()


@pytest.fixture
def pin(archive):
    return SourcePin(
        name="thing",
        path=".",
        version="1",
        url="https://example.com/thing",
        commit="0" * 40,
        package="thing",
        file="thing_1+dfsg.orig.tar.gz",
        sha256=hashlib.sha256(archive).hexdigest(),
        strip=1,
        licence="MIT",
        size=len(archive),
        unpacked=5,
    )


def runner_with(mirror):
    environment = {"PATH": "/nowhere", **({"BUILDER_MIRROR": mirror} if mirror else {})}
    return replace(Runner.inherit(), environment=environment)


def fetch(pin, cache, mirror, request=None):
    request = request or FetchRequest(provider=ProviderName.MIRROR)
    lock = SourceLock(version="1", pins=(pin,), patches=())
    chosen = choose_providers(runner_with(mirror), cache, request)
    return materialise(lock, cache, chosen, Silent())


def path_of(server, url):
    return url.removeprefix(f"http://{server.host}")


@pytest.mark.parametrize("number", range(4))
def test_each_of_the_usual_places_will_do(server, archive, pin, tmp_path, number):
    url = list_urls(server.url, pin)[number]
    server.files[path_of(server, url)] = archive
    tree = fetch(pin, tmp_path / "cache", server.url + "/")
    assert (tree.root / "a.txt").read_text() == "hello"
    assert server.asked[-1][0] == path_of(server, url)


def test_a_password_is_used_and_not_shown(server, archive, pin, tmp_path):
    with_password = server.url.replace("http://", "http://me:secret@")
    with pytest.raises(SourceError) as caught:
        fetch(pin, tmp_path / "cache", with_password)
    assert "secret" not in f"{caught.value.message} {caught.value.hint}"
    assert server.host in caught.value.message
    assert all(header.startswith("Basic ") for _, header in server.asked)
    server.files[path_of(server, list_urls(server.url, pin)[0])] = b"x" * len(archive)
    with pytest.raises(SourceError) as caught:
        fetch(pin, tmp_path / "cache", with_password)
    assert "secret" not in f"{caught.value.message} {caught.value.hint}"


def test_a_server_that_answers_everything_with_a_page(server, archive, pin, tmp_path):
    server.page = b"<html>"
    server.files[path_of(server, list_urls(server.url, pin)[2])] = archive
    assert (fetch(pin, tmp_path / "cache", server.url).root / "a.txt").is_file()
    server.files.clear()
    with pytest.raises(SourceError, match="it has 6 bytes and not"):
        fetch(pin, tmp_path / "other", server.url)


def test_other_bytes_of_the_same_size_are_refused(server, archive, pin, tmp_path):
    server.files[path_of(server, list_urls(server.url, pin)[0])] = b"x" * len(archive)
    with pytest.raises(SourceError, match=pin.sha256):
        fetch(pin, tmp_path / "cache", server.url)
    assert not list((tmp_path / "cache/downloads").glob("*.new"))


def test_a_server_that_is_not_there_is_asked_once(pin, tmp_path, monkeypatch):
    monkeypatch.setattr("builder.system.network.time.sleep", lambda _: None)
    quick = replace(mirrors.Downloader(), attempts=1, sleep=lambda _: None)
    (provider,) = choose_providers(
        runner_with("http://127.0.0.1:9/x"), tmp_path, FetchRequest(provider=ProviderName.MIRROR)
    )
    provider.downloader = quick
    (tmp_path / "downloads").mkdir()
    for _ in range(2):
        with pytest.raises(Unavailable, match="the connection"):
            provider.deliver(pin, lambda _: None)
    assert len(provider._silent) == 1


def test_the_mirror_comes_before_the_distribution_and_git(tmp_path):
    runner = runner_with("https://example.com/x")
    names = [one.name for one in choose_providers(runner, tmp_path, FetchRequest())]
    assert names == ["mirror", "distribution", "git"]
    given = FetchRequest(mirror="http://other.example.com")
    assert choose_providers(runner, tmp_path, given)[0].url == "http://other.example.com"
    offline = choose_providers(runner, tmp_path, FetchRequest(offline=True))
    assert [one.name for one in offline] == ["git"]
    names = [one.name for one in choose_providers(runner_with(""), tmp_path, FetchRequest())]
    assert names == ["distribution", "git"]


@pytest.mark.parametrize("url", ["ftp://x", "/srv/mirror", "http://", "http://[", "http://a\nb/"])
def test_what_is_no_url_is_refused(tmp_path, url):
    with pytest.raises(ConfigurationError, match="BUILDER_MIRROR is not the URL of a mirror"):
        choose_providers(runner_with(url), tmp_path, FetchRequest())


def test_a_mirror_that_is_asked_for_has_to_be_named(tmp_path):
    with pytest.raises(ConfigurationError, match="there is no mirror to use"):
        choose_providers(runner_with(""), tmp_path, FetchRequest(provider=ProviderName.MIRROR))


def test_debians_archive_is_asked_for_each_time_of_the_lock(
    server, archive, pin, tmp_path, monkeypatch
):
    monkeypatch.setattr(mirrors, "SNAPSHOT", server.url)
    times = ("20260101T000000Z", "20250101T000000Z")
    lock = SourceLock(version="1", pins=(pin,), patches=(), snapshots=times)
    chosen = choose_providers(
        runner_with(""), tmp_path, FetchRequest(provider=ProviderName.DISTRIBUTION)
    )
    # The machine's own mirrors are left out: this test asks nobody else.
    snapshot = add_snapshot(chosen, lock)[1]
    assert [one.name for one in add_snapshot(chosen, lock)] == ["distribution", "snapshot"]
    name = "/pool/main/t/thing/thing_1%2Bdfsg.orig.tar.gz"
    server.files[f"/artifactory/sources/20250101T000000Z{name}"] = archive
    tree = materialise(lock, tmp_path / "cache", (snapshot,), Silent())
    assert (tree.root / "a.txt").is_file()
    assert [path for path, _ in server.asked] == [
        f"/artifactory/sources/{at}{name}" for at in times
    ]
    assert add_snapshot(chosen, replace(lock, snapshots=())) == chosen


def test_a_fetch_of_a_release_uses_the_mirror(server, archive, pin, tmp_path, monkeypatch):
    from builder.sources.releases import load_release

    monkeypatch.setenv("BUILDER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BUILDER_MIRROR", server.url)
    server.files[path_of(server, list_urls(server.url, pin)[1])] = archive
    lock = SourceLock(version="2.6.0", pins=(pin,), patches=())
    (tree,) = fetch_trees(replace(load_release(), lock=lock), FetchRequest(), progress=Silent())
    assert (tree.root / "a.txt").read_text() == "hello"
