"""Install the servers and programs that tests of live sources and sinks talk to (Debian packages).

python3 tools/live_peers.py

Installs missing packages if it runs as root on a machine with apt-get. Otherwise it prints the command, and
the tests that need them are skipped. tests/peers.py starts them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys

PACKAGES = {
    "ffmpeg": "SRT, UDP and a second opinion on every stream",
    "nginx-light": "the RTMP server, with the next",
    "libnginx-mod-rtmp": "publish and play",
    "python3-gi": "the RTSP server is GStreamer's, driven from the system's Python",
    "gir1.2-gst-rtsp-server-1.0": "play and record",
    "gstreamer1.0-plugins-base": "test picture, test tone, Opus",
    "gstreamer1.0-plugins-good": "RTP, Matroska",
    "gstreamer1.0-plugins-ugly": "H.264",
    "xvfb": "a screen without a monitor",
    "chromium": "the browser of the control room's tests",
    "obs-studio": "what streamers look at our streams with",
}


def missing() -> list[str]:
    """Names of the packages that are not installed; all of them on systems other than Debian."""
    if shutil.which("dpkg-query") is None:
        return list(PACKAGES)
    listing = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *PACKAGES],
        capture_output=True,
        text=True,
        check=False,
    )
    installed = {line.split()[0] for line in listing.stdout.splitlines() if line.endswith(" installed")}
    return [name for name in PACKAGES if name not in installed]


def main() -> int:
    """Install missing packages; returns 1 if some are still missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.parse_args()
    wanted = missing()
    if not wanted:
        print("everything that live tests talk to is installed")
        return 0
    install = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *wanted]
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        print("tests of live sources and sinks will be skipped; as root, on Debian or Ubuntu, run:")
        print(" ".join(install))
        return 1
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "--quiet"], install):
        done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)
        if done.returncode:
            print(f"{' '.join(command)} failed: tests of live sources and sinks will be skipped")
            return 1
    print("installed", *wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
