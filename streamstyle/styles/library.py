"""The user's folder of styles and models that were trained or imported on this machine."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection
from pathlib import Path

from platformdirs import user_data_path

from streamstyle.errors import ConfigError
from streamstyle.files import check_writable

SUFFIX = ".safetensors"
STYLE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


def home() -> Path:
    """$STREAMSTYLE_HOME, or the platform's folder for program data. Creates nothing."""
    chosen = os.environ.get("STREAMSTYLE_HOME")
    if chosen:
        return Path(chosen)
    folder = user_data_path("streamstyle", appauthor=False)
    if sys.platform == "darwin" and not folder.exists():
        # platformdirs follows XDG_DATA_HOME on macOS too, and this folder did not.
        before = Path.home() / "Library" / "Application Support" / "streamstyle"
        return before if before.exists() else folder
    return folder


def styles_folder() -> Path:
    """Folder of own styles: NAME.safetensors each."""
    return home() / "styles"


def models_folder() -> Path:
    """Folder of imported models: a folder NAME each."""
    return home() / "models"


def own_style_path(name: str) -> Path | None:
    """The file of an own style: a name in `styles_folder`, or a path to a file anywhere; None if neither."""
    if name.endswith(SUFFIX):
        return Path(name) if Path(name).is_file() else None
    path = styles_folder() / (name + SUFFIX)
    return path if path.is_file() else None


def own_style_target(name: str, taken: Collection[str], *, path: Path | None, replace: bool) -> Path:
    """Path of a new own style: `path`, or a file in the folder of own styles.

    taken: names in use. Raises ConfigError for an invalid name, and for an existing file unless `replace`;
    SinkError for a `path` that cannot be written.
    """
    if not STYLE_NAME.fullmatch(name):
        raise ConfigError(f"'{name}' cannot be a style's name: use a-z, 0-9 and -")
    if name in taken or (models_folder() / name).exists():
        raise ConfigError(f"a style or model '{name}' already exists; choose another name")
    target = styles_folder() / (name + SUFFIX) if path is None else path
    if target.suffix != SUFFIX:
        raise ConfigError(f"a style file ends in {SUFFIX}, not '{target.name}'")
    if path is not None:
        check_writable(path)
    if target.exists() and not replace:
        raise ConfigError(f"{target} exists; give --replace to overwrite it, or choose another name")
    return target


def own_style_names() -> list[str]:
    """The names of all own styles, in order."""
    return sorted(path.name.removesuffix(SUFFIX) for path in styles_folder().glob("*" + SUFFIX))


def model_names() -> list[str]:
    """The names of all imported models, in order."""
    manifests = models_folder().glob("*/manifest.json")
    return sorted(path.parent.name for path in manifests if STYLE_NAME.fullmatch(path.parent.name))
