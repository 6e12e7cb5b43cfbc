"""`streamstyle serve [SOURCE SINK...]`"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import time
from pathlib import Path
from typing import Any

DEFAULT_ADDRESS = "127.0.0.1:8040"
SHORTEST_TOKEN = 16
_LOOK = 0.1


def add_command(commands: Any) -> None:
    """Declare `serve` and its options."""
    parser = commands.add_parser(
        "serve",
        help="the control room: look and steer in a browser",
        description="Serves one page on this machine: the live picture, all styles painted from it, "
        "settings, outputs, recordings, and what was found and repaired. Without a SOURCE the page asks for "
        "one. Films play at their own pace, again and again.",
    )
    parser.add_argument("source", metavar="SOURCE", nargs="?", help="as for `run`")
    parser.add_argument(
        "sinks", metavar="SINK", nargs="*", help="as for `run`; each can be stopped and started"
    )
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    parser.add_argument("--address", default=DEFAULT_ADDRESS, metavar="HOST:PORT", help=DEFAULT_ADDRESS)
    parser.add_argument(
        "--token", metavar="WORD", help="in the page's address (default: a new one each time)"
    )
    parser.add_argument(
        "--name", action="append", default=[], metavar="HOST", help="that browsers may ask by"
    )
    parser.add_argument("--style", metavar="NAME", help="NAME, or a mix: NAME:0.7,OTHER:0.3")
    parser.add_argument("--captures", type=Path, metavar="FOLDER", help="default: ./captures")
    parser.add_argument("--films", type=Path, metavar="FOLDER", help="whose films the page may play")
    parser.add_argument(
        "--allow-any", action="store_true", help="let the page name any file and address of this machine"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML settings, see configs/")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="one setting")
    parser.set_defaults(command=command)


def command(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    from streamstyle.cli.signals import stopping_on_signals
    from streamstyle.cli.terminal import notify
    from streamstyle.config import RunConfig, load_config
    from streamstyle.flow import Future, StopRequest
    from streamstyle.pipeline.control_room import Serving, control_room
    from streamstyle.web.policy import Policy

    style = [] if arguments.style is None else [f"style={json.dumps(arguments.style)}"]
    config = load_config(RunConfig, arguments.config, [*arguments.set, *style])
    source, sinks = arguments.source or config.source, tuple(arguments.sinks) or config.sinks
    policy = Policy(arguments.allow_any, [source] if source else [], sinks, _folder(arguments.films))
    captures = arguments.captures or Path("captures")
    room = control_room(Serving(config, source, sinks, captures, policy), notify)
    stop = StopRequest()
    server, address = _server(arguments, room)
    with stopping_on_signals(stop), server:
        print(f"control room: {address}", flush=True)
        if source is not None:
            Future(room.begin, "start")
        if arguments.open:
            import webbrowser

            webbrowser.open(address)
        while not stop.requested:
            time.sleep(_LOOK)
        room.close()
    return 0


def _folder(path: Path | None) -> Path | None:
    from streamstyle.errors import ConfigError

    if path is not None and not path.is_dir():
        raise ConfigError(f"there is no folder {path}: name one with films, or leave --films out")
    return path


def _server(arguments: argparse.Namespace, room: Any) -> tuple[Any, str]:
    """The server, and the address of its page. Raises ConfigError."""
    from streamstyle.errors import ConfigError
    from streamstyle.web.app import KINDS, UPLOADS, application
    from streamstyle.web.guard import LOOPBACK, Access, AccessGuard
    from streamstyle.web.pages import POLICY, open_paths
    from streamstyle.web.server import WebServer, listening, parse_address

    host, port = parse_address(arguments.address)
    shown = f"[{host}]" if ":" in host else host
    reachable = shown not in LOOPBACK
    token = arguments.token or secrets.token_urlsafe(16)
    if reachable and len(arguments.token or "") < SHORTEST_TOKEN:
        raise ConfigError(
            f"{host} can be reached by other machines: give --token a word of at least {SHORTEST_TOKEN} "
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
            "other machines can reach this server, and nothing is encrypted: put a server with TLS before it",
            file=sys.stderr,
        )
    access = Access(
        int(listener.getsockname()[1]),
        token,
        hosts=arguments.name,
        reachable=reachable,
        open=open_paths(),
        uploads=UPLOADS,
        kinds=KINDS,
    )
    server = WebServer(listener, AccessGuard(application(room), access, POLICY))
    return (
        server,
        f"http://{shown if host not in ('0.0.0.0', '::') else '127.0.0.1'}:{server.port}/?token={token}",
    )
