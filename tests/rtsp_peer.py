"""GStreamer's RTSP server, run by the system's Python: rtsp_peer.py PORT WIDTHxHEIGHT RATE FILE.mkv

/play: a moving picture with a tone, H.264 and Opus, live. /silent: the same without the tone. /record: takes
H.264 that a client records, into FILE.mkv. /record-sound: takes H.264 and AAC.
"""

from __future__ import annotations

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402 - versions are chosen first


def main(port: str, size: str, rate: str, file: str) -> None:
    Gst.init(None)
    width, height = size.split("x")
    picture = (
        "videotestsrc is-live=true pattern=ball "
        f"! video/x-raw,width={width},height={height},framerate={rate}/1 "
        # One slice: the payloader repeats the headers before each, and FFmpeg takes each for a picture.
        f"! x264enc tune=zerolatency threads=1 speed-preset=ultrafast key-int-max={int(rate) // 2} "
        "bitrate=1000 "
        "! rtph264pay name=pay0 pt=96 config-interval=-1"
    )
    tone = (
        "audiotestsrc is-live=true freq=440 volume=0.3 ! audio/x-raw,rate=48000,channels=2 "
        "! opusenc ! rtpopuspay name=pay1 pt=97"
    )
    into = f"matroskamux name=mux streamable=true ! filesink location={file} sync=false"
    video = "rtph264depay name=depay0 ! h264parse ! queue ! mux."
    sound = "rtpmp4gdepay name=depay1 ! aacparse ! queue ! mux."
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    for path, launch, records in (
        ("/play", f"( {picture} {tone} )", False),
        ("/silent", f"( {picture} )", False),
        ("/record", f"( {video} {into} )", True),
        ("/record-sound", f"( {video} {sound} {into} )", True),
    ):
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(launch)
        factory.set_shared(True)
        if records:
            factory.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
        server.get_mount_points().add_factory(path, factory)
    server.attach(None)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main(*sys.argv[1:])
