"""`streamstyle serve --streams FILE`"""

from __future__ import annotations

import argparse
from pathlib import Path

from streamstyle.cli.page_server import Paths, announce, page_server
from streamstyle.cli.signals import stopping_on_signals
from streamstyle.cli.terminal import notify
from streamstyle.errors import ConfigError
from streamstyle.flow import StopRequest
from streamstyle.streams.stream_file import StreamEntry, load_streams
from streamstyle.streams.supervisor import Supervisor
from streamstyle.web.streams_app import StreamsRoom, open_stream_paths, stream_kinds, stream_uploads


def serve_streams(arguments: argparse.Namespace) -> int:
    """Serve all streams of a file until Ctrl-C; then they finish their outputs. Raises ConfigError."""
    named = {
        "SOURCE": arguments.source,
        "--style": arguments.style,
        "--config": arguments.config,
        "--set": arguments.set or None,
    }
    if given := [name for name, value in named.items() if value is not None]:
        raise ConfigError(
            f"the file of --streams names sources and settings: leave out {' and '.join(given)}"
        )
    streams = load_streams(arguments.streams)
    names = [stream.name for stream in streams]
    stop = StopRequest()
    supervisor = Supervisor(streams, lambda stream: _options(arguments, stream), notify)
    room = StreamsRoom(lambda: supervisor.streams, lambda: supervisor.events)
    paths = Paths(open_stream_paths(names), stream_uploads(names), stream_kinds(names))
    server, address = page_server(arguments, room.application(), paths)
    with stopping_on_signals(stop), supervisor, server:
        announce(address, opens=arguments.open)
        stop.wait()
    return 0


def _options(arguments: argparse.Namespace, stream: StreamEntry) -> list[str]:
    """Options of `serve` for one of the streams."""
    captures = (arguments.captures or Path("captures")) / stream.name
    return [
        *("--captures", str(captures)),
        *(["--allow-any"] if arguments.allow_any else []),
        *(["--films", str(arguments.films)] if arguments.films is not None else []),
    ]
