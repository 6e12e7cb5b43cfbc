"""Processor time of a style that is trained from the page, beside a run that takes all it can get."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from peers import wait_for

from streamstyle.web.training import beside_a_run

BUSY = [sys.executable, "-S", "-c", "while True: pass"]
MEASURED = 0.5


def seconds(pid: int) -> float:
    """Processor time that a process had so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("nice"), reason="as Linux shares processors")
def test_it_gets_about_a_quarter_of_the_processor_that_a_run_wants_for_itself() -> None:
    place = {min(os.sched_getaffinity(0))}
    with ExitStack() as stack:

        def busy(*words: str) -> int:
            child = stack.enter_context(subprocess.Popen([*words, *BUSY]))
            stack.callback(child.kill)
            os.sched_setaffinity(child.pid, place)
            return child.pid

        run, training = busy(), busy(*beside_a_run())
        wait_for(lambda: min(seconds(run), seconds(training)) > 0.1, "both to be busy", 300)
        began = seconds(run), seconds(training)
        wait_for(lambda: seconds(run) - began[0] >= MEASURED, "processor time", 300)
        gained = seconds(training) - began[1]
        assert 0.15 <= gained / (gained + MEASURED) <= 0.4
