"""Imported models: one folder each in the user's data folder, verified on every load.

models/NAME/manifest.json         kind, input and output format, SHA-256 of the other file
models/NAME/model.onnx            the imported file, or
models/NAME/model.safetensors     the converted weights of a classic TransformerNet
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from streamstyle.errors import ConfigError, ModelError
from streamstyle.styles.library import STYLE_NAME, models_folder, styles_folder
from streamstyle.styles.manifest_file import read_manifest
from streamstyle.styles.mix import parse_mix

IMPORTED_VERSION = 1
_FILES = {"onnx": "model.onnx", "transformer": "model.safetensors"}


class ImportedManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Manifest of an imported model, its manifest.json."""

    version: int
    name: str
    kind: Literal["onnx", "transformer"]
    source: str
    """Name of the imported file."""
    sha256: str
    """Digest of the stored file, in hexadecimal."""
    contract: dict[str, Any]
    """Format of its pictures; the engine reads it."""


@dataclass(frozen=True)
class ImportedModel:
    """A verified model in memory."""

    manifest: ImportedManifest
    data: bytes
    """The file, ONNX or safetensors, as the manifest's kind says."""


def check_free(name: str, *, replace: bool = False) -> None:
    """Raise ConfigError if `name` cannot name a new model: malformed, or taken (unless `replace`)."""
    if not STYLE_NAME.fullmatch(name):
        raise ConfigError(f"'{name}' cannot name a style: use a-z, 0-9 and -, for example --name my-style")
    if (styles_folder() / f"{name}.safetensors").exists():
        raise ConfigError(f"'{name}' is a style of your own already; choose another --name")
    if (models_folder() / name).exists() and not replace:
        raise ConfigError(
            f"an imported model '{name}' already exists; choose another --name or give --replace"
        )


def asked_model(style: str, names: Collection[str]) -> str | None:
    """The imported model that `--style` names; None if it names styles of a bundled network.

    Raises ConfigError for a mix with a model: two networks have no codes in common.
    """
    shares = parse_mix(style)
    asked = [name for name in shares if name in names]
    if not asked:
        return None
    if len(shares) > 1:
        raise ConfigError(
            f"'{asked[0]}' is an imported model and cannot be mixed; name it alone, or mix bundled styles"
        )
    return asked[0]


def save_model(
    name: str,
    kind: Literal["onnx", "transformer"],
    data: bytes,
    contract: Mapping[str, Any],
    source: str,
    *,
    replace: bool = False,
) -> Path:
    """Store a model under `name`, whole or not at all, and return its folder.

    source: name of the original file. Raises ConfigError as `check_free` does, ModelError if it cannot be
    written.
    """
    check_free(name, replace=replace)
    folder = models_folder() / name
    try:
        manifest = ImportedManifest(IMPORTED_VERSION, name, kind, source, _sha256(data), dict(contract))
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{name}.part.") as scratch:
            part = Path(scratch) / "new"
            part.mkdir()
            (part / _FILES[kind]).write_bytes(data)
            (part / "manifest.json").write_bytes(msgspec.json.format(msgspec.json.encode(manifest)))
            old = Path(scratch) / "old"
            if folder.exists():
                folder.rename(old)
            try:
                part.rename(folder)
            except OSError:
                if old.exists():
                    old.rename(folder)
                raise
    except OSError as error:
        raise ModelError(f"cannot write the model to {folder}: {error.strerror}") from error
    return folder


def load_imported(name: str) -> ImportedModel:
    """Load an imported model. Raises ModelError if it is missing or damaged."""
    folder = models_folder() / name
    manifest = load_manifest(name)
    path = folder / _FILES[manifest.kind]
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}; import the model again") from error
    if _sha256(data) != manifest.sha256:
        raise ModelError(f"{path} is damaged: its hash is not the manifest's; import the model again")
    return ImportedModel(manifest, data)


def load_manifest(name: str) -> ImportedManifest:
    """Read and check a manifest alone. Raises ModelError."""
    path = models_folder() / name / "manifest.json"
    missing = f"no imported model '{name}'"
    return read_manifest(path, ImportedManifest, IMPORTED_VERSION, missing, "; import the model again")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
