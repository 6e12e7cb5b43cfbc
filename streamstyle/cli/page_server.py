"""The server of `serve`, and the address of its page."""

from __future__ import annotations

import argparse
import secrets
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from streamstyle.errors import ConfigError
from streamstyle.web.guard import LOOPBACK, Access, AccessGuard
from streamstyle.web.pages import POLICY
from streamstyle.web.server import ADDRESS_LINE, App, WebServer, listening, parse_address

MIN_TOKEN_LENGTH = 16
"""Letters of a token where other machines can ask."""


@dataclass(frozen=True)
class Paths:
    """Paths of an application that are treated otherwise than most: see `Access`."""

    open: Collection[str]
    """Paths that need no token."""
    uploads: Collection[str]
    """Paths whose bodies may be large."""
    kinds: Mapping[str, Collection[str]]
    """The media types of bodies that are not JSON."""


def page_server(arguments: argparse.Namespace, app: App, paths: Paths) -> tuple[WebServer, str]:
    """The server of an application, and the address of its page. Raises ConfigError."""
    host, port = parse_address(arguments.address)
    shown = f"[{host}]" if ":" in host else host
    reachable = shown not in LOOPBACK
    token = arguments.token or secrets.token_urlsafe(16)
    if reachable and len(arguments.token or "") < MIN_TOKEN_LENGTH:
        raise ConfigError(
            f"{host} can be reached by other machines: give --token a word of at least {MIN_TOKEN_LENGTH} "
            f"letters, or serve at 127.0.0.1:{port}"
        )
    try:
        listener = listening(host, port)
    except OSError as error:
        raise ConfigError(
            f"the control room cannot be served at {arguments.address} ({error.strerror}): name another "
            f"--address, as 127.0.0.1:0 for any port"
        ) from error
    if reachable:
        print(
            "other machines can reach this server, and nothing is encrypted: put a server with TLS in "
            "front of it",
            file=sys.stderr,
        )
    access = Access(
        int(listener.getsockname()[1]),
        token,
        hosts=arguments.name,
        reachable=reachable,
        open=paths.open,
        uploads=paths.uploads,
        kinds=paths.kinds,
    )
    server = WebServer(listener, AccessGuard(app, access, POLICY))
    return (
        server,
        f"http://{shown if host not in ('0.0.0.0', '::') else '127.0.0.1'}:{server.port}/?token={token}",
    )


def announce(address: str, *, opens: bool) -> None:
    """Print the address, and open the page in the browser if asked to."""
    print(f"{ADDRESS_LINE}{address}", flush=True)
    if opens:
        import webbrowser

        webbrowser.open(address)


def films_folder(path: Path | None) -> Path | None:
    """The folder of --films. Raises ConfigError if it does not exist."""
    if path is not None and not path.is_dir():
        raise ConfigError(f"there is no folder {path}: name one with films, or leave --films out")
    return path
