"""The program as a user meets it: commands, files, exit codes, one clear line for each mistake."""

from __future__ import annotations

import errno
import hashlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from peers import killed_on_failure

from streamstyle.cli.main import main
from streamstyle.media.open import open_source
from streamstyle.styles.bundle import BUNDLED, load_manifest

SCENE = "test:?seconds=1&size=192x112&rate=15"
PROGRAM = [sys.executable, "-m", "streamstyle"]


def frames_of(url: str) -> list[tuple[float, np.ndarray]]:
    with open_source(url) as source:
        return [(frame.time, frame.pixels) for frame in source]


def audio_packet_hashes(path: str) -> list[str]:
    with av.open(path) as container:
        packets = container.demux(container.streams.audio)
        return [hashlib.sha256(bytes(p)).hexdigest() for p in packets if p.size]


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    """Exit code and the one line that a failing command says."""
    code = main([str(a) for a in arguments])
    return code, the_error(capsys.readouterr().err)


def the_error(said: str) -> str:
    """The only line but for what is said of engines that are compiled."""
    of_engines = ("compiling ", "compiled ", "the engine is not kept ")
    (error,) = [line for line in said.splitlines() if not line.startswith(of_engines)]
    assert error.startswith("streamstyle: ")
    return error


def test_help_needs_no_heavy_import() -> None:
    watch = "import sys; from streamstyle.cli.main import build_parser; build_parser().format_help()"
    heavy = "{'torch', 'cv2', 'av', 'openvino', 'numpy', 'tqdm'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", f"{watch}; assert not {heavy}, {heavy}"], check=True)


def test_a_run_imports_only_what_its_source_and_sinks_need() -> None:
    watch = (
        "import sys; import streamstyle.pipeline.run_job; "
        "from streamstyle.media.open import open_sink, open_source; "
        "open_sink('null:', open_source('test:?live=1').info)"
    )
    unneeded = "{'torch', 'openvino', 'av', 'zmq', 'asyncio', 'http.server', 'yaml'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", f"{watch}; assert not {unneeded}, {unneeded}"], check=True)


