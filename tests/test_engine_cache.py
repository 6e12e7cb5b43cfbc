"""Compiled engines are kept, and whatever is wrong with what was kept costs time and nothing else."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from peers import killed_on_failure
from safetensors.torch import save

from streamstyle.cli.main import main
from streamstyle.engines import exported
from streamstyle.engines.cache import EngineCache, Recipe, cache_folder
from streamstyle.engines.imported_engine import TRANSFORMER_CONTRACT, ImportedEngine
from streamstyle.engines.open_engine import open_engine
from streamstyle.engines.request import EngineRequest, NetworkWeights
from streamstyle.errors import EngineError
from streamstyle.nets.generator import Generator
from streamstyle.nets.layout import GeneratorConfig
from streamstyle.nets.transformer import TransformerNet
from streamstyle.types import Engine, Picture, StyleCondition

SIZE = (64, 96)
CONFIG = GeneratorConfig(widths=(8, 8, 16), blocks=1)
CODES = np.stack([CONFIG.layout.neutral().numpy()] * 2)


def weights(seed: int = 0) -> dict[str, np.ndarray]:
    torch.manual_seed(seed)
    return {name: tensor.numpy() for name, tensor in Generator(CONFIG).state_dict().items()}


def film(count: int = 3) -> list[Picture]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*SIZE, 3), np.uint8) for _ in range(count)]


def opened(
    told: list[str], *, seed: int = 0, size: tuple[int, int] = SIZE, ema_decay: bool = False
) -> Engine:
    architecture = CONFIG.to_json()
    return open_engine(
        EngineRequest(
            *size,
            NetworkWeights(architecture, weights(seed)),
            "openvino",
            stateful=ema_decay,
            notify=told.append,
        )
    )


def painted(told: list[str], *, ema_decay: bool = False) -> list[Picture]:
    engine = opened(told, ema_decay=ema_decay)
    frames = [
        engine.start(pixels, StyleCondition(CODES, ema_decay=0.5 if ema_decay else 0.0)).result()
        for pixels in film()
    ]
    engine.close()
    return frames


def kept(folder: Path) -> tuple[Path, Path]:
    """The only engine, and its manifest."""
    (engine,) = folder.glob("*.engine")
    return engine, engine.with_suffix(".json")


def recipe(name: str = "a", size: int = 100, compiled: list[str] | None = None) -> Recipe[bytes]:
    """Recipe of an engine of `size` bytes; `compiled` hears each time that it is compiled."""

    def compile_() -> bytes:
        if compiled is not None:
            compiled.append(name)
        return name.encode() * size

    return Recipe(name, {"name": name}, compile_, lambda made: made, lambda data: data)


@pytest.mark.parametrize("ema_decay", [False, True])
def test_a_kept_engine_paints_bit_for_bit_as_the_compiled_one(ema_decay: bool) -> None:
    first, second = [], []
    a, b = painted(first, ema_decay=ema_decay), painted(second, ema_decay=ema_decay)
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)
    assert first[0] == "compiling the network for 96x64, once ..."
    assert first[1].startswith("compiled the network for 96x64 in ")
    assert not second


def test_an_imported_model_is_kept_too(engines: Path) -> None:
    data = save({name: tensor.contiguous() for name, tensor in TransformerNet().state_dict().items()})
    frames, told = [], []
    for _ in range(2):
        cache = EngineCache(engines, told.append)
        engine = ImportedEngine("transformer", data, TRANSFORMER_CONTRACT, *SIZE, cache=cache, label="mine")
        frames.append(engine.start(film()[0], StyleCondition(np.zeros((2, 0), np.float32))).result())
        engine.close()
    np.testing.assert_array_equal(*frames)
    assert [sentence.split()[0] for sentence in told] == ["compiling", "compiled"]


def test_other_weights_sizes_and_statistics_are_other_engines(engines: Path) -> None:
    for options in ({}, {"seed": 1}, {"size": (72, 96)}, {"ema_decay": True}):
        told: list[str] = []
        opened(told, **options).close()
        assert told, options
    assert len(list(engines.glob("*.engine"))) == 4


def test_sizes_that_are_padded_to_the_same_share_an_engine() -> None:
    told: list[str] = []
    opened([], size=(61, 90)).close()
    opened(told, size=(64, 96)).close()
    assert not told


def truncate(engine: Path, manifest: Path) -> None:
    engine.write_bytes(engine.read_bytes()[:1000])


def flip_a_bit(engine: Path, manifest: Path) -> None:
    data = bytearray(engine.read_bytes())
    data[len(data) // 2] ^= 1
    engine.write_bytes(data)


def empty_the_manifest(engine: Path, manifest: Path) -> None:
    manifest.write_bytes(b"")


def break_the_manifest(engine: Path, manifest: Path) -> None:
    manifest.write_bytes(b"\xff\xfe{")


def of_another_format(engine: Path, manifest: Path) -> None:
    manifest.write_bytes(manifest.read_bytes().replace(b'"format": 1', b'"format": 0'))


def of_another_library(engine: Path, manifest: Path) -> None:
    values = msgspec.json.decode(manifest.read_bytes())
    values["key"]["library"] = "2020.1"
    manifest.write_bytes(msgspec.json.encode(values))


def foreign_with_a_right_hash(engine: Path, manifest: Path) -> None:
    values = msgspec.json.decode(manifest.read_bytes())
    engine.write_bytes(b"no engine at all")
    values["sha256"] = hashlib.sha256(b"no engine at all").hexdigest()
    manifest.write_bytes(msgspec.json.encode(values))


def lose_the_engine(engine: Path, manifest: Path) -> None:
    engine.unlink()


@pytest.mark.parametrize(
    "damage",
    [
        truncate,
        flip_a_bit,
        empty_the_manifest,
        break_the_manifest,
        of_another_format,
        of_another_library,
        foreign_with_a_right_hash,
        lose_the_engine,
    ],
)
def test_a_wrong_entry_is_refused_and_made_anew(damage: Callable[[Path, Path], None], engines: Path) -> None:
    right = painted([])
    damage(*kept(engines))
    told: list[str] = []
    np.testing.assert_array_equal(painted(told), right)
    assert any(sentence.startswith("compiling") for sentence in told)
    assert damage is lose_the_engine or "refused and compiled again" in told[0]
    again: list[str] = []
    np.testing.assert_array_equal(painted(again), right)
    assert not again


def test_the_folder_is_private_and_the_manifest_says_what_the_engine_depends_on(engines: Path) -> None:
    opened([]).close()
    engine, manifest = kept(engines)
    if sys.platform != "win32":
        assert [path.stat().st_mode & 0o777 for path in (engines, engine, manifest)] == [0o700, 0o600, 0o600]
    key = msgspec.json.decode(manifest.read_bytes())["key"]
    assert key["size"] == [64, 96]
    assert key["architecture"] == CONFIG.to_json()
    assert {"weights", "graph", "library", "device", "instructions", "precision", "threads"} <= set(key)


def test_the_key_covers_every_file_that_the_graph_is_made_from() -> None:
    """The list of files holds all that these import: an engine of yesterday's graph must not be found."""
    found, left = set[str](), {"packed", "deployed"}
    while left:
        name = left.pop()
        found.add(name)
        text = (exported.NETS / f"{name}.py").read_text(encoding="utf-8")
        imports = re.findall(r"^from streamstyle\.nets(?:\.(\w+) import| import (\w+))", text, re.MULTILINE)
        left |= {part or whole for part, whole in imports} - found
    assert found == set(exported._SOURCES)


