"""The tools start: they are run by people, not by the other tests."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

TOOLS = sorted((Path(__file__).parents[1] / "tools").glob("*.py"))
PROGRAMS = [path for path in TOOLS if '__name__ == "__main__"' in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda p: p.name)
def test_every_tool_says_how_it_is_used(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(path.parent)
    # The tests run in the environment already; a tool would start again in the one that it sets up.
    monkeypatch.setattr("environment.enter", lambda **_: None)
    monkeypatch.setattr(sys, "argv", [str(path), "--help"])
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(path), run_name="__main__")
    assert left.value.code == 0
    assert f"usage: {path.name}" in capsys.readouterr().out
