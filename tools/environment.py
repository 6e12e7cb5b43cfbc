"""Set up `.venv` from pyproject.toml and run the calling script inside it. Needs only Python 3.11+."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".venv"
PYTHON = FOLDER / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def enter(*, extra: str | None = None) -> None:
    """Return inside the project's environment, made or brought up to date first.

    extra: optional dependencies of pyproject.toml to install too.
    """
    if Path(sys.prefix) == FOLDER:
        return
    if sys.version_info < (3, 11):
        sys.exit(f"streamstyle needs Python 3.11 or newer, this is {sys.version.split()[0]}")
    _install(f".[{extra}]" if extra else ".", FOLDER / f"installed-{extra or 'base'}")
    # -u: what a child process prints and what the script prints stay in order.
    sys.exit(subprocess.run([PYTHON, "-u", *sys.argv], check=False).returncode)


def _install(target: str, stamp: Path) -> None:
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print(f"setting up {FOLDER} ...", flush=True)
    if not PYTHON.exists():
        venv.create(FOLDER, with_pip=True, clear=True)
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--editable", target], cwd=ROOT, check=True)
    stamp.write_text(wanted)
