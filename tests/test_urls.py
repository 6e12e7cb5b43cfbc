"""Addresses as people may see them."""

from __future__ import annotations

import pytest

from streamstyle.errors import ConfigError, SinkError
from streamstyle.media.net.relay import split_secrets
from streamstyle.media.net.targets import target_of
from streamstyle.urls import masked, without_secrets


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("film.mp4", "film.mp4"),
        ("hls:some/folder", "hls:some/folder"),
        ("preview:8080?token=t0k", "preview:8080?token=***"),
        ("rtmp://a.example/live/key-1", "rtmp://a.example/live/***"),
        ("rtmp://a.example/live", "rtmp://a.example/live"),
        ("rtsp://me:word@a.example:554/door", "rtsp://***@a.example:554/door"),
        (
            "srt://a.example:9?mode=caller&passphrase=p&streamid=s",
            "srt://a.example:9?mode=caller&passphrase=***&streamid=***",
        ),
        ("https://a.example/x?token", "https://a.example/x?***"),
        ("rtmp://[a/live/k", "rtmp://***"),
        ("rtmp://a/live/k|udp://b:1", "rtmp://a/live/*** | udp://b:1"),
    ],
)
def test_secrets_are_masked(url: str, shown: str) -> None:
    assert masked(url) == shown


def test_messages_of_others_are_masked_too() -> None:
    url = "rtmp://me:word@a.example/live/key-1?token=t0k"
    told = without_secrets(f"cannot open {url}: key-1 refused for word, t0k, see rtmp://b/live/other", url)
    assert not {"key-1", "word", "t0k", "other"} & set(
        told.replace(":", " ").replace(",", " ").replace("/", " ").split()
    )


def test_secrets_of_srt_leave_the_address_for_a_file() -> None:
    url, lines = split_secrets("srt://a:9?latency=2000&passphrase=p%2Bq&streamid=x/y")
    assert url == "srt://a:9?latency=2000"
    assert lines == "passphrase=p+q\nstreamid=x/y\n"


def test_a_key_can_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAM_KEY", "k3y")
    target = target_of("rtmp://a.example/live/${STREAM_KEY}")
    assert target.order.url == "rtmp://a.example/live/k3y"
    assert target.name == "rtmp://a.example/live/***"
    monkeypatch.delenv("STREAM_KEY")
    with pytest.raises(ConfigError, match="STREAM_KEY, which is not set"):
        target_of("rtmp://a.example/live/${STREAM_KEY}")


@pytest.mark.parametrize(
    "url", ["rtmp:", "rtmp:///live", "udp://host", "srt://host", "udp://host:70000", "rtmp://[x/live"]
)
def test_what_is_no_address_is_wrong_usage(url: str) -> None:
    with pytest.raises(ConfigError):
        target_of(url)


def test_datagrams_hold_whole_packets_unless_asked_otherwise() -> None:
    assert target_of("udp://a:1").order.url == "udp://a:1?pkt_size=1316"
    assert target_of("udp://a:1?ttl=2").order.url == "udp://a:1?ttl=2&pkt_size=1316"
    assert target_of("udp://a:1?pkt_size=188").order.url == "udp://a:1?pkt_size=188"
    assert target_of("udp://a:1").name == "udp://a:1"


def test_srt_without_its_program_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SinkError, match="install it"):
        target_of("srt://a.example:9")
