"""`zmq+...` urls, and the security of their sockets."""

from __future__ import annotations

import ipaddress
import os
import socket as unix
import stat
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import zmq
from zmq.auth import create_certificates, load_certificate, load_certificates

from streamstyle.errors import ConfigError, SinkError, StreamStyleError, nearest
from streamstyle.media.wire import SCHEMES, TOPIC

if TYPE_CHECKING:
    from zmq.auth.thread import ThreadAuthenticator

SECURITY = frozenset({"key", "allow", "server", "insecure"})

_MAX_PATH_BYTES = 103  # bytes of a Unix socket's path, the shortest limit of all systems (macOS)
_HEARTBEAT_MS = 2000
_HEARTBEAT_TIMEOUT_MS = 6000  # without a sign of life a peer is gone


@dataclass(frozen=True)
class Address:
    """A parsed url."""

    url: str
    """Address as the user wrote it."""
    transport: str
    """"tcp", "ipc" or "shm"."""
    endpoint: str
    """Address for ZeroMQ."""
    options: Mapping[str, str]
    """Options after the question mark."""
    local: bool
    """True if no other machine can reach it and, for ipc and shm, no other user of this one."""

    @property
    def path(self) -> Path:
        """The Unix socket of ipc and shm."""
        return Path(self.endpoint.removeprefix("ipc://"))

    @property
    def topic(self) -> str:
        """Topic of the pictures."""
        return self.options.get("topic", "frame")

    def flag(self, name: str) -> bool:
        """True if this option is 1. Raises ConfigError for anything but 0 and 1."""
        value = self.options.get(name, "0")
        if value not in {"0", "1"}:
            raise ConfigError(f"{self.url}: {name}={value} must be 0 or 1.")
        return value == "1"

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """The value of an option. Raises ConfigError outside low..high."""
        try:
            value = float(self.options.get(name, default))
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise ConfigError(
                f"{self.url}: {name}={self.options[name]} is no number from {low:g} to {high:g}."
            )
        return value