def test_a_folder_that_cannot_be_had_is_told_once_and_the_engine_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = painted([])
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("STREAMSTYLE_CACHE", str(tmp_path / "file"))
    told: list[str] = []
    np.testing.assert_array_equal(painted(told), right)
    assert [("cannot be kept" in sentence) for sentence in told] == [True, False, False]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_a_folder_that_others_can_write_to_is_not_trusted(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    told: list[str] = []
    compiled: list[str] = []
    for _ in range(2):
        EngineCache(tmp_path, told.append).get(recipe(compiled=compiled))
    assert compiled == ["a", "a"]
    assert "other users can write to it" in told[0]
    assert not list(tmp_path.iterdir())


def test_another_process_compiles_where_that_is_asked_for_and_the_folder_can_be_used(tmp_path: Path) -> None:
    told, here = list[str](), list[str]()
    other = EngineCache(tmp_path / "e")
    asked: list[str] = []

    def compile_in_child(what: str) -> None:
        asked.append(what)
        other.get(recipe())

    for _ in range(2):
        assert (
            EngineCache(tmp_path / "e", told.append, compile_in_child=compile_in_child).get(
                recipe(compiled=here)
            )
            == b"a" * 100
        )
    assert asked == ["a"]
    assert not told + here
    # A file where the folder should be, and another process that keeps nothing.
    (tmp_path / "file").touch()
    for folder, others in (("file", []), ("f", ["a"])):
        told.clear()
        asked.clear()
        EngineCache(tmp_path / folder, told.append, compile_in_child=asked.append).get(recipe(compiled=here))
        assert asked == others
        assert [sentence for sentence in told if "frames may stall" in sentence] == [
            "compiling a, in this process, so frames may stall, once ..."
        ]
    assert here == ["a", "a"]


def test_a_library_that_cannot_export_is_told_and_the_engine_runs(tmp_path: Path) -> None:
    def export(_: bytes) -> bytes:
        raise RuntimeError("not implemented")

    told: list[str] = []
    made = Recipe("a", {}, lambda: b"a", export, lambda data: data)
    assert EngineCache(tmp_path / "e", told.append).get(made) == b"a"
    assert "is not kept" in told[-1]
    assert "not implemented" in told[-1]


def test_what_compiling_raises_is_raised_and_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> bytes:
        raise EngineError("out of memory")

    with pytest.raises(EngineError, match="out of memory"):
        EngineCache(tmp_path / "e").get(Recipe("a", {}, fail, lambda made: made, lambda data: data))
    assert not [path for path in (tmp_path / "e").iterdir() if path.suffix != ".lock"]


def test_what_was_not_used_for_longest_makes_room(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path / "e", largest=4500)
    past = time.time() - 1000
    for age, name in enumerate("abc"):
        cache.get(recipe(name, 1000))
        for path in (tmp_path / "e").glob("*.json"):
            if msgspec.json.decode(path.read_bytes())["what"] == name:
                os.utime(path, (past + age, past + age))
    cache.get(recipe("a", 1000))
    cache.get(recipe("d", 2500))
    assert [manifest.what for manifest in cache.manifests()] == ["d", "a"]
    assert sum(path.stat().st_size for path in (tmp_path / "e").iterdir()) <= 4500


def test_half_written_files_of_a_dead_process_go_when_they_are_old(tmp_path: Path) -> None:
    cache = EngineCache(tmp_path / "e")
    cache.get(recipe("a"))
    old, young = tmp_path / "e" / "x.part", tmp_path / "e" / "y.part"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    cache.get(recipe("b"))
    assert (old.exists(), young.exists()) == (False, True)


_BUILDER = """
import sys
from pathlib import Path
from streamstyle.engines.cache import EngineCache, Recipe
folder, wait = Path(sys.argv[1]), sys.argv[2]
def build():
    print("compiles", flush=True)
    if wait == "die":
        import os
        os._exit(9)
    if wait == "yes":
        sys.stdin.readline()
    return b"engine"
def tell(sentence):
    if "another process" in sentence:
        print("waits", flush=True)
cache = EngineCache(folder, tell)
cache.get(Recipe("a", {"name": "a"}, build, lambda made: made, lambda data: data))
print("done", flush=True)
"""


def builder(folder: Path, wait: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _BUILDER, str(folder), wait]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_two_processes_that_want_the_same_compile_once(tmp_path: Path) -> None:
    with killed_on_failure(builder(tmp_path / "e", "yes")) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "compiles\n"
        with killed_on_failure(builder(tmp_path / "e", "no")) as second:
            assert second.stdout is not None
            assert second.stdout.readline() == "waits\n"
            assert first.communicate("go on\n")[0] == "done\n"
            assert second.communicate()[0] == "done\n"


def test_the_lock_of_a_dead_process_holds_nobody_up(tmp_path: Path) -> None:
    with killed_on_failure(builder(tmp_path / "e", "die")) as first:
        assert first.communicate()[0] == "compiles\n"
    compiled: list[str] = []
    told: list[str] = []
    EngineCache(tmp_path / "e", told.append).get(recipe(compiled=compiled))
    assert compiled == ["a"]
    assert told[0].startswith("compiling")


def test_a_process_that_hangs_is_waited_for_no_longer_than_the_lock_timeout(tmp_path: Path) -> None:
    with killed_on_failure(builder(tmp_path / "e", "yes")) as hanging:
        assert hanging.stdout is not None
        assert hanging.stdout.readline() == "compiles\n"
        compiled: list[str] = []
        EngineCache(tmp_path / "e", lock_timeout=0.0).get(recipe(compiled=compiled))
        assert compiled == ["a"]
        hanging.communicate("go on\n")


_CACHED_RUN = """
import sys
from streamstyle.cli.main import main
code = main(["run", "test:", "null:", "--frames", "2", "--network", "lite", *sys.argv[1:]])
sys.exit(code or ("torch was imported" if "torch" in sys.modules else 0))
"""


@pytest.mark.parametrize("options", [[], ["--consistency", "0.5", "--turn", "texture=1.2"]], ids=str)
def test_a_run_with_a_kept_engine_imports_no_torch_and_says_nothing(options: list[str]) -> None:
    assert main(["run", "test:", "null:", "--frames", "2", *options]) == 0
    command = [sys.executable, "-c", _CACHED_RUN, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_engines_are_listed_and_cleared(capsys: pytest.CaptureFixture[str], engines: Path) -> None:
    opened([]).close()
    assert main(["engines", "list"]) == 0
    listed = capsys.readouterr().out
    assert "the network for 96x64" in listed
    assert str(engines) in listed
    assert main(["engines", "clear"]) == 0
    assert not list(engines.iterdir())
    assert main(["engines", "list"]) == 0
    assert "0 engines, 0.0 MB" in capsys.readouterr().out


def test_the_folder_is_where_the_platform_keeps_what_can_be_made_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STREAMSTYLE_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path / "engines"
    monkeypatch.delenv("STREAMSTYLE_CACHE")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "streamstyle" / "engines"
