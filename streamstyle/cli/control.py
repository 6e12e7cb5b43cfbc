"""`streamstyle control ENDPOINT VERB`"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from streamstyle.cli.numbers import COLOURS, positive_float
from streamstyle.config import LIVE, settings
from streamstyle.errors import ConfigError, SinkError

_OWN_NUMBERS = ("fade", "timeout")
"""Numeric fields of requests that are not settings."""


def add_command(commands: Any) -> None:
    """Declare `control` and its options."""
    parser = commands.add_parser(
        "control",
        help="change a run while it runs",
        description="Changes a run that was started with --control ENDPOINT. VERB: set NAME=VALUE ... "
        f"fade=SECONDS ({', '.join(LIVE)}), switch SOURCE, add-sink SINK, remove-sink NAME, pause, resume, "
        "snapshot, record [NAME], stop-recording, status.",
    )
    parser.add_argument("endpoint", metavar="ENDPOINT", help="zmq+ipc://PATH or zmq+tcp://127.0.0.1:PORT")
    parser.add_argument("verb", metavar="VERB")
    parser.add_argument("values", metavar="NAME=VALUE", nargs="*")
    parser.add_argument(
        "--timeout", type=positive_float, default=30.0, metavar="S", help="seconds to wait (default: 30)"
    )
    parser.add_argument("--json", action="store_true", help="print the answer as one JSON document")
    parser.set_defaults(command=command)


def command(arguments: argparse.Namespace) -> int:
    """Send the request, and print the answer."""
    from streamstyle.control.requests import to_json
    from streamstyle.media.zmq_control import ControlClient

    request = request_of(arguments.verb, arguments.values)
    client = ControlClient(arguments.endpoint)
    try:
        data = client.ask(to_json(request), arguments.timeout)
    finally:
        client.close()
    answer = _read(data)
    if arguments.json:
        print(json.dumps(answer))
    elif answer["ok"]:
        print(_answer_text(answer))
    if not answer["ok"]:
        print(f"streamstyle: {answer.get('error', 'the run refuses')}", file=sys.stderr)
    return 0 if answer["ok"] else 1


def request_of(verb: str, values: list[str]) -> Any:
    """The request of the given words; a word without a name is the verb's first field. Raises ConfigError."""
    from streamstyle.control.requests import KINDS, VERBS, parse

    fields = KINDS[VERBS.index(verb)].__struct_fields__ if verb in VERBS else ()
    given: dict[str, Any] = {"do": verb}
    for word in values:
        name, equals, text = word.partition("=")
        if verb == "set" or (equals and name in fields):
            name = name.replace("-", "_")
            if not equals:
                raise ConfigError(f"set wants NAME=VALUE, not '{word}'")
        elif fields and fields[0] not in given:
            name, text = fields[0], word
        else:
            raise ConfigError(f"{verb} does not take '{word}'")
        given[name] = _value(name, text)
    return parse(given)


def _value(name: str, text: str) -> str | float | bool:
    setting = settings().get(name)
    if setting is not None and setting.is_flag:
        if text not in {"true", "false"}:
            raise ConfigError(f"{name} must be true or false, not '{text}'")
        return text == "true"
    if name in _OWN_NUMBERS or (setting is not None and setting.number is not None):
        return _number(name, text)
    return text


def _number(name: str, text: str) -> float:
    try:
        return COLOURS[text] if name == "colour" and text in COLOURS else float(text)
    except ValueError as error:
        raise ConfigError(f"{name} must be a number, not '{text}'") from error


def _read(data: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(data)
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or not isinstance(answer.get("ok"), bool):
        raise SinkError("the answer cannot be read: the endpoint does not belong to a run of streamstyle")
    return answer


def _answer_text(answer: dict[str, Any]) -> str:
    """The written file, or the status, one line each."""
    if "file" in answer:
        return str(answer["file"])
    hidden = ("version", "ok", "id")
    return "\n".join(f"{name:15}{_plain(value)}" for name, value in answer.items() if name not in hidden)


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
