"""The figures of several streams as one text for Prometheus."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from streamstyle.flow.metrics_text import PREFIX

_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")


def merged(texts: Mapping[str, str | None], restarts: Mapping[str, int]) -> str:
    """Each sample gets the label `stream`; those of one family are grouped, as the format requires.

    texts: metrics of each stream in the text format, version 0.0.4; None without an answer. restarts: number
    of restarts of each stream.
    """
    heads: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    for stream, text in texts.items():
        for line in (text or "").splitlines():
            if line.startswith("# "):
                family = line.split(" ", 3)[2]
                head = heads.setdefault(family, [])
                if line not in head:
                    head.append(line)
                samples.setdefault(family, [])
            elif sample := _SAMPLE.fullmatch(line):
                name, labels, value = sample.groups()
                inner = f'stream="{stream}"' + (f",{labels}" if labels else "")
                samples[family].append(f"{name}{{{inner}}} {value}")
    lines = [line for family, head in heads.items() for line in (*head, *samples[family])]
    up = {stream: float(text is not None) for stream, text in texts.items()}
    lines += _family("stream_up", "gauge", "1 while the process of a stream answers.", up)
    lines += _family("stream_restarts_total", "counter", "Restarts of a stream.", restarts)
    return "\n".join(lines) + "\n"


def _family(name: str, kind: str, help_text: str, values: Mapping[str, float]) -> Iterator[str]:
    yield f"# HELP {PREFIX}{name} {help_text}"
    yield f"# TYPE {PREFIX}{name} {kind}"
    for stream, value in values.items():
        yield f'{PREFIX}{name}{{stream="{stream}"}} {float(value)!r}'
