"""`streamstyle doctor`: missing parts of this machine, and how to get them."""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_LOW_DISK = 2e9
_FFMPEG = {"darwin": "brew install ffmpeg", "win32": "winget install ffmpeg"}


@dataclass(frozen=True)
class Finding:
    """Result of one check. None of the parts is needed for painting films."""

    name: str
    """Name of the part."""
    found: str
    """Description of the part; empty if it is missing."""
    remedy: str = ""
    """The way to get it, or its use."""


def add_command(commands: Any) -> None:
    """Declare `doctor`."""
    parser = commands.add_parser("doctor", help="list what is missing on this machine, and how to get it")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(command=command)


def command(arguments: argparse.Namespace) -> int:
    """Check everything. A missing part is not an error."""
    findings = [finding for check in _CHECKS for finding in check()]
    if arguments.json:
        print(json.dumps([_plain(finding) for finding in findings]))
        return 0
    for finding in findings:
        print(f"{'ok' if finding.found else 'missing':8} {finding.name:22} {finding.found or finding.remedy}")
    return 0


def _plain(finding: Finding) -> dict[str, Any]:
    ok = bool(finding.found)
    return {**asdict(finding), "remedy": "" if ok else finding.remedy, "ok": ok}


def _ffmpeg() -> list[Finding]:
    install = _FFMPEG.get(sys.platform, "sudo apt install ffmpeg")
    program = shutil.which("ffmpeg")
    if program is None:
        return [Finding("ffmpeg with SRT", "", f"{install}   (srt:// in and out)")]
    asked = [program, "-hide_banner", "-protocols"]
    told = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=20).stdout.split()
    remedy = f"{program} was built without SRT; {install}"
    return [Finding("ffmpeg with SRT", program if "srt" in told else "", remedy)]


def _cameras() -> list[Finding]:
    from streamstyle.media.cameras import cameras

    found = cameras()
    usable = [f"{camera.url} {camera.name}" for camera in found if not camera.problem]
    problems = [camera.problem for camera in found if camera.problem]
    return [Finding("camera", ", ".join(usable), "; ".join(problems) or "plug one in   (webcam:0)")]


def _screen() -> list[Finding]:
    from streamstyle.media.screens import screens

    found = [screen for screen in screens() if not screen.problem]
    name = "X display" if sys.platform == "linux" else "screen"
    remedy = "start it in a desktop session, or set DISPLAY   (screen:)"
    return [Finding(name, ", ".join(screen.name for screen in found), remedy)]


def _virtual_camera() -> list[Finding]:
    package = importlib.util.find_spec("pyvirtualcam") is not None
    findings = [Finding("pyvirtualcam", "installed" if package else "", _extra("live", "virtualcam:"))]
    if sys.platform == "linux":
        loaded = Path("/sys/module/v4l2loopback").exists()
        load = "sudo modprobe v4l2loopback exclusive_caps=1"
        remedy = f"sudo apt install v4l2loopback-dkms && {load}   (virtualcam:)"
        findings.append(Finding("v4l2loopback", "loaded" if loaded else "", remedy))
    return findings


def _processor() -> list[Finding]:
    from streamstyle.engines.machine import processor_name, usable_cpus
    from streamstyle.engines.openvino_engine import import_openvino
    from streamstyle.errors import EngineError

    try:
        core = import_openvino().Core()
    except EngineError as error:
        return [Finding("OpenVINO", "", str(error))]
    able = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    precision = "bf16" if "BF16" in able else "fp32 (no AVX-512 BF16 or AMX here)"
    return [Finding("OpenVINO", f"{precision} on {usable_cpus()} cores of {processor_name()}")]


def _gpu() -> list[Finding]:
    from streamstyle.engines.gpu import find_gpu

    gpu = find_gpu()
    if isinstance(gpu, str):
        return [Finding("CUDA", "", gpu)]
    tensorrt = importlib.util.find_spec("torch_tensorrt") is not None
    return [
        Finding("CUDA", f"{gpu.name}, driver {gpu.driver}"),
        Finding("TensorRT", "installed" if tensorrt else "", _extra("tensorrt", "--engine tensorrt")),
    ]


def _codecs() -> list[Finding]:
    from streamstyle.media.decoders import NEEDS, device_refusal
    from streamstyle.media.encoders import HARDWARE, refusal_of

    why = device_refusal()
    nvdec = Finding(
        "nvdec decoder", "" if why else "decodes h264", f"{why}; needs {NEEDS}   (--decoder cuda)"
    )
    refusals = {name: refusal_of(name) for name in HARDWARE}
    return [
        nvdec,
        *(
            Finding(
                f"{name} encoder",
                "" if refusal else f"{HARDWARE[name].name} encodes 640x360",
                f"{HARDWARE[name].name}: {refusal}; needs {HARDWARE[name].needs}   (--encoder {name})",
            )
            for name, refusal in refusals.items()
        ),
    ]


def _extras() -> list[Finding]:
    found = "installed" if importlib.util.find_spec("tensorboard") else ""
    return [Finding("tensorboard", found, _extra("train", "train base --tensorboard"))]


def _disk() -> list[Finding]:
    from streamstyle.engines.cache import cache_folder

    folder = cache_folder()
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    told = f"{free / 1e9:.1f} GB free for compiled engines in {folder}"
    return [Finding("disk", told if free > _LOW_DISK else "", f"{told}: free some, or set STREAMSTYLE_CACHE")]


def _extra(name: str, use: str) -> str:
    return f"pip install 'streamstyle[{name}]'   ({use})"


_CHECKS: tuple[Callable[[], list[Finding]], ...] = (
    _ffmpeg,
    _cameras,
    _screen,
    _virtual_camera,
    _processor,
    _gpu,
    _codecs,
    _extras,
    _disk,
)
