"""Read the manifests of bundles and of imported models: JSON files of a version."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from streamstyle.errors import ModelError


class Versioned(Protocol):
    """A manifest that says its version."""

    @property
    def version(self) -> int:
        """Version of the file's format."""


Read = TypeVar("Read", bound=Versioned)


def read_manifest(path: Path, kind: type[Read], version: int, missing: str, remedy: str = "") -> Read:
    """Read a manifest of type `kind`, which has a `version`. Raises ModelError.

    missing: the error's words where the file cannot be read. remedy: added where it is damaged.
    """
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise ModelError(f"{missing}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"the manifest {path} is damaged: {error}{remedy}") from error
    if manifest.version != version:
        raise ModelError(f"{path} has version {manifest.version}, this program reads version {version}")
    return manifest
