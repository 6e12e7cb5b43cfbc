"""Container files, as far as they can be checked without a container."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from streamstyle.cli.main import build_parser

ROOT = Path(__file__).parents[1]
DOCKERFILES = sorted((ROOT / "docker").glob("Dockerfile*"))


def instructions(path: Path) -> list[tuple[str, str]]:
    """Each instruction and what follows it, on one line."""
    text = re.sub(r"\\\n", " ", path.read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda p: p.name)
def test_the_program_runs_as_nobody_and_says_whether_it_is_well(path: Path) -> None:
    last = instructions(path)[max(i for i, (word, _) in enumerate(instructions(path)) if word == "FROM") :]
    values = dict(last)
    assert values["USER"] == "streamstyle"
    assert [word for word, _ in last].index("USER") > max(i for i, (w, _) in enumerate(last) if w == "RUN")
    entry = json.loads(values["ENTRYPOINT"])
    assert entry == ["streamstyle"]
    health = json.loads(values["HEALTHCHECK"].partition(" CMD ")[2])
    assert build_parser().parse_args(health[1:]).command


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda p: p.name)
def test_all_that_is_copied_is_there_and_not_ignored(path: Path) -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for word, rest in instructions(path):
        if word == "COPY" and not rest.startswith("--from"):
            for name in rest.split()[:-1]:
                assert (ROOT / name).exists()
                assert f"!{name}" in ignored


def test_the_services_of_compose_can_be_asked_for_so() -> None:
    services = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8"))["services"]
    ours = services["streamstyle"]
    assert ours["read_only"]
    assert (ROOT / "docker" / ours["build"]["context"] / ours["build"]["dockerfile"]).is_file()
    asked = build_parser().parse_args(ours["command"])
    assert asked.source == "rtmp://rtmp/live/in"
    assert asked.sinks == ["rtmp://rtmp/live/painted"]
    assert all(service["read_only"] for service in services.values())
