"""`streamstyle serve [SOURCE SINK...]`"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamstyle.config import RunConfig
    from streamstyle.flow import StopRequest
    from streamstyle.web.app import ControlRoom
    from streamstyle.web.room_state import RoomState

DEFAULT_ADDRESS = "127.0.0.1:8040"


def add_command(commands: Any) -> None:
    """Declare `serve` and its options."""
    parser = commands.add_parser(
        "serve",
        help="open the control room: watch and steer a run in the browser",
        description="Serves one page on this machine: the live picture, all styles painted from it, "
        "settings, outputs, recordings, and what was found and repaired. Without a SOURCE the page asks for "
        "one. Films play at their own pace, again and again. With --streams one page shows several streams; "
        "each has a process and a page of its own.",
    )
    parser.add_argument("source", metavar="SOURCE", nargs="?", help="as for `run`")
    parser.add_argument(
        "sinks", metavar="SINK", nargs="*", help="as for `run`; each can be stopped and started"
    )
    parser.add_argument(
        "--streams", type=Path, metavar="FILE", help="several streams: a YAML list of names and settings"
    )
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    parser.add_argument(
        "--address", default=DEFAULT_ADDRESS, metavar="HOST:PORT", help=f"default: {DEFAULT_ADDRESS}"
    )
    parser.add_argument(
        "--token", metavar="WORD", help="token in the page's address (default: a new one each time)"
    )
    parser.add_argument(
        "--name",
        action="append",
        default=[],
        metavar="HOST",
        help="another name by which browsers reach this server",
    )
    parser.add_argument("--style", metavar="NAME", help="NAME, or a mix: NAME:0.7,OTHER:0.3")
    parser.add_argument(
        "--captures", type=Path, metavar="FOLDER", help="folder of recordings (default: ./captures)"
    )
    parser.add_argument("--films", type=Path, metavar="FOLDER", help="folder of films for the page")
    parser.add_argument(
        "--allow-any", action="store_true", help="let the page name any file and address of this machine"
    )
    parser.add_argument(
        "--restart", action="store_true", help="start a failed source again, after 1, 2, 4 ... 30 s"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML settings, see configs/")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="one setting")
    parser.add_argument("--stream-process", action="store_true", help=argparse.SUPPRESS)
    parser.set_defaults(command=command)


def command(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    if arguments.streams is not None:
        from streamstyle.cli.serve_streams import serve_streams

        return serve_streams(arguments)
    from streamstyle.cli.page_server import Paths, announce, films_folder, page_server
    from streamstyle.cli.signals import stopping_on_signals
    from streamstyle.cli.terminal import notify
    from streamstyle.flow import Future, StopRequest
    from streamstyle.pipeline.control_room import ControlRoomConfig, control_room
    from streamstyle.web.app import KINDS, UPLOADS, application
    from streamstyle.web.pages import open_paths
    from streamstyle.web.policy import Policy

    named, state, on_change = _asked(arguments)
    sources = [] if named.source is None else [named.source]
    policy = Policy(arguments.allow_any, sources, named.sinks, films_folder(arguments.films))
    captures = arguments.captures or Path("captures")
    room = control_room(ControlRoomConfig(state, captures, policy, on_change), notify)
    stop = StopRequest()
    server, address = page_server(arguments, application(room), Paths(open_paths(), UPLOADS, KINDS))
    with stopping_on_signals(stop), server:
        announce(address, opens=arguments.open)
        if state.running:
            Future(room.begin, "start")
        if arguments.restart:
            Future(_Restarts(room, stop, notify).keep, "restarts")
        stop.wait()
        room.close()
    return 0


def _asked(arguments: argparse.Namespace) -> tuple[RunConfig, RoomState, Callable[[RoomState], None]]:
    """Settings with the permitted source and sinks, the initial state, and the listener for changes."""
    from streamstyle.config import RunConfig, load_config
    from streamstyle.web.room_state import first_state

    if arguments.stream_process:
        from streamstyle.streams.stream_messages import read_request, state_writer

        request = read_request()
        return request.config, request.state, state_writer(request.mark)
    style = [] if arguments.style is None else [f"style={json.dumps(arguments.style)}"]
    config = load_config(RunConfig, arguments.config, [*arguments.set, *style])
    config = replace(
        config, source=arguments.source or config.source, sinks=tuple(arguments.sinks) or config.sinks
    )
    return config, first_state(config), lambda _: None


class _Restarts:
    """Starts the source again each time its run has failed, after longer and longer pauses."""

    def __init__(self, room: ControlRoom, stop: StopRequest, notify: Callable[[str], None]) -> None:
        from streamstyle.media.backoff import RESTARTS, Retries

        self._room, self._stop, self._notify = room, stop, notify
        self._retries = Retries(RESTARTS)

    def keep(self) -> None:
        """Go on until the server ends."""
        began = time.monotonic()
        while not self._stop.requested:
            why = self._room.service.wait_for_failure()
            self._retries.lasted(time.monotonic() - began)
            pause = self._retries.pause()
            self._notify(f"{why} Trying again in {pause:.0f} s.")
            if not self._stop.wait(pause) and self._room.service.failed is not None:
                began = time.monotonic()
                self._room.begin()
