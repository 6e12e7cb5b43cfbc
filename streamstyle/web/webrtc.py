"""WebRTC: a browser's camera or any WHIP sender as the source, the painting to a browser or any WHEP player.

aiortc is an extra, and imported with the first connection. There is no STUN or TURN server: both sides must
reach each other, as on one machine or in one network.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Self

from streamstyle.errors import ConfigError, SourceError
from streamstyle.flow import Cancelled, Channel
from streamstyle.types import Frame, MediaReport, Picture, StreamInfo
from streamstyle.web.pictures import PictureFeed

if TYPE_CHECKING:
    from aiortc import MediaStreamTrack, RTCPeerConnection

BROWSER = "browser:"
"""The source that browsers and WHIP senders send to."""

AIORTC_MISSING = "WebRTC needs aiortc: pip install 'streamstyle[webrtc]'"
MAX_PEERS = 8
FIRST_PICTURE_TIMEOUT = 10.0
"""Seconds until the first picture must have come."""

_CLOCK = 90_000


class IncomingPictures:
    """The newest two pictures of the current sender; outlives connections."""

    def __init__(self) -> None:
        self._channel: Channel[tuple[Picture, float]] | None = None

    def put(self, picture: Picture) -> None:
        """Add a picture; it is dropped without a run that reads."""
        channel = self._channel
        if channel is not None:
            with contextlib.suppress(Cancelled):
                channel.put((picture, time.monotonic()))

    def open(self) -> Channel[tuple[Picture, float]]:
        """Pictures that come from now on, for one reader."""
        self._channel = Channel(2, "latest")
        return self._channel


class BrowserSource:
    """Implements `Source` with pictures from browsers. Continues from one connection to the next, without
    frames in between."""

    def __init__(self, incoming: IncomingPictures) -> None:
        self._incoming = incoming
        self._channel: Channel[tuple[Picture, float]] | None = None
        self._first: tuple[Picture, float] | None = None
        self._frames = 0

    @property
    def info(self) -> StreamInfo:
        """See `streamstyle.types.Source`."""
        if self._first is None:
            raise SourceError("the source is not open: enter its `with` block first")
        height, width = self._first[0].shape[:2]
        return StreamInfo(
            url=BROWSER,
            width=width,
            height=height,
            rate=Fraction(30),
            time_base=Fraction(1, _CLOCK),
            frames=0,
            sample_aspect_ratio=Fraction(1),
            matrix="bt601",
            audio_streams=0,
            live=True,
        )

    def __enter__(self) -> Self:
        self._channel = self._incoming.open()
        if not self._channel.wait_ready(FIRST_PICTURE_TIMEOUT):
            raise SourceError(
                f"no picture came from a browser within {FIRST_PICTURE_TIMEOUT:g} s: "
                "press 'Use this camera' on the page"
            )
        self._first = next(iter(self._channel), None)
        if self._first is None:
            raise SourceError("the source was closed before its first picture")
        return self

    def __exit__(self, *_: object) -> None:
        self.interrupt()

    def __iter__(self) -> Iterator[Frame]:
        assert self._channel is not None
        assert self._first is not None
        yield self._frame(*self._first)
        with contextlib.suppress(Cancelled):
            for picture, captured_at in self._channel:
                yield self._frame(picture, captured_at)

    def interrupt(self) -> None:
        """See `streamstyle.types.Interruptible`."""
        if self._channel is not None:
            self._channel.cancel()

    def report(self) -> MediaReport:
        """Counters so far."""
        return MediaReport({"frames": self._frames})

    def _frame(self, picture: Picture, captured_at: float) -> Frame:
        assert self._first is not None
        pts = round((captured_at - self._first[1]) * _CLOCK)
        self._frames += 1
        return Frame(picture, self._frames - 1, pts, Fraction(1, _CLOCK), 0, captured_at)


class PeerConnections:
    """All WebRTC connections of one server; called on the server's loop."""

    def __init__(self, incoming: IncomingPictures, feed: PictureFeed) -> None:
        self._incoming, self._feed = incoming, feed
        self._peers: dict[str, RTCPeerConnection] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def answer(self, offer: str, *, sends: bool, receives: bool) -> tuple[str, str]:
        """Accept an offer (SDP). Returns a name for the connection and the answer.

        sends: True if the other side sends pictures. receives: True if it gets the painting. Raises
        ConfigError."""
        try:
            from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
        except ImportError as error:
            raise ConfigError(AIORTC_MISSING) from error
        if len(self._peers) >= MAX_PEERS:
            raise ConfigError(f"there are {MAX_PEERS} connections already: close one")
        peer, name = RTCPeerConnection(RTCConfiguration(iceServers=[])), secrets.token_urlsafe(12)
        self._peers[name] = peer
        self._watch(peer, name, sends=sends)
        try:
            await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
            if not any(one.kind == "video" for one in peer.getTransceivers()):
                raise ValueError("no video")
            if receives:
                peer.addTrack(_painted_track(self._feed))
            await peer.setLocalDescription(await peer.createAnswer())
        except Exception as error:  # a library may raise anything for invalid input
            await self.close(name)
            raise ConfigError("the request is not a WebRTC offer with video") from error
        return name, peer.localDescription.sdp

    async def close(self, name: str) -> bool:
        """End a connection. Returns False if it does not exist."""
        peer = self._peers.pop(name, None)
        if peer is not None:
            await peer.close()
        return peer is not None

    async def close_all(self) -> None:
        """End all connections: the peers are notified, instead of waiting for a time-out."""
        await asyncio.gather(*(self.close(name) for name in list(self._peers)))

    def _watch(self, peer: RTCPeerConnection, name: str, *, sends: bool) -> None:
        @peer.on("connectionstatechange")
        async def on_state_change() -> None:
            if peer.connectionState in {"failed", "closed", "disconnected"}:
                await self.close(name)

        @peer.on("track")
        def on_track(track: MediaStreamTrack) -> None:
            if sends and track.kind == "video":
                task = asyncio.ensure_future(self._receive(track))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _receive(self, track: MediaStreamTrack) -> None:
        from aiortc.mediastreams import MediaStreamError

        with contextlib.suppress(MediaStreamError):
            while True:
                frame: Any = await track.recv()
                self._incoming.put(frame.to_ndarray(format="rgb24"))


def _painted_track(feed: PictureFeed) -> Any:
    """A track of the frames that leave the run."""
    from aiortc import VideoStreamTrack
    from av import VideoFrame

    class PaintedTrack(VideoStreamTrack):
        def __init__(self, next_frame: Callable[[], Any]) -> None:
            super().__init__()
            self._next_frame, self._since = next_frame, time.monotonic()

        async def recv(self) -> Any:
            encoded = await self._next_frame()
            height, width = (side // 2 * 2 for side in encoded.picture.shape[:2])  # halved for colours
            frame = VideoFrame.from_ndarray(encoded.picture[:height, :width].copy(), format="rgb24")
            frame.pts = round((time.monotonic() - self._since) * _CLOCK)
            frame.time_base = Fraction(1, _CLOCK)
            return frame

    return PaintedTrack(lambda: feed.next(frozenset()))