def test_styles_list_and_show_need_no_torch_and_speak_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["styles", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [s["name"] for s in listed] == [s.name for s in load_manifest(BUNDLED).styles]
    assert all(set(s) == {"name", "title", "artist", "year", "licence"} for s in listed)
    assert main(["styles", "show", listed[0]["name"], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == listed[0]["title"]
    assert main(["styles", "list"]) == 0
    assert listed[0]["title"] in capsys.readouterr().out
    watch = "from streamstyle.cli.main import main; import sys; main(['styles', 'list'])"
    subprocess.run([sys.executable, "-c", f"{watch}; assert 'torch' not in sys.modules"], check=True)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_run_writes_a_playable_film_with_sound_and_tells_what_it_did(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    out = tmp_path / f"out{suffix}"
    assert main(["run", SCENE, str(out), "--style", "great-wave", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summary["frames_in"] == summary["frames_out"] == 15
    assert summary["output"] == [str(out)]
    assert summary["engine"]["name"] == "openvino"
    assert summary["anomalies"] == {} or sum(summary["anomalies"].values()) > 0
    assert {"decode", "stylize", "detect", "correct", f"write {out}"} <= set(summary["stages"])
    assert all(stage["fps"] > 0 for stage in summary["stages"].values())
    source, styled = frames_of(SCENE), frames_of(str(out))
    assert [round(t, 3) for t, _ in styled] == [round(t, 3) for t, _ in source]
    # Painted, not copied; and still the same scene, not noise.
    difference = np.mean(
        [np.abs(a.astype(int) - b).mean() for (_, a), (_, b) in zip(source, styled, strict=True)]
    )
    assert 5 < difference < 100
    assert audio_packet_hashes(str(out))


def test_engines_agree_through_the_whole_pipeline(tmp_path: Path) -> None:
    outs = []
    for engine in ("torch", "openvino"):
        out = tmp_path / f"{engine}.mkv"
        options = ["--engine", engine, "--correct", "off", "--set", "quality=1"]
        assert main(["run", SCENE, str(out), "--style", "udnie", *options]) == 0
        outs.append([pixels for _, pixels in frames_of(str(out))])
    for a, b in zip(*outs, strict=True):
        assert np.abs(a.astype(int) - b).mean() < 1.5


def test_strength_zero_is_close_to_the_original(tmp_path: Path) -> None:
    out = tmp_path / "out.mkv"
    assert main(["run", SCENE, str(out), "--style", "scream", "--strength", "0"]) == 0
    pairs = zip(frames_of(SCENE), frames_of(str(out)), strict=True)
    assert np.mean([np.abs(a.astype(int) - b).mean() for (_, a), (_, b) in pairs]) < 12


def test_frames_and_duration_end_the_run_early(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option, expected in ((["--frames", "4"], 4), (["--duration", "0.4"], 6)):
        assert main(["run", SCENE, "null:", "--json", *option]) == 0
        assert json.loads(capsys.readouterr().out)["frames_out"] == expected


def test_several_sinks_get_the_same_film(tmp_path: Path) -> None:
    a, b = tmp_path / "a.mp4", tmp_path / "b.mkv"
    assert main(["run", SCENE, str(a), str(b), "null:"]) == 0
    assert len(frames_of(str(a))) == len(frames_of(str(b))) == 15


def test_a_preset_file_and_set_are_heard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    preset = Path(__file__).parents[1] / "configs" / "file.yaml"
    arguments = ["run", SCENE, "null:", "--config", str(preset), "--set", "style=scream", "--json"]
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out)["style"] == "scream"


def test_the_event_log_has_a_line_per_flagged_frame(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "events.jsonl"
    assert main(["run", SCENE, "null:", "--events", str(log), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert len(log.read_text().splitlines()) == summary["flagged_frames"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["missing.mp4", "out.mp4"], 1, "missing.mp4"),
        ([".", "out.mp4"], 1, "directory"),
        (["text.mp4", "out.mp4"], 1, "text.mp4"),
        (["empty.mp4", "out.mp4"], 1, "empty.mp4"),
        ([SCENE, "out.mp4", "--style", "stary-night"], 2, "did you mean 'starry-night'"),
        ([SCENE, "out.mp4", "--engine", "metal"], 2, "unknown engine"),
        ([SCENE, "out.mp4", "--correct", "always"], 2, "correct"),
        ([SCENE, "out.mp4", "--strength", "2"], 2, "strength"),
        ([SCENE, "out.mp4", "--turn", "texture=9"], 2, "0 to 3"),
        ([SCENE, "out.mp4", "--captures", "pictures"], 2, "add --control"),
        ([SCENE, "out.mp4", "--turn", "textur=1"], 2, "did you mean 'texture'"),
        ([SCENE, "out.mp4", "--network", "ful"], 2, "installed are"),
        ([SCENE, "out.mp4", "--region", "oval:1"], 2, "rect:"),
        ([SCENE, "out.mp4", "--region", "file:none.mp4"], 1, "none.mp4"),
        ([SCENE, "out.mp4", "--region", "file:\U0001f600.png"], 1, "\U0001f600.png"),
        ([SCENE, "out.mp4", "--region-style", "udnie"], 2, "--region"),
        ([SCENE, "out.mp4", "--style", "none.safetensors"], 2, "unknown style"),
        ([SCENE, "out.mp4", "--set", "stlye=udnie"], 2, "did you mean 'style'"),
        ([], 2, "a SOURCE is missing"),
        ([SCENE], 2, "a SINK is missing"),
        ([SCENE, "out.mp4", "--config", "none.yaml"], 2, "none.yaml"),
        ([SCENE, "out.avi"], 2, ".avi"),
        ([SCENE, "no/such/folder/out.mp4"], 1, "folder"),
        ([SCENE, "."], 2, ""),
        (["rtsp://127.0.0.1:1/x", "out.mp4"], 1, "refuses the connection"),
        (["rtps://127.0.0.1/x", "out.mp4"], 2, "No source is called 'rtps:' (did you mean '"),
        ([SCENE, "ftp://127.0.0.1/x"], 2, "ftp"),
        ([SCENE, "rtmp:///live"], 2, "rtmp"),
        ([SCENE, "null:", "--events", "no/such/folder/e.jsonl"], 1, "e.jsonl"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_mistakes_get_one_clear_line_and_leave_no_file(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.mp4").write_text("no film\n" * 100)
    (tmp_path / "empty.mp4").touch()
    before = set(tmp_path.iterdir())
    exit_code, line = refused(capsys, "run", *arguments)
    assert exit_code == code
    assert said in line
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["explain", "--image", "photo.png", "--style", "udnie", "-o"],
        ["explain", "events.jsonl", "-o"],
        ["styles", "gallery", "-o"],
        ["styles", "swatch", "udnie", "-o"],
        ["train", "--style", "photo.png", "--name", "mine", "-o"],
    ],
)
def test_where_nothing_can_be_written_is_told_before_the_work(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    suffix = {"explain": "html", "train": "safetensors"}.get(arguments[0], "png")
    _, line = refused(
        capsys, *arguments, f"no/such/folder.{suffix}"
    )  # before it is seen that nothing can be read
    assert "there is no folder no/such" in line


def test_a_picture_that_cannot_be_decoded_is_one_line_with_the_remedy(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """OpenCV warns of floats in TIFF, and tells nobody what to do."""
    path = tmp_path / "floats.tif"
    cv2.imwrite(str(path), np.full((80, 80, 3), 0.5, np.float32))
    assert main(["eval", str(path), str(path)]) == 2
    assert the_error(capfd.readouterr().err).endswith("convert it to PNG or JPEG")


def test_a_file_whose_name_holds_a_bar_is_one_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Network outputs are joined by one."""
    target = tmp_path / "a|b.mkv"
    assert main(["repair", SCENE, SCENE, str(target), "--frames", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["output"] == [str(target)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "required"),
        (["styles", "swatch", "udnie", "-o", "a.png", "--seed", "9" * 20], "a whole number of 0 to"),
        (["styles", "swatch", "udnie", "-o", "a.png", "--seed", "-1"], "a whole number of 0 to"),
        (["paint"], "invalid choice"),
        (["run", "a", "b", "--frames", "0"], "a whole number above 0, not '0'"),
        (["run", "a", "b", "--frames", "1.5"], "a whole number above 0, not '1.5'"),
        (["run", "a", "b", "--frames", "9" * 20], "a whole number above 0"),
        (["run", "a", "b", "--duration", "inf"], "a number above 0, not 'inf'"),
        (["run", "a", "b", "--duration", "nan"], "a number above 0, not 'nan'"),
        (["run", "a", "b", "--duration", "2s"], "a number above 0, not '2s'"),
        (["run", "a", "b", "--resume", "--segment", "inf"], "a number above 0, not 'inf'"),
        (["run", "a", "b", "--colour", "film"], "style, keep or a number in 0..1, not 'film'"),
    ],
)
def test_wrong_usage_exits_with_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert "usage: streamstyle" in told
    assert said in told


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_finishes_the_film_and_exits_with_130(tmp_path: Path, number: int) -> None:
    out = tmp_path / "out.mp4"
    film = "test:?seconds=3000&size=192x112"
    command = [*PROGRAM, "run", film, str(out), "--json", "--network", "lite"]
    with killed_on_failure(
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    ) as process:
        # The film grows once frames flow; only then is there something to finish.
        growing = tmp_path / "out.partial.mp4"
        while not (growing.exists() and growing.stat().st_size > 20_000):
            assert process.poll() is None, process.stderr.read()  # type: ignore[union-attr]
            time.sleep(0.05)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 130, stderr
    summary = json.loads(stdout.splitlines()[-1])
    assert summary["interrupted"] is True
    assert len(frames_of(str(out))) == summary["frames_out"] == summary["frames_in"] > 0
    assert "Traceback" not in stderr


def test_a_disk_that_fills_up_is_one_clear_line(tmp_path: Path) -> None:
    limited = "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    limited += "resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000)); "
    limited += "from streamstyle.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [
        sys.executable,
        "-c",
        limited,
        "run",
        "test:?seconds=60&size=640x360",
        str(tmp_path / "out.mp4"),
        *("--network", "lite"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1
    the_error(done.stderr)
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "out of memory"),
        (RuntimeError("can't start new thread"), "can't start new thread"),
        (ImportError("libx.so: failed to map segment from shared object"), "failed to map segment"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "Cannot allocate memory"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files"),
    ],
)
def test_limits_of_the_system_are_told_in_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def starve(_arguments: object) -> int:
        raise error

    monkeypatch.setattr("streamstyle.cli.devices.command", starve)
    code, line = refused(capsys, "devices")
    assert code == 1
    assert said in line
    assert "ulimit -a" in line


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not keep to it")
def test_too_little_memory_is_no_traceback(tmp_path: Path) -> None:
    limited = "import resource, sys; from streamstyle.cli.main import program; limit = int(sys.argv.pop(1)); "
    limited += "resource.setrlimit(resource.RLIMIT_AS, (limit, limit)); program()"
    for megabytes in range(700, 200, -50):  # what is enough depends on the processors
        command = [sys.executable, "-c", limited, f"{megabytes}000000", "repair", SCENE, SCENE]
        command += [str(tmp_path / f"{megabytes}.mkv")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            break
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "the system gives no more memory" in done.stderr.splitlines()[-1]
