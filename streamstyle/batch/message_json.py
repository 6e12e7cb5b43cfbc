"""Plans, records and messages as JSON. Names of files may hold bytes that are no UTF-8, which Python keeps as
lone surrogates: JSON can escape these, but msgspec's own encoder refuses them."""

from __future__ import annotations

import json
from typing import Any

import msgspec


def encoded(value: Any, *, indent: int | None = None) -> bytes:
    """One line of ASCII without its end, or several where `indent` is given."""
    return json.dumps(msgspec.to_builtins(value, str_keys=True), indent=indent).encode()


def decoded(data: bytes, kind: Any) -> Any:
    """A value of this type, as msgspec takes types. Raises ValueError for anything else."""
    return msgspec.convert(json.loads(data), kind, str_keys=True)
