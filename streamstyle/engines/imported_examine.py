"""Examines a file of unknown origin in a child process, so that nothing in it can harm this one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from streamstyle.children import killed_with_parent
from streamstyle.engines.imported_engine import Contract
from streamstyle.engines.imported_probe import MAX_MEMORY, Declared, Examined
from streamstyle.engines.imported_weights import MAX_BYTES
from streamstyle.errors import ModelError

TIME_LIMIT = 300
# TensorProto.external_data (field 13) begins with the key "location": weights in a second file.
_EXTERNAL_DATA = re.compile(rb"\x6a[\x00-\xff]{1,3}\x0a\x08location\x12")


def examine_file(path: Path, declared: Declared) -> Examined:
    """Read, understand and, for PyTorch weights, convert a file.

    Raises ModelError with the reason why it cannot be used.
    """
    data = _read(path)
    if _EXTERNAL_DATA.search(data):
        raise ModelError(f"{path} keeps its weights in other files; save it as one ONNX file")
    with tempfile.TemporaryDirectory() as folder:
        converted = Path(folder) / "weights"
        # -P: a folder of downloads may hold a torch.py; the child must not import from where it stands.
        child = [sys.executable, "-P", "-m", "streamstyle.engines.imported_probe"]
        arguments = [str(TIME_LIMIT), json.dumps(asdict(declared)), str(converted)]
        try:
            done = subprocess.run(
                killed_with_parent([*child, *arguments]),
                input=data,
                capture_output=True,
                timeout=TIME_LIMIT,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ModelError(f"{path} could not be examined within {TIME_LIMIT} s") from error
        if done.returncode != 0 or not done.stdout:
            raise ModelError(
                f"{path} crashed the process that examined it (exit code {done.returncode}; maybe it needed "
                f"more than {MAX_MEMORY >> 30} GB of memory); the file is damaged or malicious"
            )
        answer = json.loads(done.stdout)
        if "error" in answer:
            raise ModelError(f"cannot import {path}: {answer['error']}")
        return Examined(answer["kind"], converted.read_bytes(), Contract.from_json(answer["contract"]))


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise ModelError(f"{path} is larger than {MAX_BYTES >> 20} MB, too large for a style network")
    if not data:
        raise ModelError(f"{path} is empty")
    return data
