"""OpenCV's own threads are off during runs, and the host program's setting comes back."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import pytest

from streamstyle.config import RunConfig
from streamstyle.errors import SinkError
from streamstyle.flow import Future, StopRequest
from streamstyle.pipeline.job import Job, Progress
from streamstyle.pipeline.opencv_threads import single_threaded_opencv
from streamstyle.pipeline.run_hooks import RunHooks
from streamstyle.pipeline.run_job import run_job


@pytest.fixture
def host_threads() -> Iterator[int]:
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    yield 2
    cv2.setNumThreads(before)


def test_a_run_restores_the_number_of_threads(host_threads: int) -> None:
    seen: list[int] = []
    hooks = RunHooks(on_progress=lambda _: seen.append(cv2.getNumThreads()))
    run_job(Job("test:", ("null:",), frames=2), RunConfig(), stop=StopRequest(), hooks=hooks)
    assert seen == [1, 1]
    assert cv2.getNumThreads() == host_threads


def test_a_run_that_fails_restores_it_too(host_threads: int) -> None:
    def fail(_progress: Progress) -> None:
        raise SinkError("as a test wants it")

    hooks = RunHooks(on_progress=fail)
    with pytest.raises(SinkError):
        run_job(Job("test:", ("null:",), frames=2), RunConfig(), stop=StopRequest(), hooks=hooks)
    assert cv2.getNumThreads() == host_threads


def test_of_runs_that_overlap_the_last_one_restores_it(host_threads: int) -> None:
    def inside() -> int:
        with single_threaded_opencv():
            return cv2.getNumThreads()

    with single_threaded_opencv():
        assert Future(inside).result() == 1
        assert cv2.getNumThreads() == 1
    assert cv2.getNumThreads() == host_threads
