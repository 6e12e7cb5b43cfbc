"""`streamstyle devices`: cameras and screens that `run` can read."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamstyle.media.cameras import Camera


def add_command(commands: Any) -> None:
    """Declare `devices`."""
    parser = commands.add_parser("devices", help="list cameras with their formats, and screens")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(command=command)


def command(arguments: argparse.Namespace) -> int:
    """List cameras and screens. Finding none is not an error."""
    from streamstyle.media.cameras import cameras
    from streamstyle.media.screens import screens

    found, shown = cameras(), screens()
    if arguments.json:
        print(json.dumps({"cameras": [asdict(c) for c in found], "screens": [asdict(s) for s in shown]}))
        return 0
    for camera in found:
        print(f"{camera.url:12} {camera.name}{f': {camera.problem}' if camera.problem else ''}")
        for line in _formats(camera):
            print(f"             {line}")
    for screen in shown:
        size = f", {screen.width}x{screen.height}" if screen.width else ""
        print(f"{screen.url:12} {screen.name}{size}{f': {screen.problem}' if screen.problem else ''}")
    if not found:
        print("no camera found; `streamstyle doctor` lists what may be missing")
    if not shown:
        print("no screen found: DISPLAY is not set")
    return 0


def _formats(camera: Camera) -> list[str]:
    """One line per pixel format: sizes with the highest rate of each."""
    sizes: dict[str, list[str]] = {}
    for known in camera.formats:
        rate = f"@{known.rates[0]:g}" if known.rates else ""
        sizes.setdefault(known.fourcc, []).append(f"{known.width}x{known.height}{rate}")
    return [f"{fourcc} {' '.join(listed)}" for fourcc, listed in sizes.items()]
