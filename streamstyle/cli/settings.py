"""Settings of a run as options of the command line, and as the table of the user guide.

`python -m streamstyle.cli.settings` prints the table.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from streamstyle.cli.numbers import colour_share
from streamstyle.config import Setting, settings

_TYPES = {"colour": colour_share}
"""Settings whose command line also takes words."""

_ALIASES = {"colour": ("--color",)}


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Declare an option for every setting that has one. Options that are not given are None."""
    for setting in settings().values():
        if setting.option.flag:
            names = (option_of(setting.name), *_ALIASES.get(setting.name, ()))
            parser.add_argument(*names, **_argument(setting))


def assignments(arguments: argparse.Namespace) -> list[str]:
    """The given options as `name=value`, for `load_config`."""
    given = {name: getattr(arguments, name) for name, each in settings().items() if each.option.flag}
    # json.dumps makes any text a YAML scalar.
    texts = {
        name: json.dumps(value, ensure_ascii=False) for name, value in given.items() if value is not None
    }
    return [f"{name}={text}" for name, text in texts.items()]


def option_of(name: str) -> str:
    """`--region-style` of `region_style`."""
    return "--" + name.replace("_", "-")


def table() -> str:
    """All settings in Markdown: option, default, meaning, and whether it may change while a run goes on."""
    rows = ["| option | default | live | meaning |", "|---|---|---|---|"]
    for setting in settings().values():
        name, option = setting.name, setting.option
        form = f" {option.metavar}" if option.metavar else ""
        shown = option_of(name) + form if option.flag else f"--set {name}={option.metavar or '...'}"
        more = f" ([more]({option.more}))" if option.more else ""
        cells = (f"`{shown}`", _default(setting), "yes" if option.live else "", option.help + more)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _argument(setting: Setting) -> dict[str, Any]:
    option, default = setting.option, _default(setting)
    if setting.is_flag:
        return {"action": "store_true", "default": None, "help": option.help}
    told = f"{option.help} (default: {default.strip('`')})" if default else option.help
    kind = _TYPES.get(setting.name) or setting.number or str
    return {"type": kind, "metavar": option.metavar, "help": told.replace("`", "").replace("%", "%%")}


def _default(setting: Setting) -> str:
    """The default as text; empty if the help states it, or there is none."""
    if setting.is_flag or setting.default in (None, ()):
        return ""
    number = setting.number is not None
    return f"`{setting.default:g}`" if number else f"`{setting.default}`"


if __name__ == "__main__":
    print(table(), end="")
