"""Real servers and programs on loopback for live tests: children that can be killed, frozen and restarted.

tools/live_peers.py installs them; tests that use one carry its `needs_...` mark.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

WAIT_TIMEOUT = 240.0
"""Seconds that a test waits for a condition before it fails: on a busy machine servers and browsers are slow
beside each other."""

SYSTEM_PYTHON = "/usr/bin/python3"
NGINX_RTMP = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")


def wait_for(
    condition: Callable[[], bool], what: str, seconds: float = WAIT_TIMEOUT, *, every: float = 0.1
) -> None:
    """Return soon after the condition holds, and fail if it never does. every: seconds between two questions,
    which servers and pages have to answer beside their work."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for {what}"
        time.sleep(every)


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    """True if this port accepts connections."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def taken(port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> bool:
    """True if this port is in use. Makes no connection, because some servers accept only one."""
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def children(pid: int) -> list[int]:
    """Children of a process, at any depth (Linux)."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, _of_process(task).split()):
            found += [child, *children(child)]
    return found


def alive(pid: int) -> bool:
    """True unless the process is a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def command_of(pid: int) -> bytes:
    """The command line of a process; empty where it has ended."""
    return _of_process(Path(f"/proc/{pid}/cmdline"))


def thread_states(pid: int) -> str:
    """A line for each thread (Linux): seconds on a processor, seconds that it waited for one, state, and the
    kernel's function that it sleeps in."""
    lines = [f"{pid}: {command_of(pid)[:120]!r}"]
    for task in Path(f"/proc/{pid}/task").glob("*"):
        stat, spent = _of_process(task / "stat").decode(), _of_process(task / "schedstat").split()
        ran, waited = (int(nanoseconds) / 1e9 for nanoseconds in (*spent, 0, 0)[:2])
        at = _of_process(task / "wchan").decode()
        lines.append(f"  {task.name} {ran:.1f} {waited:.1f} {stat.rpartition(')')[2][1:2]} {at}")
    return "\n".join(lines)


def _of_process(path: Path) -> bytes:
    """Empty for a process that has just ended."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


@contextmanager
def killed_on_failure(process: subprocess.Popen[Any]) -> Iterator[subprocess.Popen[Any]]:
    """Use a child process: a test that fails kills it. Popen's own `with` would wait for it, for ever where
    only the rest of the test ends it."""
    with process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise


class Peer:
    """A child process: started on entry, killed on exit. `url`: where it serves, if it does.

    ready: tells whether it can be used; None where it can at once.
    """

    def __init__(
        self, command: Sequence[str], log: Path, url: str = "", ready: Callable[[], bool] | None = None
    ) -> None:
        self.url = url
        self._command = list(command)
        self._log = log
        self._ready = ready
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, again if need be, and wait until it is ready."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        if self._ready is None:
            return
        deadline = time.monotonic() + WAIT_TIMEOUT
        while not self._ready():
            assert self.process.poll() is None, f"{self._command[0]} ended:\n{self.log()[-2000:]}"
            assert time.monotonic() < deadline, f"{self._command[0]} is not ready:\n{self.log()[-2000:]}"
            time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL, frozen or not; its port is free afterwards."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        """SIGSTOP: connections stay, nothing answers."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def log(self) -> str:
        """The text that it has printed."""
        return self._log.read_text(errors="replace")


def ffmpeg(
    arguments: Sequence[str],
    folder: Path,
    url: str = "",
    name: str = "ffmpeg",
    ready: Callable[[], bool] | None = None,
) -> Peer:
    """`ffmpeg ARGUMENTS`; see Peer for `ready`."""
    return Peer(
        ["ffmpeg", "-hide_banner", "-nostdin", "-loglevel", "warning", *arguments],
        folder / f"{name}.log",
        url,
        ready,
    )


def nginx_rtmp(folder: Path) -> Peer:
    """Debian's nginx with its RTMP module; publish to and play from `url` + "/NAME"."""
    port = free_port()
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"""
        load_module {NGINX_RTMP};
        daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr info;
        events {{ worker_connections 64; }}
        rtmp {{ server {{
            listen 127.0.0.1:{port}; chunk_size 4096;
            application live {{ live on; wait_key on; drop_idle_publisher 10s; }}
        }} }}
        """
    )
    command = ["/usr/sbin/nginx", "-p", str(folder), "-c", str(configuration)]
    return Peer(command, folder / "nginx.log", f"rtmp://127.0.0.1:{port}/live", lambda: listens(port))


def rtsp_server(folder: Path, size: str = "160x96", rate: int = 15) -> Peer:
    """GStreamer's RTSP server with the paths that tests/rtsp_peer.py tells; what is recorded is
    `folder`/recorded.mkv."""
    port = free_port()
    script = Path(__file__).with_name("rtsp_peer.py")
    command = [SYSTEM_PYTHON, str(script), str(port), size, str(rate), str(folder / "recorded.mkv")]
    return Peer(command, folder / "rtsp.log", f"rtsp://127.0.0.1:{port}", lambda: listens(port))


def tcp_relay(target: int, folder: Path) -> Peer:
    """A relay from its `url`, 127.0.0.1:PORT, to the target port, which can be frozen."""
    port = free_port()
    script = Path(__file__).with_name("tcp_relay.py")
    command = [sys.executable, str(script), str(port), str(target)]
    return Peer(command, folder / "relay.log", f"127.0.0.1:{port}", lambda: listens(port))


class Screen(Peer):
    """An X server without a monitor."""

    @property
    def display(self) -> str:
        """ ":7" say."""
        return f":{self._number()}"

    def _number(self) -> str:
        return next((line for line in reversed(self.log().splitlines()) if line.isdigit()), "")


def xvfb(folder: Path, size: str = "320x240") -> Screen:
    """A screen of this size."""
    command = ["Xvfb", "-displayfd", "1", "-screen", "0", f"{size}x24", "-nolisten", "tcp"]
    screen = Screen(command, folder / "xvfb.log", ready=lambda: screen.display != ":")
    return screen


@cache
def has_gstreamer() -> bool:
    """True if the system's Python can run tests/rtsp_peer.py, with GStreamer's RTSP server and its
    plugins."""
    script = (
        "import gi; gi.require_version('Gst', '1.0'); gi.require_version('GstRtspServer', '1.0');"
        "from gi.repository import Gst, GstRtspServer; Gst.init(None);"
        "assert all(Gst.ElementFactory.find(e) for e in ('x264enc', 'opusenc', 'rtph264pay', 'matroskamux'))"
    )
    if not Path(SYSTEM_PYTHON).exists():
        return False
    return subprocess.run([SYSTEM_PYTHON, "-c", script], capture_output=True, check=False).returncode == 0


def _needs(present: bool, what: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not present, reason=f"{what} is not installed; tools/live_peers.py installs it")


needs_ffmpeg = _needs(shutil.which("ffmpeg") is not None, "ffmpeg")
needs_nginx = _needs(NGINX_RTMP.exists() and Path("/usr/sbin/nginx").exists(), "nginx with its RTMP module")
needs_xvfb = _needs(shutil.which("Xvfb") is not None, "Xvfb")
needs_obs = _needs(shutil.which("obs") is not None, "OBS")
needs_chromium = _needs(Path("/usr/bin/chromium").exists(), "Chromium")
needs_gstreamer = _needs(has_gstreamer(), "GStreamer's RTSP server")
