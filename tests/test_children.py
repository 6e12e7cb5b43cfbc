"""Children that end with their parent, whatever ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from peers import alive, children, command_of, free_port, killed_on_failure, needs_xvfb, wait_for, xvfb
from test_control_room_browser import SCENE, SETTINGS, serving
from test_web_guard import post

from streamstyle.children import killed_with_parent
from streamstyle.files import encode

ROOT = Path(__file__).parents[1]
STARTS_A_CHILD = """
import subprocess, sys
from streamstyle.children import killed_with_parent
subprocess.run(killed_with_parent([sys.executable, "-c", "import time; time.sleep(600)"]))
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a child outlives a parent")


def kill_with_frozen_children(process: subprocess.Popen[bytes], frozen: list[int]) -> None:
    """SIGKILL, and see that the children are gone too, which cannot end by themselves."""
    for child in frozen:
        os.kill(child, signal.SIGSTOP)
    process.kill()
    process.wait()
    wait_for(lambda: not any(map(alive, frozen)), "the end of the children")


def child_with(process: subprocess.Popen[bytes], words: bytes) -> int:
    """The child at any depth that is a program with these words in its command line, waited for."""
    found = list[int]()

    def started() -> bool:
        assert process.poll() is None, "the parent ended"
        commands = {child: command_of(child) for child in children(process.pid)}
        found[:] = [child for child, said in commands.items() if words in said and b"children.py" not in said]
        return bool(found)

    wait_for(started, words.decode())
    return found[0]


def test_a_child_is_killed_with_its_parent() -> None:
    with killed_on_failure(subprocess.Popen([sys.executable, "-c", STARTS_A_CHILD], cwd=ROOT)) as process:
        kill_with_frozen_children(process, [child_with(process, b"-c\0import time")])


def test_a_child_whose_parent_is_already_gone_does_not_begin(tmp_path: Path) -> None:
    command = killed_with_parent(["touch", str(tmp_path / "begun")])
    gone = command.index(str(os.getpid()))
    command[gone] = str(os.getpid() + 1)
    assert subprocess.run(command, check=False).returncode == 1
    assert not list(tmp_path.iterdir())


def test_a_program_gets_signals_as_if_it_were_started_alone() -> None:
    shell = ["sh", "-c", "kill -s PIPE $$; echo survived"]
    done = subprocess.run(killed_with_parent(shell), check=False, capture_output=True)
    assert (done.returncode, done.stdout) == (-signal.SIGPIPE, b"")


def test_a_program_that_is_not_there_is_told() -> None:
    done = subprocess.run(killed_with_parent(["/no/such"]), check=False, capture_output=True)
    assert (done.returncode, done.stderr) == (1, b"/no/such cannot be started: No such file or directory\n")


def test_a_training_from_the_page_ends_with_a_server_that_is_killed(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8)
    port = free_port()
    with serving(tmp_path, port, *SETTINGS, SCENE) as process:
        status, _, said = post(port, "/api/train?name=mine", encode(noise, ".png"), Content_Type="image/png")
        assert status == 200, said
        kill_with_frozen_children(process, [child_with(process, b"streamstyle\0train\0")])


@needs_xvfb
def test_what_reads_a_screen_ends_with_a_run_that_is_killed(tmp_path: Path) -> None:
    with xvfb(tmp_path, "160x96") as server:
        source = f"screen:?display={server.display}&fps=15"
        command = [sys.executable, "-m", "streamstyle", "run", source, "null:"]
        with killed_on_failure(subprocess.Popen(command, cwd=ROOT)) as process:
            kill_with_frozen_children(process, [child_with(process, b"device_relay.py")])