def parse_address(url: str, known: Collection[str]) -> Address:
    """Read a url with these options. Raises ConfigError."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise ConfigError(
            f"'{url}' is not a ZeroMQ url{nearest(parts.scheme, SCHEMES)}: "
            f"write zmq+tcp://HOST:PORT, zmq+ipc://PATH or zmq+shm://PATH."
        )
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name in options:
        if name not in known:
            raise ConfigError(
                f"'{url}' has the unknown option '{name}'{nearest(name, known)}: "
                f"it takes {', '.join(sorted(known))}."
            )
    if not TOPIC.fullmatch(options.get("topic", "frame")):
        raise ConfigError(f"'{url}': a topic has up to 64 letters, digits, - and _.")
    if parts.scheme == "zmq+tcp":
        return Address(url, "tcp", *_tcp(url, parts.netloc + parts.path, options))
    path = parts.netloc + parts.path
    if not path or path.startswith("@"):
        raise ConfigError(
            f"'{url}' names no file for the socket: write {parts.scheme}:///run/user/1000/film.sock."
        )
    if len(os.fsencode(path)) > _MAX_PATH_BYTES:
        raise ConfigError(
            f"'{path}' is longer than the {_MAX_PATH_BYTES} bytes that a socket's path may have."
        )
    return Address(url, parts.scheme[4:], f"ipc://{path}", options, local=True)


def _tcp(url: str, place: str, options: Mapping[str, str]) -> tuple[str, Mapping[str, str], bool]:
    host, colon, port = place.rpartition(":")
    if not colon or not host or not (port.isdecimal() and int(port) < 65536):
        raise ConfigError(f"'{url}' has no host and port: write zmq+tcp://127.0.0.1:5555.")
    bare = host.strip("[]")
    try:
        local = bare == "localhost" or ipaddress.ip_address(bare).is_loopback
    except ValueError:
        local = False
    return f"tcp://{'127.0.0.1' if host == 'localhost' else host}:{port}", options, local


def set_up(socket: zmq.Socket[bytes], address: Address) -> None:
    """Settings of every socket: short queues, heartbeats, no waiting for a peer at the end."""
    # Two pictures: what waits longer is old. Set before bind and connect, or it does nothing. Not for the way
    # back: there subscriptions go, of which none may be dropped.
    socket.setsockopt(zmq.RCVHWM if socket.type == zmq.SUB else zmq.SNDHWM, 2)
    socket.linger = 0
    socket.setsockopt(zmq.HEARTBEAT_IVL, _HEARTBEAT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, _HEARTBEAT_TIMEOUT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TTL, _HEARTBEAT_TIMEOUT_MS)
    socket.setsockopt(zmq.HANDSHAKE_IVL, 5000)
    socket.setsockopt(zmq.RECONNECT_IVL, 100)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, 500)
    if "[" in address.endpoint:
        socket.setsockopt(zmq.IPV6, 1)


def secure(
    context: zmq.Context[zmq.Socket[bytes]], socket: zmq.Socket[bytes], address: Address, *, binds: bool
) -> ThreadAuthenticator | None:
    """Set keys if given; refuse to continue without keys if others could listen or interfere.

    The binding side is CURVE's server: it admits the public keys in the folder `allow`. The returned
    authenticator must be stopped. Raises ConfigError.
    """
    wanted = ("key", "allow") if binds else ("key", "server")
    given = [name for name in ("key", "allow", "server") if name in address.options]
    if not given:
        if address.local or address.flag("insecure"):
            return None
        raise ConfigError(
            f"{address.url} can be reached from other machines: name keys with "
            f"?key=MINE.key_secret&{wanted[1]}={'FOLDER' if binds else 'PUBLISHER.key'} "
            f"(`streamstyle keys NAME` makes them), or add insecure=1 on a network where everybody may see, "
            f"and send, pictures."
        )
    if sorted(given) != sorted(wanted):
        what = "waits for others" if binds else "calls another"
        raise ConfigError(f"{address.url} {what}: it takes {' and '.join(wanted)}, not {', '.join(given)}.")
    socket.curve_publickey, socket.curve_secretkey = _secret(Path(address.options["key"]))
    if not binds:
        socket.curve_serverkey = _public(Path(address.options["server"]))
        return None
    from zmq.auth.thread import ThreadAuthenticator  # with asyncio, which nothing else needs

    allowed = Path(address.options["allow"])
    if not allowed.is_dir() or not load_certificates(allowed):
        raise ConfigError(
            f"{allowed} contains no public keys (NAME.key), so nobody could connect: copy those of the "
            "permitted programs into it."
        )
    socket.curve_server = True
    authenticator = ThreadAuthenticator(context)
    authenticator.start()
    authenticator.configure_curve(domain="*", location=allowed)
    return authenticator


def make_keys(folder: Path, name: str) -> tuple[Path, Path]:
    """Make a key pair: NAME.key, to give away, and NAME.key_secret, to keep, readable by the owner only.

    Raises ConfigError if a file of this name exists, or `folder` is no folder.
    """
    if not TOPIC.fullmatch(name):
        raise ConfigError(f"'{name}' is not a valid name for a key: use up to 64 letters, digits, - and _.")
    public, secret = folder / f"{name}.key", folder / f"{name}.key_secret"
    for path in (public, secret):
        if path.exists():
            raise ConfigError(f"{path} already exists: choose another name or remove both files.")
    before = os.umask(0o077)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        create_certificates(folder, name)
        public.chmod(0o644)
    except OSError as error:
        raise SinkError(f"cannot write {public}: {error.strerror}.") from error
    finally:
        os.umask(before)
    return public, secret


def _secret(path: Path) -> tuple[bytes, bytes]:
    public, secret = _load(path)
    if secret is None:
        raise ConfigError(f"{path} has no secret key in it: name the file that ends in .key_secret.")
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ConfigError(f"{path} can be read by others: `chmod 600 {path}`.")
    return public, secret


def _public(path: Path) -> bytes:
    return _load(path)[0]


def _load(path: Path) -> tuple[bytes, bytes | None]:
    try:
        public, secret = load_certificate(path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} is not a key file: {error}. `streamstyle keys NAME` makes one.") from error
    if public is None:
        raise ConfigError(f"{path} has no public key in it.")
    return public, secret


def bind(socket: zmq.Socket[bytes], address: Address, failure: type[StreamStyleError]) -> str:
    """Listen at this address; returns the endpoint, with its port if the url had port 0.

    Raises the error of `failure` if it is taken.
    """
    if address.transport != "tcp":
        _refuse_taken(address, failure)
    try:
        socket.bind(address.endpoint)
        if address.transport != "tcp":
            address.path.chmod(0o600)
    except (zmq.ZMQError, OSError) as error:
        raise failure(f"cannot wait for others at {address.url}: {error.strerror}.") from error
    bound = socket.getsockopt(zmq.LAST_ENDPOINT)
    assert isinstance(bound, bytes)
    return bound.rstrip(b"\0").decode()


def connect(socket: zmq.Socket[bytes], address: Address, failure: type[StreamStyleError]) -> None:
    """Connect to this address, repeatedly until it is there. Raises the error of `failure`."""
    try:
        socket.connect(address.endpoint)
    except zmq.ZMQError as error:
        raise failure(f"cannot connect to {address.url}: {error.strerror}.") from error


def _refuse_taken(address: Address, failure: type[StreamStyleError]) -> None:
    """Check for a program that uses the path: ZeroMQ would take it over, or remove a file."""
    path = address.path
    if not path.exists():
        return
    if not path.is_socket():
        raise failure(f"{path} is a file, not a socket: name another path.")
    with unix.socket(unix.AF_UNIX) as probe, suppress(ConnectionRefusedError):
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return  # left by a program that was killed
        except OSError as error:
            raise failure(f"cannot use {path}: {error.strerror}.") from error
        raise failure(f"{path} is in use by another program: name another path.")
