"""Two real processes under torchrun, on the CPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from streamstyle.train.compute import Compute
from streamstyle.train.training_report import read_log

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available(), reason="this torch was built without torch.distributed"
)

# Each process trains two steps on from the checkpoint and writes down what it holds then.
TRAIN = """
import hashlib, sys
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_training import SqueezeNetFeatures, TINY, random_feature_weights, run
from streamstyle.train.compute import open_compute

folder = Path(sys.argv[2])
reported = []
with open_compute("cpu", "fp32") as compute:
    state = run(
        SqueezeNetFeatures(random_feature_weights()), folder, compute=compute,
        report=lambda p: reported.append(p.step),
    )
digest = hashlib.sha256()
for module in state.modules().values():
    for tensor in module.state_dict().values():
        digest.update(tensor.contiguous().numpy().tobytes())
(folder / f"rank{compute.rank}").write_text(f"{digest.hexdigest()} {reported}")
"""


def test_two_processes_resume_one_checkpoint_and_keep_equal_weights(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(TRAIN)
    out = tmp_path / "out"
    tests = Path(__file__).parent
    alone = [sys.executable, str(script), str(tests), str(out)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    stopped = script.read_text().replace("reported.append(p.step)", "p.step < 3 or sys.exit(7)")
    (tmp_path / "stopped.py").write_text(stopped)
    first = subprocess.run([alone[0], str(tmp_path / "stopped.py"), *alone[2:]], env=environment, check=False)
    assert first.returncode == 7
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    both = subprocess.run(
        [*torchrun, *alone[1:]], env=environment, capture_output=True, text=True, timeout=500, check=False
    )
    assert both.returncode == 0, both.stderr
    (digest, reported), (other, silent) = ((out / f"rank{rank}").read_text().split(" ", 1) for rank in (0, 1))
    assert digest == other
    assert reported == "[3, 4]"
    assert silent == "[]"
    assert [line["step"] for line in read_log(out / "losses.jsonl")] == [1, 2, 3, 4]


def test_every_process_draws_its_own_data_and_the_first_what_a_single_one_does() -> None:
    alone, first, second = (
        Compute(rank=rank, ranks=ranks).rng(5, 7).random() for rank, ranks in ((0, 1), (0, 2), (1, 2))
    )
    assert alone == first != second
