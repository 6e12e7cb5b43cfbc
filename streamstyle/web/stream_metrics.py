"""The figures of several streams as one text for Prometheus."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from streamstyle.flow.metrics_text import PREFIX

_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")


def merged(texts: Mapping[str, str | None], restarts: Mapping[str, int]) -> str:
    """Each sample gets the label `stream`; those of one family stand together, as the format wants it.

    texts: of each stream in the text format, version 0.0.4, None where it gives none. restarts: how often
    each of them was started again.
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
    lines += _own("stream_up", "gauge", "1 while the process of a stream answers.", up)
    lines += _own("stream_restarts_total", "counter", "How often a stream was started again.", restarts)
    return "\n".join(lines) + "\n"


def _own(name: str, kind: str, told: str, values: Mapping[str, float]) -> Iterator[str]:
    yield f"# HELP {PREFIX}{name} {told}"
    yield f"# TYPE {PREFIX}{name} {kind}"
    for stream, value in values.items():
        yield f'{PREFIX}{name}{{stream="{stream}"}} {float(value)!r}'
