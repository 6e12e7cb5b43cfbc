"""The processor of this machine and our share of it."""

from __future__ import annotations

import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

_LIBRARIES = ("streamstyle", "openvino", "torch", "onnxruntime", "av", "opencv-python", "numpy")
_VECTORS = ("sse", "avx", "amx", "fma", "f16c", "asimd", "sve", "bf16", "i8mm")
_CPUINFO = Path("/proc/cpuinfo")
_STAT = Path("/proc/stat")


def processors() -> list[int]:
    """The numbers of the processors that this process may run on; systems without affinity: all of them."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def usable_cpus() -> int:
    """Number of `processors`."""
    return len(processors())


def instruction_sets() -> str:
    """The processor's vector instructions, by Linux' names; elsewhere the platform's name of the processor.

    Processors of one model can differ in them, because virtual machines hide some.
    """
    try:
        lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return " ".join(sorted(flag for flag in flags.split() if flag.startswith(_VECTORS)))


def processor_name() -> str:
    """The processor's own name on Linux; elsewhere the platform's name for it."""
    try:
        lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


class OtherLoad:
    """Share that others take of this process's processors, from the making of this object on.

    Others are other programs and, on a virtual machine, the other guests of its host.
    """

    def __init__(self) -> None:
        self._since = self._now()

    def share(self) -> float:
        """Share of these processors that other programs used since then, 0..1. Without use per processor it
        comes from the load average of the last minute, and is 0 without that."""
        if _busy_seconds() is None:
            load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
            return min(1.0, max(0.0, (load - 1) / (os.cpu_count() or 1)))
        wall, busy, ours = (now - then for now, then in zip(self._now(), self._since, strict=True))
        return min(1.0, max(0.0, (busy - ours) / (wall * usable_cpus()))) if wall else 0.0

    @staticmethod
    def _now() -> tuple[float, float, float]:
        return time.monotonic(), _busy_seconds() or 0.0, time.process_time()


def _busy_seconds() -> float | None:
    """Busy seconds of the processors that this process may use, including time that the host took; None if
    the system does not report them (Linux does)."""
    try:
        rows = [line.split() for line in _STAT.read_text(encoding="ascii").splitlines()]
        numbers = os.sched_getaffinity(0)
        ours = [row[1:] for row in rows if row[0][:3] == "cpu" and row[0][3:] in {str(n) for n in numbers}]
        ticks = sum(
            int(row[i]) for row in ours for i in (0, 1, 2, 5, 6, 7)
        )  # not idle, not waiting for disks
    except (OSError, ValueError, IndexError, AttributeError):
        return None
    return ticks / os.sysconf("SC_CLK_TCK") if ours else None


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
    """The machine that figures are measured on: processor, vector instructions, cores, system, versions."""
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
