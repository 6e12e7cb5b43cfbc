"""Load a bundle whole and verified, or raise. A bundle is a folder:

manifest.json          architecture, styles, training record, SHA-256 of the files beside it
generator.safetensors  `generator.*` (fp32), `codes` (S + 1, size) fp32, the last one `original`
discriminator.safetensors  the conditional discriminator of the same training, fp16
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load

from streamstyle.errors import ConfigError, ModelError, nearest
from streamstyle.styles.entry import StyleEntry
from streamstyle.styles.manifest_file import read_manifest

MANIFEST_VERSION = 1
ORIGINAL = "original"
_NETWORKS = Path(__file__).parent
BUNDLED = _NETWORKS / "lite"


def installed_networks() -> dict[str, Path]:
    """The folders of all bundled networks by name, in order of their names."""
    return {path.parent.name: path.parent for path in sorted(_NETWORKS.glob("*/manifest.json"))}


def network_folder(name: str) -> Path:
    """The folder of a bundled network, as "lite" or "full". Raises ConfigError, naming those installed."""
    installed = installed_networks()
    if name not in installed:
        known = ", ".join(installed) or "none"
        raise ConfigError(f"unknown network '{name}'{nearest(name, installed)}; installed are {known}")
    return installed[name]


class StyleRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One style in a manifest; its code is the row of the same position in `codes`."""

    name: str
    title: str
    artist: str
    year: str
    licence: str
    metrics: dict[str, float] = {}


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A bundle's manifest.json."""

    version: int
    name: str
    architecture: dict[str, Any]
    """Architecture of the generator."""
    sha256: dict[str, str]
    """Digest of each weight file, in hexadecimal."""
    styles: list[StyleRecord]
    training: dict[str, Any]
    """Options, paintings, and the photos trained on, held out and skipped."""


@dataclass(frozen=True)
class StyleBundle:
    """A verified bundle in memory."""

    folder: Path
    """Folder of the bundle."""
    manifest: Manifest
    weights: dict[str, NDArray[np.generic]]
    """The generator's tensors by name, fp32."""
    styles: tuple[StyleEntry, ...]
    original: NDArray[np.float32]

    @property
    def mean(self) -> NDArray[np.float32]:
        """The mean code (size,) of all styles, without `original`."""
        return np.asarray(np.stack([style.code for style in self.styles]).mean(axis=0), np.float32)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all styles, in the manifest's order."""
        return tuple(style.name for style in self.styles)


def load_manifest(folder: Path) -> Manifest:
    """Read and check a manifest alone (fast: no weights). Raises ModelError."""
    return read_manifest(folder / "manifest.json", Manifest, MANIFEST_VERSION, f"no style bundle in {folder}")


def load_bundle(folder: Path = BUNDLED) -> StyleBundle:
    """Load a bundle. Raises ModelError if a file is missing, damaged or does not fit."""
    manifest = load_manifest(folder)
    tensors = load(verified_bytes(folder, "generator.safetensors", manifest))
    try:
        codes = np.asarray(tensors.pop("codes"), np.float32)
    except KeyError as error:
        raise ModelError(f"{folder} holds no style codes") from error
    if codes.ndim != 2 or codes.shape[0] != len(manifest.styles) + 1:
        raise ModelError(
            f"{folder} names {len(manifest.styles)} styles but holds codes of shape {codes.shape}"
        )
    styles = tuple(
        StyleEntry(r.name, r.title, r.artist, r.year, r.licence, codes[i], r.metrics)
        for i, r in enumerate(manifest.styles)
    )
    weights = {
        name.removeprefix("generator."): array
        for name, array in tensors.items()
        if name.startswith("generator.")
    }
    return StyleBundle(folder, manifest, weights, styles, codes[-1])


def read_discriminator(bundle: StyleBundle) -> bytes:
    """The safetensors bytes of a bundle's discriminator. Raises ModelError if it is missing or damaged."""
    return verified_bytes(bundle.folder, "discriminator.safetensors", bundle.manifest)


def verified_bytes(folder: Path, name: str, manifest: Manifest) -> bytes:
    """A file of a bundle, after a check of its hash against the manifest. Raises ModelError."""
    try:
        data = (folder / name).read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {folder / name}: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != manifest.sha256.get(name):
        raise ModelError(f"{folder / name} is damaged: its hash is not the manifest's; install it again")
    return data
