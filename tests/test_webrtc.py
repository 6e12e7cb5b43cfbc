"""WebRTC with aiortc as the other side: a browser's camera, WHIP in, WHEP out."""

from __future__ import annotations

import asyncio
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stand_in_run import LONG, CodeEngine, StandInSource, stand_in_sources
from test_control_room import Room, engine, served  # noqa: F401 - a fixture
from test_web_guard import TOKEN, ask, post

aiortc = pytest.importorskip("aiortc")
from av import VideoFrame  # noqa: E402 - after the look whether aiortc is there


class Grey(aiortc.VideoStreamTrack):
    """A grey picture of 96x64, thirty a second."""

    async def recv(self) -> VideoFrame:
        pts, time_base = await self.next_timestamp()
        frame = VideoFrame.from_ndarray(np.full((64, 96, 3), 150, np.uint8), format="rgb24")
        frame.pts, frame.time_base = pts, Fraction(time_base)
        return frame


def peer() -> Any:
    return aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))


async def offered(connection: Any) -> str:
    await connection.setLocalDescription(await connection.createOffer())
    return str(connection.localDescription.sdp)


async def answered(connection: Any, sdp: str) -> None:
    await connection.setRemoteDescription(aiortc.RTCSessionDescription(sdp, "answer"))


async def level_of(track: Any, wanted: int) -> int:
    """The mean of the pictures that come, once it is about what is wanted, else the last one's."""
    level = -1
    for _ in range(900):
        frame = await asyncio.wait_for(track.recv(), LONG)
        level = round(float(frame.to_ndarray(format="rgb24").mean()))
        if abs(level - wanted) <= 4:
            break
    return level


def received(connection: Any) -> asyncio.Future[Any]:
    track: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    connection.on("track", track.set_result)
    return track


def sent(port: int, path: str, sdp: str) -> tuple[str, str]:
    """Send an offer: the address where the connection can be closed, and the answer."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Content_Type": "application/sdp"}
    status, answer, body = ask(port, "POST", path, sdp, **headers)
    assert (status, answer["content-type"]) == (201, "application/sdp")
    return answer["location"], body.decode()


def test_a_camera_is_painted_and_comes_back_on_its_connection(
    engine: list[type[CodeEngine]],  # noqa: F811
    tmp_path: Path,
) -> None:
    async def play(room: Room) -> None:
        one = peer()
        one.addTrack(Grey())
        track = received(one)
        answer = await asyncio.to_thread(lambda sdp: room.do("webrtc", sdp=sdp), await offered(one))
        await answered(one, answer["sdp"])
        assert await level_of(await track, 60) == pytest.approx(60, abs=4)
        assert room.status()["source"] == "browser:"
        await asyncio.to_thread(lambda: room.do("set", style="udnie"))
        assert await level_of(await track, 120) == pytest.approx(120, abs=4)
        await one.close()

    with served(tmp_path, source=None) as room:
        asyncio.run(play(room))


def test_whip_in_and_whep_out(engine: list[type[CodeEngine]], tmp_path: Path) -> None:  # noqa: F811
    async def play(room: Room) -> None:
        sender, player = peer(), peer()
        sender.addTransceiver(Grey(), direction="sendonly")
        place, sdp = await asyncio.to_thread(sent, room.port, "/whip", await offered(sender))
        await answered(sender, sdp)
        player.addTransceiver("video", direction="recvonly")
        track = received(player)
        _, sdp = await asyncio.to_thread(sent, room.port, "/whep", await offered(player))
        await answered(player, sdp)
        assert await level_of(await track, 60) == pytest.approx(60, abs=4)
        known = {"Authorization": f"Bearer {TOKEN}", "Content_Type": "application/sdp"}
        assert (await asyncio.to_thread(lambda: ask(room.port, "DELETE", place, **known)))[0] == 200
        assert (await asyncio.to_thread(lambda: ask(room.port, "DELETE", place, **known)))[0] == 404
        await sender.close()
        await player.close()

    with served(tmp_path, source=None) as room:
        asyncio.run(play(room))


def test_connections_are_closed_when_the_server_ends(
    engine: list[type[CodeEngine]],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The other side hears of it at once; else it would wait for its time-out, and call it failed."""

    async def play() -> list[str]:
        player, states = peer(), list[str]()
        over = asyncio.Event()

        @player.on("connectionstatechange")
        def changed() -> None:
            states.append(player.connectionState)
            if player.connectionState in {"closed", "failed"}:
                over.set()

        with served(tmp_path) as room:
            await asyncio.to_thread(room.room.begin)
            player.addTransceiver("video", direction="recvonly")
            track = received(player)
            _, sdp = await asyncio.to_thread(sent, room.port, "/whep", await offered(player))
            await answered(player, sdp)
            assert await level_of(await track, 60) == pytest.approx(60, abs=4)
        await asyncio.wait_for(over.wait(), LONG)
        await player.close()
        return states

    stand_in_sources(monkeypatch, camera=StandInSource())
    assert asyncio.run(play())[-1] == "closed"


@pytest.mark.parametrize(
    "sdp", ["", "nonsense", "v=0\r\n", "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n" * 50, "m=" * 9000]
)
def test_nonsense_is_no_offer(engine: list[type[CodeEngine]], tmp_path: Path, sdp: str) -> None:  # noqa: F811
    with served(tmp_path, source=None) as room:
        for path in ("/whip", "/whep"):
            status, _, body = post(room.port, path, sdp.encode(), Content_Type="application/sdp")
            assert (status, b"not a WebRTC offer" in body) == (400, True)
        assert "not a WebRTC offer" in room.do("webrtc", sdp=sdp)["error"]
        status, _, body = post(room.port, "/api/webrtc", {"sdp": 3})
        assert (status, json.loads(body)["ok"]) == (400, False)
        assert room.status()["state"] == "idle"
