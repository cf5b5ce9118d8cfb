import pytest

from builder.system.distribution import (
    find_mirrors,
    parse_deb822_style,
    parse_one_line_style,
    parse_os_release,
    parse_proxies,
    parse_settings,
    read_apt_configuration,
)
from builder.system.process import Completed

DEBIAN = {"ID": "debian", "VERSION_CODENAME": "bookworm"}
DEB822 = """\
# a comment
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/x.gpg

Types: deb
URIs: http://security.example/debian-security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: https://vendor.example/node
Suites: nodistro
Components: main
"""


class Apt:
    """A runner with or without apt-config."""

    def __init__(self, dump=None):
        self.dump = dump

    def find_program(self, name):
        return name if self.dump is not None else None

    def run(self, command):
        assert command[1:] == ("dump",)
        return Completed(0, self.dump)


def urls(mirrors):
    return [mirror.url for mirror in mirrors]


def test_only_the_distributions_own_mirror_is_taken():
    assert urls(find_mirrors(parse_deb822_style(DEB822), DEBIAN)) == [
        "http://mirror.example/debian"
    ]


def test_fields_may_go_on_in_the_next_line():
    text = (
        "Types: deb deb-src\nURIs: http://a/debian\n http://b/debian/\n"
        "Suites:\n sid\nComponents: main\n"
    )
    (found,) = parse_deb822_style(text)
    assert found.uris == ("http://a/debian", "http://b/debian/")
    assert urls(find_mirrors([found], DEBIAN)) == ["http://a/debian", "http://b/debian"]


def test_one_line_style_with_options_and_comments():
    text = """
    # deb http://off/debian bookworm main
    deb [arch=amd64 signed-by=/x] http://a/debian bookworm main contrib # why
    deb-src http://a/debian bookworm main
    deb http://vendor/apt cloud-sdk-bookworm main
    deb http://docker/linux/debian bookworm stable
    deb http://flat/ ./
    rubbish
    """
    assert urls(find_mirrors(parse_one_line_style(text), DEBIAN)) == ["http://a/debian"]


def test_ubuntu_has_universe_and_derivatives_name_their_parent():
    text = "deb http://u/ubuntu jammy main universe\ndeb http://mint/x vera main\n"
    mint = {"ID": "linuxmint", "ID_LIKE": "ubuntu debian", "UBUNTU_CODENAME": "jammy"}
    (mirror,) = find_mirrors(parse_one_line_style(text), mint)
    assert mirror.url == "http://u/ubuntu"
    assert mirror.components == ("main", "universe")


def test_mirrors_named_after_the_distribution_come_first():
    text = "deb http://x/other bookworm main\ndeb http://y/debian bookworm main\n"
    assert urls(find_mirrors(parse_one_line_style(text), DEBIAN))[0] == "http://y/debian"


@pytest.mark.parametrize("uri", ["cdrom:[Debian]/", "file:/srv/debian", "ftp://x/debian"])
def test_what_cannot_be_downloaded_from_is_left_out(uri):
    assert not find_mirrors(parse_one_line_style(f"deb {uri} bookworm main"), DEBIAN)


def test_reads_a_whole_system(tmp_path):
    etc = tmp_path / "etc/apt"
    (etc / "sources.list.d").mkdir(parents=True)
    (etc / "mirrors").mkdir()
    (etc / "mirrors/debian.list").write_text("http://cloud/debian\tpriority:1\n")
    (etc / "sources.list").write_text("deb http://old/debian bookworm main\n")
    (etc / "sources.list.d/a.sources").write_text(
        "Types: deb\nURIs: mirror+file:///etc/apt/mirrors/debian.list\n"
        "Suites: bookworm\nComponents: main\n"
    )
    (etc / "sources.list.d/a.sources.disabled").write_text(DEB822)
    (tmp_path / "etc/os-release").write_text('ID=debian\nVERSION_CODENAME="bookworm"\n')
    found = read_apt_configuration(Apt(), root=tmp_path)
    assert urls(found.mirrors) == ["http://old/debian", "http://cloud/debian"]
    assert found.proxies == {}


def test_apt_may_look_elsewhere(tmp_path):
    (tmp_path / "custom/apt").mkdir(parents=True)
    (tmp_path / "custom/apt/my.list").write_text("deb http://m/debian sid main\n")
    dump = 'Dir "/";\nDir::Etc "custom/apt";\nDir::Etc::sourcelist "my.list";\n'
    found = read_apt_configuration(Apt(dump), root=tmp_path)
    assert urls(found.mirrors) == ["http://m/debian"]


def test_without_apt_there_is_nothing(tmp_path):
    assert read_apt_configuration(Apt(), root=tmp_path).mirrors == ()


def test_proxies_as_apt_understands_them():
    settings = parse_settings(
        'Acquire::http::Proxy "http://proxy:3128/";\n'
        'Acquire::http::Proxy::intern.example "DIRECT";\n'
        'APT "";\n'
    )
    assert parse_proxies(settings) == {
        "http": "http://proxy:3128/",
        "https": "http://proxy:3128/",
        "http://intern.example": "",
    }
    assert parse_proxies(parse_settings('Acquire::http::Proxy "DIRECT";')) == {}


def test_os_release_values_lose_their_quotes():
    assert parse_os_release("ID=\"ubuntu\"\nNAME='X'\n#c\n") == {"ID": "ubuntu", "NAME": "X"}
