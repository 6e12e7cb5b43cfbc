"""Results in folders and in buckets: one contract, and a batch into a real server of buckets."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from damaged_films import make_damaged, whole_film
from peers import free_port, killed_on_failure, wait_for
from segmented import SHOT, SHOTS, WAIT_TIMEOUT, make_shots, pictures, sounds

from streamstyle.batch.storage import DISK, BucketStorage, Storage, storage_of
from streamstyle.cli.main import main
from streamstyle.errors import ConfigError, SinkError

fsspec = pytest.importorskip("fsspec")
PROGRAM = [sys.executable, "-m", "streamstyle"]
BUCKET = "s3://films"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A server of buckets, and an environment that leads this process and its children to it."""
    pytest.importorskip("s3fs")
    pytest.importorskip("moto")
    port, log = free_port(), tmp_path_factory.mktemp("moto") / "log"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with log.open("wb") as file, pytest.MonkeyPatch.context() as patch:
        process = subprocess.Popen(command, stdout=file, stderr=file)
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "somebody")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("NO_PROXY", "127.0.0.1")
        try:
            wait_for(
                lambda: b"Running on" in log.read_bytes() or process.poll() is not None,
                "the server",
                WAIT_TIMEOUT,
            )
            assert process.poll() is None, log.read_text()
            fsspec.filesystem("s3", use_listings_cache=False).mkdir("films")
            yield
        finally:
            fsspec.filesystem("s3", use_listings_cache=False).clear_instance_cache()
            process.kill()
            process.wait()


@pytest.fixture(params=["disk", "memory", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Storage, str]:
    """A storage, and the address of a folder in it."""
    if request.param == "disk":
        return DISK, str(tmp_path / "place")
    if request.param == "memory":
        return BucketStorage(fsspec.filesystem("memory")), "memory://place"
    request.getfixturevalue("server")
    return storage_of(f"{BUCKET}/place"), f"{BUCKET}/place"


def test_files_are_written_published_read_and_removed(place: tuple[Storage, str], tmp_path: Path) -> None:
    """The contract of `Storage`; names hold what patterns are made of."""
    storage, folder = place
    one, other, deep = f"{folder}/a b.json", f"{folder}/[x]*?.segment", f"{folder}/[x]*?.segment.parts/0.json"
    assert (storage.read(one), storage.size(one), storage.names(folder)) == (None, None, [])
    storage.remove(one)
    storage.remove_folder(folder)
    storage.write(one, b"first")
    storage.write(one, b"second")
    storage.write(deep, b"x")
    assert (storage.read(one), storage.size(one)) == (b"second", 6)
    with storage.scratch(folder) as scratch:
        path = scratch / "made"
        path.write_bytes(bytes(range(256)) * 5000)
        storage.publish(path, other)
        assert not path.exists()
    assert storage.size(other) == 256 * 5000
    with storage.local(other) as copy:
        assert copy.read_bytes() == bytes(range(256)) * 5000
    files = [name for name in storage.names(folder) if not name.endswith(".parts")]
    assert files == ["[x]*?.segment", "a b.json"]
    storage.remove_folder(f"{folder}/[x]*?.segment.parts")
    assert storage.read(deep) is None
    assert storage.names(folder) == files
    storage.remove(one)
    assert storage.names(folder) == ["[x]*?.segment"]
    storage.remove_folder(folder)
    assert (storage.names(folder), storage.size(other)) == ([], None)


def test_what_cannot_be_written_is_told(server: None, tmp_path: Path) -> None:
    address = "s3://nobodys/film.mkv"
    (tmp_path / "film").write_bytes(b"film")
    for write in (
        lambda: storage_of(address).write(address, b"film"),
        lambda: storage_of(address).publish(tmp_path / "film", address),
    ):
        with pytest.raises(SinkError, match=f"cannot write {address}: .*bucket"):
            write()
    assert (tmp_path / "film").exists()
    assert storage_of(address).read(address) is None


@pytest.mark.parametrize(
    ("address", "said"), [("ftp://host/films", "nothing can be written to ftp://"), ("gs://films", "gcsfs")]
)
def test_places_that_are_not_to_be_had_are_refused(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    address: str,
    said: str,
) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(ConfigError, match=said):
        storage_of(address)
    assert main(["batch", str(tmp_path / "missing.mp4"), "-o", address]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="workers end with their parent there")
def test_a_batch_into_a_bucket_is_killed_and_goes_on(
    server: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same films as in a folder; a damaged one is listed; nothing is painted twice or left half."""
    monkeypatch.setenv("STREAMSTYLE_CACHE", str(tmp_path / "engines"))
    films, bucket = tmp_path / "films", storage_of(BUCKET)
    films.mkdir()
    make_shots(films / "long.mp4")
    make_damaged(films / "noise.mp4", b"-" * 5000, "noise")
    whole_film(films / "short.mp4")
    settings = ["--segment", "1.6", "--network", "lite", "--suffix", ".mkv", "--json", "--resume"]
    command = ["batch", str(films), *settings, "--codec", "ffv1", "--set", "queue=2", "-o"]
    assert main([*command, str(tmp_path / "alone")]) == 1
    capsys.readouterr()
    parts = f"{BUCKET}/painted/.streamstyle/long.mkv.parts"
    with killed_on_failure(
        subprocess.Popen([*PROGRAM, *command, f"{BUCKET}/painted"], stdout=subprocess.PIPE)
    ) as process:

        def recorded() -> int:
            return sum(name[0] == "0" and name.endswith(".json") for name in bucket.names(parts))

        wait_for(lambda: recorded() >= 2 or process.poll() is not None, "two segments", WAIT_TIMEOUT)
        assert process.poll() is None
        process.kill()
        process.wait()
    kept = recorded()
    assert bucket.size(f"{BUCKET}/painted/long.mkv") is None
    done = subprocess.run([*PROGRAM, *command, f"{BUCKET}/painted"], capture_output=True, check=False)
    told = {Path(film["source"]).stem: film for film in json.loads(done.stdout)["films"]}
    assert {name: film["state"] for name, film in told.items()} == {
        "long": "done",
        "noise": "failed",
        "short": "done",
    }
    assert told["long"]["segments_kept"] >= kept >= 2
    assert told["long"]["frames_painted"] <= SHOT * (SHOTS - kept)
    for name in ("long", "short"):
        with bucket.local(f"{BUCKET}/painted/{name}.mkv") as copy:
            assert pictures(copy) == pictures(tmp_path / "alone" / f"{name}.mkv")
            assert sounds(copy) == sounds(tmp_path / "alone" / f"{name}.mkv")
    assert bucket.names(parts) == []
    assert main([*command, f"{BUCKET}/painted"]) == 1
    states = [film["state"] for film in json.loads(capsys.readouterr().out)["films"]]
    assert states == ["before", "failed", "before"]
    assert bucket.names(f"{BUCKET}/painted") == ["long.mkv", "short.mkv"]
