"""The child process of `compiling`: `python -m streamstyle.pipeline.compile_child ORDER PARENT`.

Opens the engine of the order (JSON), as `streamstyle engines build` does, which compiles and caches it on a
cache miss. Reports progress and failures as lines of JSON on standard output.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace

import msgspec

from streamstyle.children import end_with
from streamstyle.engines.open_engine import open_engine
from streamstyle.engines.request import CompileOrder, EngineRequest
from streamstyle.errors import StreamStyleError
from streamstyle.pipeline.compiling import NOTICE
from streamstyle.pipeline.model import bundled_network, imported_opener


def main() -> int:
    """Fill the cache. Exit codes: 0 done, 1 an error was reported."""
    order = msgspec.json.decode(sys.argv[1], type=CompileOrder)
    end_with(int(sys.argv[2]))
    # Libraries print on standard output, which carries our messages.
    lines = os.fdopen(os.dup(1), "w", encoding="ascii", buffering=1)
    os.dup2(2, 1)

    def send(word: str, sentence: str) -> None:
        print(json.dumps({word: sentence}), file=lines)

    try:
        _compile(order, lambda sentence: send(NOTICE, sentence))
    except StreamStyleError as error:
        send(type(error).__name__, str(error))
        return 1
    return 0


def _compile(order: CompileOrder, notify: Callable[[str], None]) -> None:
    request = EngineRequest(
        order.height,
        order.width,
        engine=order.engine,
        precision=order.precision,
        stateful=order.stateful,
        masks=order.masks,
        notify=notify,
    )
    if order.imported:
        imported_opener(order.model, order.strength).open(request).close()
    else:
        open_engine(replace(request, network=bundled_network(order.model))).close()


if __name__ == "__main__":
    os._exit(main())  # all is written, and taking the libraries down takes time and can crash
