"""The main job on the real clips: every frame, every pts, every audio packet; and the odd files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from clips import CLIPS, ODD, clip_named, needs_clips
from test_cli import audio_packet_hashes, frames_of

from streamstyle.cli.main import main
from streamstyle.control.style_scheduler import content_share
from streamstyle.media.open import open_source

STYLES = ("starry-night", "great-wave", "udnie", "scream")
SECONDS = "1.0"


@needs_clips
@pytest.mark.parametrize("clip", CLIPS, ids=lambda p: p.name)
def test_real_clip_keeps_frames_and_pts_while_it_is_painted(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.mkv"
    style = STYLES[CLIPS.index(clip) % len(STYLES)]
    assert main(["run", str(clip), str(out), "--style", style, "--duration", SECONDS, "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    styled = frames_of(str(out))
    assert len(styled) == summary["frames_out"] == summary["frames_in"] > 0
    with open_source(str(clip)) as source:
        frames = [frame for frame, _ in zip(source, styled, strict=False)]
    # Matroska counts in milliseconds.
    assert [t for t, _ in styled] == pytest.approx([f.time for f in frames], abs=0.0011)
    assert styled[0][1].shape == frames[0].pixels.shape
    changed = np.abs(styled[0][1].astype(int) - frames[0].pixels).mean()
    assert changed > 5 if content_share(frames[0].pixels) == 1 else changed < 1  # one begins in black


@needs_clips
def test_real_clip_sound_is_copied_packet_by_packet(tmp_path: Path) -> None:
    clip = clip_named("film_friday_1940.mp4")
    out = tmp_path / "out.mp4"
    assert main(["run", str(clip), str(out), "--frames", "10"]) == 0
    copied = audio_packet_hashes(str(out))
    assert copied
    assert copied == audio_packet_hashes(str(clip))[: len(copied)]


@needs_clips
@pytest.mark.parametrize("clip", ODD, ids=lambda p: p.name)
def test_odd_real_clip_is_painted_at_its_own_size_or_told(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    assert main(["run", str(clip), str(out), "--style", "great-wave", "--frames", "20"]) == 0
    styled = frames_of(str(out))
    source = frames_of(str(clip))[: len(styled)]
    assert 0 < len(styled) <= 20
    assert styled[0][1].shape == source[0][1].shape
    assert [t for t, _ in styled] == pytest.approx([t for t, _ in source], abs=1e-6)


@needs_clips
def test_corrupt_packets_of_a_real_clip_are_skipped_counted_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = clip_named("corrupt_bytes_flower.mp4")
    assert main(["run", str(clip), str(tmp_path / "out.mp4"), "--frames", "60", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    corrupt = summary["source_counters"]["corrupt_packets"]
    assert corrupt > 0
    assert any(note.startswith(f"{corrupt} packets of") for note in summary["notes"])
    assert summary["frames_out"] == 60


@needs_clips
def test_a_region_of_a_real_clip_keeps_its_original_and_the_rest_is_painted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = clip_named("sam2_02_cups.mp4")
    out = tmp_path / "out.mkv"
    region = ["--region", "rect:0,0,50%,100%", "--region-feather", "8"]
    assert main(["run", str(clip), str(out), "--style", "scream", "--frames", "5", "--json", *region]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["region"], summary["region_style"]) == ("rect:0,0,50%,100%", "original")
    assert summary["stages"]["region"]["fps"] > 0
    with open_source(str(clip)) as source:
        pairs = zip(source, frames_of(str(out)), strict=False)
        changed = np.mean([np.abs(a.pixels.astype(int) - b).mean(axis=(0, 2)) for a, (_, b) in pairs], axis=0)
    middle = changed.size // 2
    assert changed[: middle - 32].mean() < 0.5 * changed[middle + 32 :].mean()
