"""Fixtures that all tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
from hypothesis import HealthCheck, settings

from streamstyle.engines.pace import EnginePace, PaceCache
from streamstyle.errors import ModelError
from streamstyle.styles.downloads import PERSON, fetch

# A busy machine takes its time for an example, which says nothing about what is tested.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

FIND = PaceCache.find
SLOW = EnginePace(painting=1e3, upsampling=0.0, rest=0.0, device="cpu", cpus=1, others=0.0)


@pytest.fixture(autouse=True)
def engines(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of compiled engines for every test."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("STREAMSTYLE_CACHE", str(folder))
    return folder / "engines"


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of own styles and models: tests neither see nor touch the user's."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("STREAMSTYLE_HOME", str(folder))
    return folder


@pytest.fixture(autouse=True)
def known_paces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every network was measured here and is slow: a run takes the cheapest, and measures nothing."""
    monkeypatch.setattr(PaceCache, "find", lambda *_: SLOW)


@pytest.fixture
def unknown_paces(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which nothing was measured yet, as a user's."""
    monkeypatch.setattr(PaceCache, "find", FIND)


@pytest.fixture(scope="session")
def person_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real model of `--region person`, downloaded by the real pip."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STREAMSTYLE_HOME", str(tmp_path_factory.mktemp("fetched")))
        try:
            return fetch(PERSON)
        except ModelError as error:
            pytest.skip(f"the model cannot be had: {error}")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Small pictures on shared cores: waiting for a second thread costs more than it gives."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(before)
