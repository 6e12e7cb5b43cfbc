"""/metrics, read over HTTP by Prometheus' own parser."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from streamstyle.errors import ConfigError
from streamstyle.flow import FlowStatus, metrics_text
from streamstyle.flow.timing import Ages, Histogram, StageTimer
from streamstyle.web.metrics_server import loopback_address, metrics_server


def status() -> FlowStatus:
    ages = Ages()
    for i in range(100):
        ages.add(0.001 * (i + 0.5))
    return FlowStatus(
        captured=120,
        left=100,
        drops={"capture": 20, 'odd"name\\': 3},
        depths={"capture": 2, 'odd"name\\': 1},
        ages={'odd"name\\': ages},
        seconds=4.0,
        fps=25.0,
        fillers=7,
        slates=2,
        stalled=True,
    )


def read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=60) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        return str(answer.read().decode())


def test_prometheus_reads_every_figure() -> None:
    with metrics_server(
        ("127.0.0.1", 0), lambda: metrics_text(status(), degradations=1, flagged=9)
    ) as server:
        text = read(f"http://127.0.0.1:{server.port}/metrics")
    samples = {
        (sample.name.removeprefix("streamstyle_"), *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    odd = 'odd"name\\'
    assert samples[("frames_captured_total",)] == 120
    assert samples[("frames_painted_total",)] == 100
    assert samples[("frames_flagged_total",)] == 9
    assert samples[("frames_dropped_total", ("at", "capture"))] == 20
    assert samples[("frames_dropped_total", ("at", odd))] == 3
    assert samples[("queue_depth", ("at", "capture"))] == 2
    assert samples[("stand_ins_total",)] == 7
    assert samples[("silent",)] == 1
    assert samples[("reliefs",)] == 1
    assert samples[("frames_per_second",)] == 25
    assert samples[("frame_age_seconds_count", ("sink", odd))] == 100
    assert samples[("frame_age_seconds_sum", ("sink", odd))] == pytest.approx(5.0)
    assert samples[("frame_age_seconds_bucket", ("le", "0.05"), ("sink", odd))] == pytest.approx(50, abs=1)
    assert samples[("frame_age_seconds_bucket", ("le", "+Inf"), ("sink", odd))] == 100
    assert samples[("frame_age_recent_seconds", ("quantile", "0.95"), ("sink", odd))] == pytest.approx(0.0955)


def test_other_paths_are_told_the_way_and_a_taken_port_is_told() -> None:
    with metrics_server(("127.0.0.1", 0), lambda: "") as server:
        with pytest.raises(urllib.error.HTTPError, match="404"):
            read(f"http://127.0.0.1:{server.port}/etc/passwd")
        with pytest.raises(ConfigError, match="cannot be served"):
            metrics_server(("127.0.0.1", server.port), lambda: "")


def test_a_mute_client_keeps_nobody_from_leaving() -> None:
    with (
        metrics_server(("127.0.0.1", 0), lambda: "") as server,
        socket.create_connection(("127.0.0.1", server.port)),
    ):
        assert read(f"http://127.0.0.1:{server.port}/metrics") == ""


@pytest.mark.parametrize(
    "text", ["0.0.0.0:9100", "192.168.1.4:9100", "example.org:80", "9100", ":1", "[::1]"]
)
def test_only_loopback_is_served(text: str) -> None:
    with pytest.raises(ConfigError):
        loopback_address(text)


def test_addresses_are_read() -> None:
    assert loopback_address("127.0.0.1:9100") == ("127.0.0.1", 9100)
    assert loopback_address("[::1]:0") == ("::1", 0)
    assert loopback_address("localhost:1") == ("127.0.0.1", 1)


def test_a_histogram_keeps_percentiles_to_one_percent_in_constant_memory() -> None:
    histogram = Histogram()
    size = len(vars(histogram)["_counts"])
    values = [1.0001**i * 1e-3 for i in range(50_000)]
    for value in values:
        histogram.add(value)
    assert len(vars(histogram)["_counts"]) == size
    for share in (0.01, 0.5, 0.95, 0.99):
        assert histogram.percentile(share) == pytest.approx(values[int(share * len(values))], rel=0.0101)
    for extreme in (0.0, 1e9):
        histogram.add(extreme)
    assert StageTimer().summary() == {}
