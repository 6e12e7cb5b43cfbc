from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamstyle.cli.control import request_of
from streamstyle.cli.main import build_parser
from streamstyle.cli.settings import assignments, table
from streamstyle.config import LIVE, RunConfig, load_config, settings
from streamstyle.errors import ConfigError
from streamstyle.train.options import BaseTraining

CONFIGS = Path(__file__).parents[1] / "configs"
GUIDE = Path(__file__).parents[1] / "docs" / "user-guide.md"


def test_defaults_then_file_then_assignments(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("style: great-wave\nquality: 18\n")
    config = load_config(RunConfig, path, ["quality=30"])
    assert (config.style, config.quality, config.correct) == ("great-wave", 30, "repair")


def test_an_unknown_key_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"'strenght' \(did you mean 'strength'\?\)"):
        load_config(RunConfig, None, ["strenght=1"])


def test_an_unknown_nested_key_is_named_with_its_path() -> None:
    with pytest.raises(ConfigError, match=r"'options.seeds' \(did you mean 'seed'\?\)"):
        load_config(BaseTraining, None, ["options.seeds=1"])


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("quality=high", "at quality"),
        ("correct=always", "at correct\\): it is one of off, repair"),
        ("decoder=qsv", "it is one of cpu, cuda, auto"),
        ("quality=99", "at quality"),
        ("queue=0", "at queue"),
        ("quality", "NAME=VALUE, not 'quality'"),
        ("quality=[", "not YAML"),
        ("quality.x=1", "at quality"),
        ("background='#ff0000'", "background is written as RRGGBB"),
        ("preset=''", "at preset"),
        ("pixel_format=''", "at pixel_format"),
    ],
)
def test_a_value_that_does_not_fit_is_told_in_one_line(assignment: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        load_config(RunConfig, None, [assignment])
    assert "\n" not in str(caught.value)


def test_a_config_that_is_missing_or_no_mapping_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_config(RunConfig, tmp_path / "none.yaml", [])
    listed = tmp_path / "list.yaml"
    listed.write_text("- 1\n")
    with pytest.raises(ConfigError, match="mapping"):
        load_config(RunConfig, listed, [])
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_config(RunConfig, binary, [])


@given(st.text(max_size=60))
def test_any_assignment_is_a_config_or_a_clear_error(text: str) -> None:
    try:
        config = load_config(RunConfig, None, [text])
    except ConfigError:
        return
    assert isinstance(config, RunConfig)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda p: p.name)
def test_every_preset_is_valid(path: Path) -> None:
    kind = BaseTraining if path.name == "train.yaml" else RunConfig
    assert load_config(kind, path, [])


def test_the_user_guide_has_the_table_of_settings() -> None:
    assert table() in GUIDE.read_text(encoding="utf-8"), "python3 -m streamstyle.cli.settings prints it"


@pytest.mark.parametrize("name", [name for name, each in settings().items() if each.option.flag])
def test_every_option_of_a_setting_reaches_the_config(name: str) -> None:
    setting = settings()[name]
    texts = {
        "codec": "av1",
        "background": "ff0000",
        "correct": "off",
        "deinterlace": "field",
        "canvas": "still",
    }
    text = texts.get(name, "1" if setting.number else "auto")
    given = ["--" + name.replace("_", "-"), *([] if setting.is_flag else [text])]
    parsed = build_parser().parse_args(["run", "in.mp4", "out.mp4", *given])
    config = load_config(RunConfig, None, assignments(parsed))
    expected = setting.number(text) if setting.number else text
    assert getattr(config, name) == (setting.is_flag or expected)
    assert {n for n in settings() if getattr(config, n) != getattr(RunConfig(), n)} <= {name}


@pytest.mark.parametrize("name", LIVE)
def test_a_live_setting_can_be_requested_within_its_limits(name: str) -> None:
    setting = settings()[name]
    anything = setting.number(1) if setting.number else "x"
    value = setting.default if setting.default is not None else anything
    text = str(value).lower() if setting.is_flag else str(value)
    assert getattr(request_of("set", [f"{name}={text}"]), name) == value
    if setting.number:
        with pytest.raises(ConfigError, match=f"at {name}"):
            request_of("set", [f"{name}=-1"])
