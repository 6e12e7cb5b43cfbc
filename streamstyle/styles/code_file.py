"""Own styles as one small file: the style's code for each network that it was trained on.

A safetensors file. Tensors: one float32 code (size,) per network, named as the network. Metadata
`streamstyle`: JSON of the version, the `StyleRecord`, and the SHA-256 of each network's generator, because a
code means nothing to other weights.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save

from streamstyle.errors import ModelError
from streamstyle.files import make_folder, write_whole
from streamstyle.styles.bundle import Manifest, StyleRecord
from streamstyle.styles.entry import StyleEntry
from streamstyle.styles.library import SUFFIX, own_style_names, own_style_path

CODE_VERSION = 1
_WEIGHTS = "generator.safetensors"


@dataclass(frozen=True)
class CodeFile:
    """A style's codes."""

    record: StyleRecord
    codes: Mapping[str, NDArray[np.float32]]
    """Code by network, float32 (size,)."""
    bases: Mapping[str, str]
    """SHA-256 of the generator that a code was trained on, by network."""

    def fits(self, manifest: Manifest) -> bool:
        """True if the style was trained for the network of `manifest`, with these very weights."""
        return self.bases.get(manifest.name) == manifest.sha256[_WEIGHTS]

    def entry(self, manifest: Manifest) -> StyleEntry:
        """The style for the network of `manifest`. Raises ModelError if it was trained for another."""
        r, network = self.record, manifest.name
        if network not in self.codes:
            known = ", ".join(self.codes)
            raise ModelError(
                f"the style '{r.name}' was trained for the network {known}, not for {network}; "
                f"train it again with --network {network}"
            )
        if self.bases[network] != manifest.sha256[_WEIGHTS]:
            raise ModelError(
                f"the style '{r.name}' was trained on other weights of the network {network}; train it again"
            )
        return StyleEntry(r.name, r.title, r.artist, r.year, r.licence, self.codes[network], r.metrics)


def save_code(
    path: Path,
    record: StyleRecord,
    codes: Mapping[str, NDArray[np.float32]],
    manifests: Mapping[str, Manifest],
) -> None:
    """Write a code file, whole or not at all. Raises SinkError."""
    bases = {network: manifests[network].sha256[_WEIGHTS] for network in codes}
    about = {"version": CODE_VERSION, "record": msgspec.to_builtins(record), "bases": bases}
    tensors = {network: np.ascontiguousarray(code, np.float32) for network, code in codes.items()}
    make_folder(path.parent)
    write_whole(path, save(tensors, {"streamstyle": json.dumps(about)}))


def load_code(path: Path) -> CodeFile:
    """Read a code file. Raises ModelError if it is missing, damaged or something else."""
    if not path.is_file():
        raise ModelError(f"there is no style file {path}")
    try:
        with safe_open(path, framework="np") as file:
            about = json.loads((file.metadata() or {})["streamstyle"])
            codes = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        version, bases = about["version"], dict(about["bases"])
        record = msgspec.convert(about["record"], StyleRecord)
    except Exception as error:  # safetensors raises its own type, KeyError, ValueError and OSError
        raise ModelError(
            f"{path} is not a style file of streamstyle ({error}); delete it or train it again"
        ) from error
    if version != CODE_VERSION:
        raise ModelError(f"{path} has version {version}, this program reads version {CODE_VERSION}")
    for network, code in codes.items():
        fits = code.ndim == 1 and code.dtype == np.float32 and np.isfinite(code).all() and network in bases
        if not fits:
            raise ModelError(
                f"{path} is damaged: its code for the network {network} is not a list of numbers"
            )
    return CodeFile(record, codes, bases)


def own_entries(manifest: Manifest) -> list[StyleEntry]:
    """The own styles that were trained for the network of `manifest`, in name order. Raises ModelError."""
    return [file.entry(manifest) for file in own_files() if file.fits(manifest)]


def own_files() -> list[CodeFile]:
    """All own styles, in name order, named as their files. Raises ModelError."""
    paths = [path for name in own_style_names() if (path := own_style_path(name))]
    return [_called(load_code(path), path.name.removesuffix(SUFFIX)) for path in paths]


def _called(file: CodeFile, name: str) -> CodeFile:
    return replace(file, record=msgspec.structs.replace(file.record, name=name))
