"""`streamstyle devices` and `streamstyle doctor`."""

from __future__ import annotations

import json
import os
import stat
import struct
from pathlib import Path

import pytest
from peers import needs_xvfb, xvfb

from streamstyle.cli.main import main
from streamstyle.media import cameras
from streamstyle.media.decoders import NEEDS, device_refusal
from streamstyle.media.encoders import HARDWARE, refusal_of


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert main(arguments) == 0
    return capsys.readouterr().out.splitlines()


@needs_xvfb
def test_devices_finds_the_screen_with_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with xvfb(tmp_path, "200x160") as server:
        monkeypatch.setenv("DISPLAY", server.display)
        listed = json.loads(said(capsys, "devices", "--json")[-1])
    (screen,) = listed["screens"]
    assert (screen["url"], screen["width"], screen["height"]) == ("screen:", 200, 160)
    assert screen["problem"] == ""


def test_devices_says_why_a_display_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DISPLAY", ":4711")
    told = "\n".join(said(capsys, "devices"))
    assert "X display :4711: screen: cannot be read from :4711" in told


def test_a_camera_is_asked_for_its_formats(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver's answers have the layouts of linux/videodev2.h."""

    def answer(descriptor: int, request: int, asked: bytes, size: int) -> bytes | None:
        number = request & 0xFF
        if number == 0:  # QUERYCAP: node without, device with more capabilities
            words = struct.pack("=IIII", 0, 0x85A00001, 0x04200001, 0)
            return (
                b"uvcvideo".ljust(16, b"\0") + b"Test Cam".ljust(32, b"\0") + b"usb".ljust(32, b"\0") + words
            )
        index = struct.unpack_from("=I", asked)[0]
        if number == 2 and index < 2:
            return struct.pack("=III32s4s", index, 1, 0, b"name", (b"MJPG", b"YUYV")[index]).ljust(64, b"\0")
        if number == 74 and index == 0:
            if asked[4:8] == b"YUYV":  # stepwise
                return struct.pack("=I4sI6I", 0, b"YUYV", 3, 160, 1920, 16, 120, 1080, 8).ljust(44, b"\0")
            return struct.pack("=I4sIII", 0, b"MJPG", 1, 640, 480).ljust(44, b"\0")
        if number == 75 and index < 2 and asked[4:8] == b"MJPG":
            assert struct.unpack_from("=II", asked, 8) == (640, 480)
            return struct.pack("=I4sIIIII", index, b"MJPG", 640, 480, 1, 1, (15, 30)[index]).ljust(52, b"\0")
        return None

    monkeypatch.setattr(cameras, "_ioctl", answer)
    camera = cameras._asked(0, "webcam:3")
    assert camera is not None
    assert (camera.url, camera.name) == ("webcam:3", "Test Cam")
    assert camera.formats == (
        cameras.CameraFormat("MJPG", 640, 480, (30.0, 15.0)),
        cameras.CameraFormat("YUYV", 1920, 1080, ()),
    )


def test_a_node_that_is_no_camera_is_left_out() -> None:
    descriptor = os.open("/dev/null", os.O_RDWR)
    try:
        assert cameras._asked(descriptor, "webcam:0") is None
    finally:
        os.close(descriptor)


def test_doctor_tells_what_is_missing_and_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    lines = said(capsys, "doctor")
    assert any(line.startswith("missing") and "apt install ffmpeg" in line for line in lines)
    assert any(line.startswith("ok") and "OpenVINO" in line for line in lines)
    assert any(line.startswith("missing") and "DISPLAY" in line for line in lines)
    findings = {entry["name"]: entry for entry in json.loads(said(capsys, "doctor", "--json")[-1])}
    assert not findings["ffmpeg with SRT"]["ok"]
    assert findings["disk"] == findings["disk"] | {"ok": True, "remedy": ""}


def test_doctor_sees_an_ffmpeg_without_srt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\necho file http rtmp\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    assert any("was built without SRT" in line for line in said(capsys, "doctor"))


def test_doctor_tells_which_hardware_codecs_open(capsys: pytest.CaptureFixture[str]) -> None:
    findings = {entry["name"]: entry for entry in json.loads(said(capsys, "doctor", "--json")[-1])}
    decoder = findings["nvdec decoder"]
    assert decoder["ok"] == (device_refusal() == "")
    assert decoder["ok"] or NEEDS in decoder["remedy"]
    for name, hardware in HARDWARE.items():
        found = findings[f"{name} encoder"]
        assert found["ok"] == (refusal_of(name) == "")
        if not found["ok"]:
            assert hardware.needs in found["remedy"]
            assert f"--encoder {name}" in found["remedy"]
