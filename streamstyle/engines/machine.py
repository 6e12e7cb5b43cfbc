"""What the processor of this machine is and how much of it is ours."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Any

_LIBRARIES = ("streamstyle", "openvino", "torch", "onnxruntime", "av", "opencv-python", "numpy")
_VECTORS = ("sse", "avx", "amx", "fma", "f16c", "asimd", "sve", "bf16", "i8mm")
_CPUINFO = Path("/proc/cpuinfo")


def usable_cpus() -> int:
    """Processors that this process may run on; systems without affinity: all of them."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def instruction_sets() -> str:
    """The processor's vector instructions, by Linux' names; elsewhere what the platform calls the processor.

    Processors of one model name differ in them: virtual machines hide some.
    """
    try:
        lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return " ".join(sorted(flag for flag in flags.split() if flag.startswith(_VECTORS)))


def processor_name() -> str:
    """What the processor calls itself; elsewhere than on Linux what the platform calls it."""
    try:
        lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def resident_memory() -> int:
    """Bytes of this process that are in memory now; where the system does not say, the most there were."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return peak_memory()
    return pages * os.sysconf("SC_PAGE_SIZE")


def peak_memory() -> int:
    """The most bytes that this process ever had in memory; 0 where the system does not say."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        # getrusage would count what the parent had when it started this process.
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        pass
    if sys.platform == "win32":
        return 0
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def facts() -> dict[str, Any]:
    """What figures are measured on: processor, vector instructions, cores, system and versions."""
    from importlib.metadata import PackageNotFoundError, version

    versions = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "missing"
    return {
        "processor": processor_name(),
        "instructions": instruction_sets(),
        "cores": usable_cpus(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": versions,
    }
