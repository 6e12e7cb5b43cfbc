"""Sentences of commands that run for long."""

from __future__ import annotations

import sys
from contextlib import suppress

EXIT_INTERRUPTED = 130


def notify(sentence: str) -> None:
    """Print a message on stderr, beside the progress bar."""
    from tqdm import tqdm

    with suppress(OSError):  # a full disk behind stderr must not end a run
        tqdm.write(sentence, file=sys.stderr)
        sys.stderr.flush()
