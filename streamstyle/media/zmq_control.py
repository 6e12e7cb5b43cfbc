"""Control requests over ZeroMQ: a ROUTER at the run, a DEALER at the client."""

from __future__ import annotations

import zmq

from streamstyle.errors import ConfigError, SinkError
from streamstyle.media.zmq_address import (
    SECURITY,
    Address,
    bind,
    connect,
    parse_address,
    secure,
    set_up,
)

_MAX_MESSAGE_BYTES = 1 << 16  # bytes of a message
_MAX_QUEUED_MESSAGES = 64  # messages: requests are small, and clients that send more wait


def control_address(url: str) -> Address:
    """A `zmq+tcp:` or `zmq+ipc:` address of an endpoint. Raises ConfigError."""
    address = parse_address(url, SECURITY)
    if address.transport == "shm":
        raise ConfigError(
            f"{url} is for pictures: an endpoint is zmq+ipc://PATH or zmq+tcp://127.0.0.1:PORT."
        )
    if address.flag("insecure"):
        raise ConfigError(
            f"{url}: insecure=1 is for pictures only, since anyone who reaches an endpoint controls the run: "
            f"use zmq+ipc:, 127.0.0.1, or keys."
        )
    return address


class ControlSocket:
    """The run's socket for requests; implements `streamstyle.control.endpoint.Wire`. endpoint: its address,
    with the port if the url had port 0. Raises ConfigError and SinkError."""

    def __init__(self, url: str) -> None:
        address = control_address(url)
        self._context = zmq.Context[zmq.Socket[bytes]]()
        self._socket = self._context.socket(zmq.ROUTER)
        self._authenticator = None
        try:
            _prepare(self._socket, address)
            self._authenticator = secure(self._context, self._socket, address, binds=True)
            self.endpoint = bind(self._socket, address, SinkError)
        except BaseException:
            self.close()
            raise

    def receive(self, timeout: float) -> tuple[bytes, bytes] | None:
        """See `Wire`. A REQ socket's empty part is taken for part of the address and given back."""
        if not self._socket.poll(round(timeout * 1000)):
            return None
        peer, *rest = self._socket.recv_multipart()
        delimited = len(rest) > 1 and rest[0] == b""
        return (b"R" if delimited else b"D") + peer, rest[-1] if rest else b""

    def send(self, peer: bytes, data: bytes) -> None:
        """See `Wire`."""
        empty = [b""] if peer[:1] == b"R" else []
        try:
            self._socket.send_multipart([peer[1:], *empty, data], zmq.NOBLOCK)
        except zmq.Again:
            return  # the peer takes no answers

    def close(self) -> None:
        """See `Wire`."""
        if self._authenticator is not None:
            self._authenticator.stop()
        self._socket.close()
        self._context.term()


class ControlClient:
    """The client's socket. Raises ConfigError and SinkError."""

    def __init__(self, url: str) -> None:
        self._url = url
        address = control_address(url)
        self._context = zmq.Context[zmq.Socket[bytes]]()
        self._socket = self._context.socket(zmq.DEALER)
        try:
            _prepare(self._socket, address)
            secure(self._context, self._socket, address, binds=False)
            connect(self._socket, address, SinkError)
        except BaseException:
            self.close()
            raise

    def ask(self, data: bytes, timeout: float) -> bytes:
        """Send a request and wait for its answer. Raises SinkError after `timeout` seconds without one."""
        self._socket.send(data)
        if not self._socket.poll(round(timeout * 1000)):
            raise SinkError(
                f"nothing answers at {self._url} within {timeout:g} s: is a run going on with "
                f"--control {self._url}?"
            )
        return self._socket.recv()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()
        self._context.term()


def _prepare(socket: zmq.Socket[bytes], address: Address) -> None:
    set_up(socket, address)
    socket.set_hwm(_MAX_QUEUED_MESSAGES)
    socket.setsockopt(zmq.MAXMSGSIZE, _MAX_MESSAGE_BYTES)
    socket.linger = 200  # milliseconds that the last answer may take to leave
