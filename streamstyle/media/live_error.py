"""Error messages for live inputs, with remedies."""

from __future__ import annotations

import errno
import socket
from urllib.parse import urlsplit

import av

from streamstyle.errors import SourceError
from streamstyle.media.cameras import camera_names
from streamstyle.media.container import reason
from streamstyle.media.live_url import LiveInput
from streamstyle.media.piped import STDIN
from streamstyle.urls import without_secrets

_UNREACHABLE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT, errno.EADDRNOTAVAIL}
_DEFAULT_PORT = {"rtsp": 554, "rtsps": 322, "rtmp": 1935, "rtmps": 443, "http": 80, "https": 443}


def live_error(opening: LiveInput, error: BaseException, complaint: str = "") -> SourceError:
    """The failure to open or read an input. complaint: message of the program that reads it, if any."""
    if opening.device:
        number, _, words = complaint.partition(" ")
        if number.isdigit():  # reported by the child that reads it
            return SourceError(_device(opening, error, words, int(number)))
        told = "it has ended" if isinstance(error, EOFError) else reason(error)
        return SourceError(_device(opening, error, told, getattr(error, "errno", None)))
    if complaint:
        told = complaint.removeprefix(f"{opening.file}: ").removeprefix(f"{STDIN}: ")
        return SourceError(f"{opening.name} cannot be read: {without_secrets(told, opening.url)}.")
    return SourceError(f"{opening.name} {_answered(opening.url, error) or _unreached(opening.url, error)}")


def no_picture(opening: LiveInput) -> SourceError:
    """The failure of an input that opened and shows nothing."""
    return SourceError(f"{opening.name} sends no picture that can be decoded: name a stream with video.")


def _device(opening: LiveInput, error: BaseException, words: str, code: int | None) -> str:
    url = opening.name
    if isinstance(error, TimeoutError):
        return f"{url} sends nothing in time: it hangs; unplug and replug it, or restart what drives it."
    if url.lower().startswith("screen:"):
        return (
            f"{url} cannot be read from {opening.file}: check the display and that the region lies on it "
            f"({words})."
        )
    cameras = camera_names()
    there = (
        f"the cameras of this machine are {', '.join(cameras)}"
        if cameras
        else "there is no camera on this machine"
    )
    if code in {errno.EACCES, errno.EPERM}:
        return (
            f"{url} may not be read: join the group that owns {opening.file} (sudo usermod -aG video $USER)."
        )
    if code == errno.EBUSY:
        return f"{url} is in use by another program: close that first."
    if code in {errno.ENOENT, errno.ENODEV, errno.ENXIO} or not cameras:
        return f"{url} does not exist: {there}."
    return f"{url} cannot be read ({words}): {there}; `streamstyle devices` lists their formats."


def _known(host: str) -> bool:
    try:
        socket.getaddrinfo(host, None)
    except OSError:
        return False
    return True


def _answered(url: str, error: BaseException) -> str:
    """Meaning of the error's type alone; empty if unknown."""
    scheme = urlsplit(url).scheme
    if isinstance(error, av.ExitError | TimeoutError):
        return "sends nothing in time: check that something is sent there."
    if isinstance(error, EOFError):
        return "has ended: nothing is sent there any more."
    if isinstance(error, av.HTTPNotFoundError):
        return "does not exist on that server (404): check the path."
    if isinstance(error, av.HTTPUnauthorizedError | av.HTTPForbiddenError):
        return f"needs a user name and a password, or other ones: write {scheme}://USER:PASSWORD@..."
    if isinstance(error, av.ProtocolNotFoundError):
        return f"needs a protocol that this FFmpeg was built without: {scheme}."
    return ""


def _unreached(url: str, error: BaseException) -> str:
    parts, code = urlsplit(url), getattr(error, "errno", None)
    if code == errno.ECONNREFUSED:
        port = parts.port or _DEFAULT_PORT.get(parts.scheme, 0)
        return f"refuses the connection: check that the server runs, and listens on port {port}."
    if parts.hostname and not _known(parts.hostname):
        return f"names a host that is not known, {parts.hostname}: check the spelling."
    if code in _UNREACHABLE:
        return "cannot be reached: check the address, the network and the firewall."
    return f"cannot be read: {reason(error)}."
