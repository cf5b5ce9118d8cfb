import pytest

from builder.platforms.linux import toolchain as host


@pytest.fixture(autouse=True)
def on_linux(monkeypatch):
    monkeypatch.setattr(host.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(host.sys, "platform", "linux")
