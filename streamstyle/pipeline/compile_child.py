"""The child process of `compiling`: `python -m streamstyle.pipeline.compile_child ORDER PARENT`.

Opens the engine that the order (JSON) asks for, as `streamstyle engines build` does: what is not kept is
compiled and kept on the way. Tells on standard output, in lines of JSON, how it goes on and what failed.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace

import msgspec

from streamstyle.engines.open_engine import open_engine
from streamstyle.engines.request import CompileOrder, EngineRequest
from streamstyle.errors import StreamStyleError
from streamstyle.flow.parent import end_with
from streamstyle.pipeline.compiling import TOLD
from streamstyle.pipeline.model import bundled_network, imported_opener


def main() -> int:
    """Fill the cache. Exit codes: 0 done, 1 an error was told."""
    order = msgspec.json.decode(sys.argv[1], type=CompileOrder)
    end_with(int(sys.argv[2]))
    # Libraries print on standard output; there it would be among what we tell.
    lines = os.fdopen(os.dup(1), "w", encoding="ascii", buffering=1)
    os.dup2(2, 1)

    def say(word: str, sentence: str) -> None:
        print(json.dumps({word: sentence}), file=lines)

    try:
        _compile(order, lambda sentence: say(TOLD, sentence))
    except StreamStyleError as error:
        say(type(error).__name__, str(error))
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
