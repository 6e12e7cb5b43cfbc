"""Containers: those that can be read, and one table from file suffix to muxer, codecs and options for
writing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from streamstyle.errors import ConfigError, nearest

# Without a list, FFmpeg also follows playlists to other files and hosts, and takes text files for ANSI art.
READABLE = ",".join(
    (
        "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,live_flv,ogg,asf,mxf,nut,gif,apng",
        "h264,hevc,vvc,evc,ivf,obu,m4v,mjpeg,vc1,vc1test,cavsvideo,avs2,avs3,dv,rm,yuv4mpegpipe,swf",
        "wtv,gxf,lxf,ty,pva,nsv,nuv,dhav,ifv,flic,film_cpk,smk,bink,roq,ea,xmv,thp",
        "image2,png_pipe,jpeg_pipe,webp_pipe,bmp_pipe,tiff_pipe,ppm_pipe,pgm_pipe,pbm_pipe,pam_pipe,j2k_pipe",
        "jpegls_pipe,jpegxl_pipe,jpegxl_anim,qoi_pipe,sgi_pipe,pcx_pipe,psd_pipe,dpx_pipe",
        "mp3,wav,flac,aac,w64,aiff",
    )
)
"""Demuxers of films and pictures."""

# A player that finds a file half-written can show it up to the last half second.
_SURVIVES_KILL = {
    "movflags": "hybrid_fragmented+delay_moov",
    "frag_duration": "500000",
    # Only an edit list keeps a start other than zero, and negative sound, where they were.
    "use_editlist": "1",
}
_EVERYWHERE = {
    "flush_packets": "1",
    "avoid_negative_ts": "disabled",  # the alternative shifts the video whenever the sound begins earlier
    "max_interleave_delta": "1000000",  # a sound track that ends early must not hold the video back
}

# Tags that FFmpeg 8.1's muxers write and its demuxers find again.
_EVERY_TAG = {
    "title",
    "artist",
    "album",
    "comment",
    "copyright",
    "date",
    "genre",
    "location",
    "creation_time",
}
_MOV_TAGS = frozenset(_EVERY_TAG | {"make", "model"})
_MP4_TAGS = frozenset(
    _EVERY_TAG
    | {
        "album_artist",
        "composer",
        "description",
        "disc",
        "episode_id",
        "episode_sort",
        "grouping",
        "keywords",
    }
    | {"lyrics", "media_type", "network", "season_number", "show", "synopsis", "track"}
)
_SAID = {"default", "dub", "comment", "forced", "hearing_impaired", "visual_impaired", "descriptions"}
_MP4_DISPOSITIONS = frozenset(_SAID | {"captions"})
_MATROSKA_DISPOSITIONS = frozenset(_SAID | {"original"})


@dataclass(frozen=True)
class OutputFormat:
    """A container, and what it can hold."""

    muxer: str
    """FFmpeg's name."""
    muxer_options: Mapping[str, str]
    """FFmpeg's options."""
    codecs: tuple[str, ...]
    """Names of `CODECS` that it holds, the usual one first."""
    sound: frozenset[str] | None
    """Codecs of sound that the container may hold and that players know in it; None for all that the muxer
    takes."""
    sound_encoder: str
    """Encoder for other sound; empty where it holds no sound."""
    subtitles: frozenset[str] = frozenset()
    """Codecs of subtitles that it holds."""
    dispositions: frozenset[str] = frozenset({"default"})
    """FFmpeg's names of the dispositions that it holds."""
    tags: frozenset[str] | None = None
    """Tags of the film that it holds, None for any."""
    attachments: bool = False
    """True if it holds files, such as the fonts of subtitles."""
    least_step: Fraction = Fraction(0)
    """Least number of seconds between two pictures."""
    timed: bool = True
    """True if pictures have times, False if they have a rate alone."""

    def options(self, time_base: Fraction) -> dict[str, str]:
        """Options of the muxer for video with this time base."""
        options = _EVERYWHERE | dict(self.muxer_options)
        scale = time_base.denominator
        if self.muxer in {"mp4", "mov"} and scale < 2**31:
            while scale < 10_000:  # coarser, and sound could not be placed
                scale *= 2
            options |= {"video_track_timescale": str(scale), "movie_timescale": str(scale)}
        return options


FORMATS = {
    ".mp4": OutputFormat(
        "mp4",
        _SURVIVES_KILL,
        ("h264", "hevc", "av1", "vp9"),
        frozenset({"aac", "mp3", "ac3", "eac3", "opus", "alac", "flac"}),
        "aac",
        frozenset({"mov_text"}),
        _MP4_DISPOSITIONS,
        _MP4_TAGS,
    ),
    ".mov": OutputFormat(
        "mov",
        _SURVIVES_KILL,
        ("h264", "hevc", "prores"),
        frozenset({"aac", "mp3", "ac3", "eac3", "alac", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be"}),
        "aac",
        frozenset({"mov_text"}),
        tags=_MOV_TAGS,
    ),
    ".mkv": OutputFormat(
        "matroska",
        {"cluster_time_limit": "500"},
        ("h264", "hevc", "av1", "vp9", "prores", "ffv1"),
        None,
        "aac",
        frozenset({"subrip", "ass", "webvtt", "hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle"}),
        _MATROSKA_DISPOSITIONS,
        attachments=True,
    ),
    ".webm": OutputFormat(
        "webm",
        {"cluster_time_limit": "500"},
        ("vp9", "av1"),
        frozenset({"opus", "vorbis"}),
        "libopus",
        frozenset({"webvtt"}),
        frozenset({"default", "forced"}),
    ),
}


ANIMATIONS = {
    ".gif": OutputFormat(
        "gif", {"loop": "0"}, ("gif",), frozenset(), "", tags=frozenset(), least_step=Fraction(1, 50)
    ),
    ".webp": OutputFormat("webp", {"loop": "0"}, ("webp",), frozenset(), "", tags=frozenset()),
}
"""Pictures that move, without sound. Browsers show GIFs of more than 50 pictures a second at 10."""

STREAMED = {
    "matroska": FORMATS[".mkv"],
    "mkv": FORMATS[".mkv"],
    "webm": FORMATS[".webm"],
    "nut": OutputFormat(
        "nut",
        {"avoid_negative_ts": "make_non_negative"},  # which it has no place for: all is shifted together
        ("raw", "h264", "hevc", "vp9", "ffv1"),
        None,
        "pcm_s16le",
    ),
    "y4m": OutputFormat("yuv4mpegpipe", {}, ("raw",), frozenset(), "", tags=frozenset(), timed=False),
}
"""Formats that can be written from front to back, by the name that `pipe:` takes."""


def format_of(suffix: str) -> OutputFormat:
    """The format for a file suffix such as `.mp4`. Raises ConfigError."""
    films = FORMATS | ANIMATIONS
    known = films.get(suffix.lower())
    if known is None:
        raise ConfigError(
            f"Video is written as {', '.join(films)}, not as '{suffix}'{nearest(suffix.lower(), films)}: "
            f"end the output's name with one of these."
        )
    return known
