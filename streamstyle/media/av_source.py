"""Films as sources: decoded with PyAV, upright, in RGB, with the file's own time stamps from 0 on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from av.container import InputContainer

from streamstyle.errors import SourceError
from streamstyle.media.alpha import BLACK
from streamstyle.media.colour import ToRgb
from streamstyle.media.decoders import NEEDS, DeviceRefusalError, device_refusal, nvdec
from streamstyle.media.deinterlace import Deinterlacing
from streamstyle.media.film_decoder import FilmDecoder
from streamstyle.media.film_input import open_film
from streamstyle.media.pipe_in import begin_pipe, is_pipe, redirected
from streamstyle.types import Frame, MediaReport, StreamInfo
from streamstyle.urls import masked


class FileSource:
    """One film as a Source, a file or on a web server. Everything is read once, from the start.

    decoder: cpu; cuda, NVIDIA's NVDEC, with SourceError if it does not decode the film; or auto, which then
    takes the CPU and notes why. Later frames that NVDEC cannot decode are decoded on the CPU, and counted.
    deinterlace: see `Deinterlacer`; with `field` the time base of frames is half the film's. background:
    RRGGBB behind transparent pictures.

    Counters: `frames`; `corrupt_packets` (did not decode, or only with parts concealed); `concealed_frames`
    (of these, shown anyway); `truncated` (0 or 1); `guessed_pts`, `repaired_pts` (time stamps that were
    missing, or not after the previous frame's); `software_frames` (by the CPU in spite of NVDEC);
    `clock_breaks` (see `FilmClock`).
    """

    def __init__(
        self,
        path: str,
        *,
        decoder: str = "cpu",
        deinterlace: Deinterlacing = "auto",
        background: str = BLACK,
    ) -> None:
        self._url, self._path = redirected(path), masked(path)
        self._deinterlace = deinterlace
        self._decoder = decoder
        self._device = False
        self._why_cpu = ""
        self._to_rgb = ToRgb(background)
        self._container: InputContainer | None = None
        self._film: FilmDecoder | None = None

    @property
    def info(self) -> StreamInfo:
        """Valid inside the `with` block."""
        if self._film is None:
            raise SourceError(f"{self._path} is not open: enter its `with` block first.")
        return self._film.info

    def __enter__(self) -> Self:
        if is_pipe(self._url):
            begin_pipe(self._url)
        if self._decoder == "cpu" or not self._enter_by_device():
            self._enter(open_film(self._url), device=False)
        return self

    def __exit__(self, *_: object) -> None:
        if self._film is not None:
            self._film.drop()
        if self._container is not None:
            self._container.close()
            self._container = None

    def __iter__(self) -> Iterator[Frame]:
        return iter(()) if self._film is None else iter(self._film)

    def report(self) -> MediaReport:
        """Counters so far."""
        counters = {"frames": 0, "corrupt_packets": 0, "truncated": 0}
        notes: list[str] = []
        if self._film is not None:
            counters |= self._film.tally.counts
            notes += self._film.notes()
        notes += self._to_rgb.notes(self._path)
        if self._device:
            missed = counters.get("software_frames", 0)
            but = f", but {missed} frames by the CPU, because NVDEC cannot decode them" if missed else ""
            notes.append(f"{self._path} is decoded by NVDEC{but}.")
        if self._why_cpu:
            notes.append(f"{self._path} is decoded by the CPU, because NVDEC cannot: {self._why_cpu}.")
        if counters["corrupt_packets"]:
            notes.append(
                f"{counters['corrupt_packets']} packets of {self._path} are corrupt: "
                f"{counters.get('concealed_frames', 0)} of their frames are shown with parts concealed, the "
                f"rest was skipped."
            )
        if self._film is not None:
            counters |= {"clock_breaks": breaks} if (breaks := self._film.packets.breaks) else {}
            notes += self._film.packets.notes()
        return MediaReport(counters=counters, notes=tuple(notes))

    def _enter_by_device(self) -> bool:
        """False if the CPU has to decode, and may."""
        why = device_refusal()
        if why:
            why += f"; it needs {NEEDS}"
        else:
            container = open_film(self._url, nvdec())
            try:
                self._enter(container, device=True)
            except (DeviceRefusalError, SourceError) as error:
                why = str(error).rstrip(".")
            else:
                self._device = True
                return True
        if self._decoder == "cuda":
            raise SourceError(
                f"{self._path} cannot be decoded by NVDEC: {why}. Without --decoder cuda the CPU does it."
            )
        self._why_cpu = why
        return False

    def _enter(self, container: InputContainer, *, device: bool) -> None:
        try:
            self._film = FilmDecoder(container, self._url, self._to_rgb, self._deinterlace, device=device)
        except BaseException:
            container.close()
            raise
        self._container = container
