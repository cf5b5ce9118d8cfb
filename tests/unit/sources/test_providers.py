from types import MappingProxyType

import pytest
from sources_support import make_archive, make_pin

from builder.errors import ConfigurationError, SourceError
from builder.sources.choice import FetchRequest, choose_providers
from builder.sources.providers import (
    DistributionProvider,
    FolderProvider,
    ProviderName,
    Unavailable,
    pool_urls,
)
from builder.sources.store import ArchiveStore
from builder.system.distribution import AptConfiguration, Mirror
from builder.system.network import DownloadError


class Server:
    """Stands in for the downloader: URL -> bytes or error."""

    def __init__(self, answers):
        self.answers = answers
        self.asked = []

    def download(self, url, target, *, max_bytes, on_bytes):
        self.asked.append(url)
        answer = self.answers.get(url)
        if answer is None:
            raise DownloadError(url, "the server does not have this file", reachable=True)
        if isinstance(answer, str):
            raise DownloadError(url, answer, reachable=False)
        target.write_bytes(answer)
        on_bytes(len(answer))


@pytest.fixture
def archive(tmp_path):
    return make_archive(tmp_path / "thing_1+dfsg.orig.tar.gz", {"t/a": b"1"})


@pytest.fixture
def store(tmp_path):
    (tmp_path / "downloads").mkdir()
    return ArchiveStore(folder=tmp_path / "downloads")


def distribution(store, server, *mirrors):
    apt = AptConfiguration(mirrors=tuple(Mirror(url=url, components=("main",)) for url in mirrors))
    return DistributionProvider(apt=apt, downloader=server, store=store)


def url_on(mirror):
    return f"{mirror}/pool/main/t/thing/thing_1%2Bdfsg.orig.tar.gz"


def ignore(_):
    pass


def test_pool_folders_follow_policy(archive):
    mirror = Mirror(url="http://m/debian", components=("main", "universe"))
    assert pool_urls(mirror, make_pin(archive))[1] == (
        "http://m/debian/pool/universe/t/thing/thing_1%2Bdfsg.orig.tar.gz"
    )
    library = make_pin(archive, package="libthing", file="libthing_0~git.orig.tar.xz")
    assert pool_urls(mirror, library)[0] == (
        "http://m/debian/pool/main/libt/libthing/libthing_0~git.orig.tar.xz"
    )


def test_a_mirror_delivers_and_the_archive_is_kept(archive, store):
    server = Server({url_on("http://m"): archive.read_bytes()})
    pin = make_pin(archive)
    delivery = distribution(store, server, "http://m").deliver(pin, ignore)
    assert delivery.archive == store.find_verified(pin)
    assert delivery.provider == "distribution"


def test_other_bytes_are_refused_with_both_hashes_and_not_kept(archive, store):
    server = Server({url_on("http://m"): b"something else"})
    pin = make_pin(archive)
    with pytest.raises(SourceError) as caught:
        distribution(store, server, "http://m").deliver(pin, ignore)
    assert pin.sha256 in caught.value.message
    assert "actual" in caught.value.message
    assert not list(store.folder.iterdir())


def test_the_next_mirror_is_asked(archive, store):
    server = Server({url_on("http://b"): archive.read_bytes()})
    distribution(store, server, "http://a", "http://b").deliver(make_pin(archive), ignore)
    assert server.asked == [url_on("http://a"), url_on("http://b")]


def test_a_silent_mirror_is_asked_only_once(archive, store):
    server = Server({url_on("http://m"): "did not answer in time"})
    provider = distribution(store, server, "http://m")
    for _ in range(3):
        with pytest.raises(Unavailable, match="did not answer in time"):
            provider.deliver(make_pin(archive), ignore)
    assert len(server.asked) == 1


def test_a_mirror_that_dropped_one_file_is_asked_for_the_next(archive, store):
    server = Server({})
    provider = distribution(store, server, "http://m")
    for _ in range(2):
        with pytest.raises(Unavailable, match="does not have this file"):
            provider.deliver(make_pin(archive), ignore)
    assert len(server.asked) == 2


def test_without_apt_it_says_so(archive, store):
    with pytest.raises(Unavailable, match="no Debian or Ubuntu mirror"):
        distribution(store, Server({})).deliver(make_pin(archive), ignore)


@pytest.mark.parametrize("place", ["", "sub"])
def test_a_folder_is_searched_one_level_deep(archive, store, tmp_path, place):
    folder = tmp_path / "my files é"
    (folder / place).mkdir(parents=True)
    (folder / place / archive.name).write_bytes(archive.read_bytes())
    pin = make_pin(archive)
    delivery = FolderProvider(folder=folder, store=store).deliver(pin, ignore)
    assert delivery.archive == store.path(pin)


def test_a_folder_with_names_of_another_builders_cache_is_understood(archive, store, tmp_path):
    pin = make_pin(archive)
    folder = tmp_path / "downloads of another"
    folder.mkdir()
    (folder / store.path(pin).name).write_bytes(archive.read_bytes())
    assert FolderProvider(folder=folder, store=store).deliver(pin, ignore).strip == pin.strip


def test_a_wrong_file_in_the_users_folder_stays_there(archive, store, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / archive.name).write_bytes(b"wrong")
    with pytest.raises(SourceError, match="expected sha256"):
        FolderProvider(folder=folder, store=store).deliver(make_pin(archive), ignore)
    assert (folder / archive.name).read_bytes() == b"wrong"
    assert not list(store.folder.iterdir())


def test_an_empty_folder_has_nothing(archive, store, tmp_path):
    with pytest.raises(Unavailable):
        FolderProvider(folder=tmp_path / "downloads", store=store).deliver(
            make_pin(archive), ignore
        )


class NoPrograms:
    environment = MappingProxyType({})

    def find_program(self, name):
        return None


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, ["distribution", "git"]),
        ({"provider": ProviderName.GIT}, ["git"]),
        ({"provider": ProviderName.DISTRIBUTION}, ["distribution"]),
        ({"offline": True}, ["git"]),
        ({"provider": ProviderName.DISTRIBUTION, "offline": True}, []),
    ],
)
def test_the_order_of_providers(tmp_path, options, names):
    chosen = choose_providers(NoPrograms(), tmp_path, FetchRequest(**options))
    assert [provider.name for provider in chosen] == names
    request = FetchRequest(source_folder=tmp_path, **options)
    with_folder = choose_providers(NoPrograms(), tmp_path, request)
    assert [provider.name for provider in with_folder] == ["folder", *names]


def test_a_folder_of_archives_that_does_not_exist_is_a_configuration_error(tmp_path):
    request = FetchRequest(source_folder=tmp_path / "none")
    with pytest.raises(ConfigurationError, match="not a folder"):
        choose_providers(NoPrograms(), tmp_path, request)
