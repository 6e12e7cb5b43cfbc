"""Names that a browser may use: no files and no addresses, unless they were allowed at the start."""

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
    """Rules for names from the page."""

    allow_any: bool = False
    """True if it may name any file and address, as the command line does."""
    sources: Collection[str] = ()
    """Sources of the command line, which the page may name too."""
    sinks: Collection[str] = ()
    """Sinks of the command line, which the page may name too."""
    films: Path | None = None
    """Folder of films that it may play; None without one."""

    def check(self, request: Request) -> None:
        """Raise ConfigError if the request names something that is not allowed."""
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
        if self.allow_any or url in self.sources or _SCENE.fullmatch(url) or _DEVICE.fullmatch(url):
            return
        if url in self.film_paths():
            return
        raise _refused(f"the source {url:.80}")

    def check_sink(self, url: str) -> None:
        """Raise ConfigError for an output that may not be named."""
        if not (self.allow_any or url in self.sinks or url == "virtualcam:"):
            raise _refused(f"the output {url:.80}")

    def film_paths(self) -> list[str]:
        """The films of the folder, by name."""
        if self.films is None:
            return []
        films = (path for path in self.films.iterdir() if path.suffix.lower() in _FILMS and path.is_file())
        return sorted(str(path) for path in films)

    def _check_set(self, request: Set) -> None:
        for style in (request.style, request.region_style):
            if style is not None and not self.allow_any and not _STYLES.fullmatch(style):
                raise _refused(f"the style {style:.80}")
        region = request.region
        if region is not None and not self.allow_any and not _REGIONS.fullmatch(region):
            raise _refused(f"the region {region:.80}")


_FILMS = frozenset({".mp4", ".mkv", ".webm", ".mov", ".avi", ".m4v", ".gif"})


def _refused(what: str) -> ConfigError:
    return ConfigError(
        f"{what} cannot be chosen from a browser: start streamstyle with --allow-any to allow it"
    )
