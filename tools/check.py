"""Set up and pass everything: format, lint, types, tests. What CI runs, and what you run.

python3 tools/check.py [PYTEST ARGUMENTS]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import environment

ROOT = environment.ROOT
DATA = Path(os.environ.get("STREAMSTYLE_DATA", ROOT.parent / "shared" / "data"))
RESULTS = ROOT / "build" / "tests.xml"
REAL_CLIP_TESTS = ("test_run_real_clips", "test_media_clips", "test_shipped_styles")
LIMIT_SECONDS = 75 * 60
"""For all tests together: several times what they take on two quiet processors."""
SKIP_REASON = "set STREAMSTYLE_DATA"


def main() -> int:
    """Run every check; the first failure decides the exit code."""
    environment.enter(extra="dev")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    chosen = parser.parse_known_args()[1]
    for command in (["ruff", "format", "--check"], ["ruff", "check"], ["mypy"]):
        print("$", *command, flush=True)
        done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=False)
        if done.returncode:
            return done.returncode
    # One thread per worker: two workers that each start two threads only wait for each other.
    settings = os.environ | {"OMP_NUM_THREADS": "1"}
    # Without bytecode every command that a test starts would compile the package again.
    settings.pop("PYTHONDONTWRITEBYTECODE", None)
    tests = ["pytest", "-n", "2", "--durations", "10", f"--junitxml={RESULTS}", *chosen]
    print("$", *tests, flush=True)
    command = [sys.executable, "-m", *tests]
    try:
        done = subprocess.run(command, cwd=ROOT, env=settings, timeout=LIMIT_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        print(f"the tests did not end within {LIMIT_SECONDS // 60} minutes")
        return 1
    if done.returncode == 0 and not chosen and DATA.is_dir():
        return check_real_clips()
    return done.returncode


def check_real_clips() -> int:
    """Fail unless tests of real clips have run and none was skipped; called with the clips at hand."""
    cases = list(ElementTree.parse(RESULTS).iter("testcase"))
    skipped = [c for c in cases if any(SKIP_REASON in (s.get("message") or "") for s in c.iter("skipped"))]
    ran = [c for c in cases if (c.get("classname") or "").endswith(REAL_CLIP_TESTS) and not len(c)]
    missing = [
        name for name in REAL_CLIP_TESTS if not any(c.get("classname", "").endswith(name) for c in ran)
    ]
    if skipped or missing:
        print(f"the real clips are there, but {len(skipped)} tests were skipped; not run: {missing}")
        return 1
    print(f"{len(ran)} tests ran on the real clips")
    return 0


if __name__ == "__main__":
    sys.exit(main())
