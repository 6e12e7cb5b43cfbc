"""The user's own folder: styles and models that were trained or imported on this machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path

SUFFIX = ".safetensors"


def home() -> Path:
    """$STREAMSTYLE_HOME, or where the platform keeps a program's data. Nothing is created."""
    chosen = os.environ.get("STREAMSTYLE_HOME")
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "streamstyle"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "streamstyle"
    return Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share")) / "streamstyle"


def styles_folder() -> Path:
    """Where own styles lie: NAME.safetensors each."""
    return home() / "styles"


def models_folder() -> Path:
    """Where imported models lie: a folder NAME each."""
    return home() / "models"


def own_style_path(name: str) -> Path | None:
    """The file of an own style: a name in `styles_folder`, or a path to a file anywhere; None if neither."""
    if name.endswith(SUFFIX):
        return Path(name) if Path(name).is_file() else None
    path = styles_folder() / (name + SUFFIX)
    return path if path.is_file() else None


def own_style_names() -> list[str]:
    """The names of all own styles, in order."""
    return sorted(path.name.removesuffix(SUFFIX) for path in styles_folder().glob("*" + SUFFIX))
