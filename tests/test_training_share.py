"""Priority of a style that is trained from the page, beside a run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from streamstyle.web.training import low_priority


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("nice"), reason="as Linux shares processors")
def test_it_runs_at_the_niceness_that_leaves_it_a_quarter_of_a_busy_processor() -> None:
    asked = [*low_priority(), sys.executable, "-c", "import os; print(os.nice(0))"]
    said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    assert int(said) == min(os.nice(0) + 5, 19)
