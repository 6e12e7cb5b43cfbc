"""The control room with all that it shows and moves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from streamstyle.config import RunConfig
from streamstyle.control.run_controller import RunController
from streamstyle.errors import ConfigError
from streamstyle.explain.moments import words
from streamstyle.files import make_folder, write_whole
from streamstyle.flow import StopRequest
from streamstyle.media.cameras import cameras
from streamstyle.media.paced_source import PacedSource
from streamstyle.pipeline.compiling import Compiler
from streamstyle.pipeline.job import Job
from streamstyle.pipeline.model import load_model, networks_with_styles
from streamstyle.pipeline.run_hooks import RunHooks
from streamstyle.pipeline.run_job import run_job
from streamstyle.pipeline.run_tap import RunTap, open_configured
from streamstyle.styles.bundle import ORIGINAL, Manifest, load_manifest, network_folder
from streamstyle.styles.code_file import own_entries
from streamstyle.styles.library import STYLE_NAME, home
from streamstyle.styles.thumbnail import thumbnail
from streamstyle.types import Picture, Source, StyleCondition
from streamstyle.web.app import ControlRoom
from streamstyle.web.pictures import PictureFeed
from streamstyle.web.policy import Policy
from streamstyle.web.record import FindingsHistory
from streamstyle.web.room_state import RoomState
from streamstyle.web.service import Service
from streamstyle.web.training import Training
from streamstyle.web.wall import HEIGHT, WIDTH, Painter, StyleWall
from streamstyle.web.webrtc import BROWSER, BrowserSource, IncomingPictures


@dataclass(frozen=True)
class ControlRoomConfig:
    """Initial settings of a control room."""

    state: RoomState
    captures: Path
    """The folder of snapshots and recordings."""
    policy: Policy
    """Sources and sinks that the page may name."""
    on_change: Callable[[RoomState], None] = lambda _: None
    """See `Service`."""


def control_room(serving: ControlRoomConfig, notify: Callable[[str], None]) -> ControlRoom:
    """A control room that is ready to be served; nothing runs yet. notify: gets the messages of runs."""
    feed, record, incoming = PictureFeed(), FindingsHistory(words), IncomingPictures()
    tap = RunTap(record, feed.around, feed, partial(_open_in_time, incoming))

    def start_run(
        source: str,
        config: RunConfig,
        *,
        stop: StopRequest,
        ready: Callable[[RunController], None],
        notify: Callable[[str], None],
    ) -> object:
        record.clear()
        job = Job(source, (), captures=serving.captures)
        return run_job(job, config, stop=stop, hooks=RunHooks(notify=notify, ready=ready, tap=tap))

    service = Service(start_run, serving.state, notify, serving.on_change)
    wall = StyleWall(
        lambda: [style["name"] for style in _styles(service.config)],
        lambda: _open_painter(service.config, notify),
        lambda: feed.source if feed.is_styled else None,  # the run's engine is opened before the wall's
        _first_thumbnails(serving.state.config),
    )
    return ControlRoom(
        service=service,
        feed=feed,
        record=record,
        wall=wall,
        policy=serving.policy,
        training=Training(),
        incoming=incoming,
        sources=partial(_sources, serving),
        styles=lambda: _styles(service.config),
        save_preset=partial(_save_preset, service),
    )


def _open_in_time(incoming: IncomingPictures, url: str, config: RunConfig) -> Source:
    if url == BROWSER:
        return BrowserSource(incoming)
    return PacedSource(partial(open_configured, url, config))


def _manifest(config: RunConfig) -> Manifest:
    if config.network == "auto":
        return networks_with_styles(config)[0]
    return load_manifest(network_folder(config.network))


def _styles(config: RunConfig) -> list[dict[str, Any]]:
    """Name, title and artist of each style that the network knows; the unchanged picture comes last."""
    manifest = _manifest(config)
    bundled = [{"name": s.name, "title": s.title, "artist": s.artist, "own": False} for s in manifest.styles]
    own = [{"name": s.name, "title": s.title, "artist": s.artist, "own": True} for s in own_entries(manifest)]
    return [*bundled, *own, {"name": ORIGINAL, "title": "as it is", "artist": "", "own": False}]


def _first_thumbnails(config: RunConfig) -> dict[str, bytes]:
    paths = {style["name"]: thumbnail(style["name"]) for style in _styles(config)}
    return {name: path.read_bytes() for name, path in paths.items() if path is not None}


def _open_painter(config: RunConfig, notify: Callable[[str], None]) -> Painter:
    plain = RunConfig(engine=config.engine, network=_manifest(config).name, correct="off")
    model = load_model(plain, notify)
    engine = model.open_engine(HEIGHT, WIDTH, compiler=Compiler(notify))

    def paint(picture: Picture, style: str) -> Picture:
        codes = model.codes_of(replace(plain, style=style))
        return engine.start(np.ascontiguousarray(picture), StyleCondition(codes)).result()

    return paint


def _sources(serving: ControlRoomConfig) -> list[dict[str, Any]]:
    """Sources that the page offers: url, name, detail in words, and the reason that one cannot be used."""
    named = [{"url": url, "name": "From the command line"} for url in serving.policy.sources]
    cams = [{"url": c.url, "name": c.name, "problem": c.problem} for c in cameras()]
    films = [
        {"url": path, "name": Path(path).name, "detail": "a film of the folder"}
        for path in serving.policy.film_paths()
    ]
    drawn = [
        {"url": "screen:", "name": "Screen", "detail": "what this computer shows"},
        {
            "url": "test:?live=1&size=640x360&rate=30",
            "name": "Rendered scene",
            "detail": "a moving landscape, without a camera",
        },
    ]
    return [*named, *cams, *films, *drawn]


def _save_preset(service: Service, name: str, config: RunConfig) -> str:
    if not STYLE_NAME.fullmatch(name):
        raise ConfigError("a preset is named with a-z, 0-9 and -")
    folder = home() / "presets"
    make_folder(folder)
    path = folder / f"{name}.yaml"
    usual = asdict(RunConfig())
    values = {key: value for key, value in asdict(config).items() if value != usual[key]}
    values |= {"source": service.source, "sinks": list(service.wanted)}
    text = yaml.safe_dump({k: v for k, v in values.items() if v}, sort_keys=True, allow_unicode=True)
    write_whole(path, text.encode())
    return str(path)
