"""Access to the hub: offline at once, and messages once."""

from __future__ import annotations

import logging
import socket

import pytest

from shopsight.formats.hub import hub_access

constants = pytest.importorskip("huggingface_hub.constants")


@pytest.fixture
def no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.usefixtures("no_proxy")
@pytest.mark.parametrize("is_online", [True, False])
def test_without_a_network_the_libraries_are_offline(monkeypatch, is_online):
    def resolve(*_):
        if not is_online:
            raise OSError
        return []

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with hub_access():
        assert constants.HF_HUB_OFFLINE is not is_online
    assert constants.HF_HUB_OFFLINE is False


def test_a_proxy_resolves_names_itself(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with hub_access():
        assert constants.HF_HUB_OFFLINE is False


def test_messages_come_once_and_everything_is_restored(caplog, capsys, monkeypatch):
    # Commands that other tests ran leave a handler with a stream that is closed by now.
    monkeypatch.setattr(logging.getLogger(), "handlers", [caplog.handler])
    logger = logging.getLogger("huggingface_hub")
    before = list(logger.handlers)
    with hub_access():
        logger.warning("retrying")
    assert logger.handlers == before
    assert caplog.messages == ["retrying"]
    assert "retrying" not in capsys.readouterr().err
    with pytest.raises(RuntimeError), hub_access():
        raise RuntimeError
    assert logger.handlers == before
