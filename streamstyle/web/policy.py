"""Names that a browser may use: none that leads to a file or an address, unless it was allowed at the
start."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from streamstyle.control.requests import AddSink, RemoveSink, Request, Set, Switch
from streamstyle.errors import ConfigError

_SCENE = re.compile(r"test:(\?[a-z0-9=&.]{0,100})?")
_DEVICE = re.compile(r"(webcam:\d{1,3}|screen:|browser:)")
_STYLES = re.compile(r"[a-z0-9:.,\s-]{1,400}")
_REGIONS = re.compile(r"person|background|none|(rect|chroma):.{1,400}")


@dataclass(frozen=True)
class Policy:
    """anything: may the page name any file and address, as the command line does? sources, sinks: what the
    command line named, which the page may name too. films: the folder whose films it may play, None for none.
    """

    anything: bool = False
    sources: Collection[str] = ()
    sinks: Collection[str] = ()
    films: Path | None = None

    def check(self, request: Request) -> None:
        """Raise ConfigError where the request names what it may not."""
        match request:
            case Switch():
                self.check_source(request.source)
            case AddSink():
                self.check_sink(request.sink)
            case Set():
                self._check_set(request)
            case RemoveSink():
                pass

    def check_source(self, url: str) -> None:
        """Raise ConfigError for a source that may not be named."""
        if self.anything or url in self.sources or _SCENE.fullmatch(url) or _DEVICE.fullmatch(url):
            return
        if url in self.film_paths():
            return
        raise _refused(f"the source {url:.80}")

    def check_sink(self, url: str) -> None:
        """Raise ConfigError for an output that may not be named."""
        if not (self.anything or url in self.sinks or url == "virtualcam:"):
            raise _refused(f"the output {url:.80}")

    def film_paths(self) -> list[str]:
        """The films of the folder, by name."""
        if self.films is None:
            return []
        films = (path for path in self.films.iterdir() if path.suffix.lower() in _FILMS and path.is_file())
        return sorted(str(path) for path in films)

    def _check_set(self, request: Set) -> None:
        for style in (request.style, request.region_style):
            if style is not None and not self.anything and not _STYLES.fullmatch(style):
                raise _refused(f"the style {style:.80}")
        region = request.region
        if region is not None and not self.anything and not _REGIONS.fullmatch(region):
            raise _refused(f"the region {region:.80}")


_FILMS = frozenset({".mp4", ".mkv", ".webm", ".mov", ".avi", ".m4v", ".gif"})


def _refused(what: str) -> ConfigError:
    return ConfigError(f"{what} may not be named from a browser: start with --allow-any to allow that")
