"""`streamstyle serve [SOURCE SINK...]`"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamstyle.web.app import ControlRoom

DEFAULT_ADDRESS = "127.0.0.1:8040"
_LOOK = 0.1


def add_command(commands: Any) -> None:
    """Declare `serve` and its options."""
    parser = commands.add_parser(
        "serve",
        help="the control room: look and steer in a browser",
        description="Serves one page on this machine: the live picture, all styles painted from it, "
        "settings, outputs, recordings, and what was found and repaired. Without a SOURCE the page asks for "
        "one. Films play at their own pace, again and again. With --streams one page shows several streams, "
        "and each has such a page, and a process, of its own.",
    )
    parser.add_argument("source", metavar="SOURCE", nargs="?", help="as for `run`")
    parser.add_argument(
        "sinks", metavar="SINK", nargs="*", help="as for `run`; each can be stopped and started"
    )
    parser.add_argument(
        "--streams", type=Path, metavar="FILE", help="several streams: a YAML list of names and settings"
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
    parser.add_argument(
        "--restart", action="store_true", help="begin a source again that fails, after 1, 2, 4 ... 30 s"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML settings, see configs/")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="one setting")
    parser.set_defaults(command=command)


def command(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    if arguments.streams is not None:
        from streamstyle.cli.serve_streams import serve_streams

        return serve_streams(arguments)
    from streamstyle.cli.page_server import Paths, announce, films_folder, page_server
    from streamstyle.cli.signals import stopping_on_signals
    from streamstyle.cli.terminal import notify
    from streamstyle.config import RunConfig, load_config
    from streamstyle.flow import Future, StopRequest
    from streamstyle.pipeline.control_room import Serving, control_room
    from streamstyle.web.app import KINDS, UPLOADS, application
    from streamstyle.web.pages import open_paths
    from streamstyle.web.policy import Policy

    style = [] if arguments.style is None else [f"style={json.dumps(arguments.style)}"]
    config = load_config(RunConfig, arguments.config, [*arguments.set, *style])
    source, sinks = arguments.source or config.source, tuple(arguments.sinks) or config.sinks
    policy = Policy(arguments.allow_any, [source] if source else [], sinks, films_folder(arguments.films))
    captures = arguments.captures or Path("captures")
    room = control_room(Serving(config, source, sinks, captures, policy), notify)
    stop = StopRequest()
    server, address = page_server(arguments, application(room), Paths(open_paths(), UPLOADS, KINDS))
    with stopping_on_signals(stop), server:
        announce(address, opens=arguments.open)
        if source is not None:
            Future(room.begin, "start")
        restarts = _Restarts(room, notify) if arguments.restart else None
        while not stop.requested:
            time.sleep(_LOOK)
            if restarts is not None:
                restarts.look()
        room.close()
    return 0


class _Restarts:
    """Begins the source again while its run has failed, after longer and longer pauses."""

    def __init__(self, room: ControlRoom, notify: Callable[[str], None]) -> None:
        from streamstyle.media.backoff import RESTARTS, Retries

        self._room, self._notify = room, notify
        self._retries = Retries(RESTARTS)
        self._began = time.monotonic()
        self._due: float | None = None

    def look(self) -> None:
        """Do what is due; to be called now and then."""
        from streamstyle.flow import Future

        why, now = self._room.service.failed, time.monotonic()
        if why is None:
            self._due = None
        elif self._due is None:
            self._retries.lasted(now - self._began)
            pause = self._retries.pause()
            self._due = now + pause
            self._notify(f"{why} It is tried again in {pause:.0f} s.")
        elif now >= self._due:
            self._due, self._began = None, now
            Future(self._room.begin, "start")
