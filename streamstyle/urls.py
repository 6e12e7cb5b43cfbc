"""Addresses for display: without stream keys, passwords and tokens."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

HIDDEN = "***"

# Options that a query may show; everything else in it may be a key.
_OPEN = {"mode", "latency", "pkt_size", "ttl", "transport", "connect_timeout"}
_KEY_IN_PATH = {"rtmp", "rtmps"}  # rtmp://host/application/KEY


def masked(url: str) -> str:
    """The address with anything that may be secret replaced by `***`; names without `://` stay as they are.

    Several addresses are joined by `|`.
    """
    if "://" not in url:
        return re.sub(r"^(preview:.*token=).*", rf"\1{HIDDEN}", url)
    if "|" in url:
        return " | ".join(masked(one) for one in url.split("|"))
    try:
        parts = urlsplit(url)
    except ValueError:  # not an address, so it is unknown what in it is secret
        return f"{url.partition('://')[0]}://{HIDDEN}"
    netloc = f"{HIDDEN}@{parts.netloc.rpartition('@')[2]}" if "@" in parts.netloc else parts.netloc
    return parts._replace(
        netloc=netloc, path=_masked_path(parts), query=_masked_query(parts.query), fragment=""
    ).geturl()


def without_secrets(text: str, url: str) -> str:
    """A library's or program's message about `url`, with secrets of the address replaced."""
    parts = urlsplit(url)
    secrets = [
        url,
        parts.username or "",
        parts.password or "",
        *(value for name, value in parse_qsl(parts.query) if name not in _OPEN),
        *([parts.path.strip("/").partition("/")[2]] if parts.scheme in _KEY_IN_PATH else []),
    ]
    for secret in secrets:
        if secret:
            text = text.replace(secret, masked(url) if secret == url else HIDDEN)
    return re.sub(r"\S+://\S*[^\s:,;.]", lambda match: masked(match[0]), text)


def _masked_path(parts: SplitResult) -> str:
    application, _, key = parts.path.strip("/").partition("/")
    return f"/{application}/{HIDDEN}" if parts.scheme in _KEY_IN_PATH and key else parts.path


def _masked_query(query: str) -> str:
    pairs = [(name, value if name in _OPEN else HIDDEN) for name, value in parse_qsl(query)]
    if query and not pairs:
        return HIDDEN
    return urlencode(pairs, safe="*")
