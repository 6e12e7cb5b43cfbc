"""Models of other people: understood, stored, run as torch runs them, and refused with a reason."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from imported_files import Painter, TaskOutcome, classic_network, graph, save_onnx, torch_bytes
from onnx import TensorProto, helper

from streamstyle.cli.styles_import import add_import
from streamstyle.engines import imported_examine
from streamstyle.engines.imported_engine import RANGES, TRANSFORMER_CONTRACT, Contract, ImportedEngine
from streamstyle.engines.imported_examine import examine_file
from streamstyle.engines.imported_probe import Declared, examine, photo_like
from streamstyle.engines.imported_weights import convert_state_dict
from streamstyle.errors import ConfigError, ModelError
from streamstyle.styles.imported import asked_model, load_imported, save_model
from streamstyle.styles.library import model_names
from streamstyle.types import Picture, StyleCondition

CONDITION = StyleCondition(np.zeros((2, 1), np.float32))


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STREAMSTYLE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def picture(height: int, width: int) -> Picture:
    return (photo_like(height, width) * 255).round().astype(np.uint8)


def eager(network: torch.nn.Module, pixels: Picture, contract: Contract) -> Picture:
    """Torch fp32 on the picture padded to the contract's multiple."""
    height, width = pixels.shape[:2]
    edges = ((0, -height % contract.multiple), (0, -width % contract.multiple), (0, 0))
    low, high = RANGES[contract.range_in]
    x = torch.from_numpy(np.pad(pixels, edges, mode="edge")).float()[None] / 255 * (high - low) + low
    with torch.no_grad():
        if contract.layout_in == "nchw":
            y = network(x.permute(0, 3, 1, 2))[0].permute(1, 2, 0)
        else:
            y = network(x)[0]
    low, high = RANGES[contract.range_out]
    styled: Picture = ((y - low) / (high - low) * 255).round().clamp(0, 255).byte().numpy()
    return styled[:height, :width]


def imported(arguments: list[object]) -> int:
    parser = argparse.ArgumentParser()
    add_import(parser.add_subparsers())
    parsed = parser.parse_args(["import", *map(str, arguments)])
    return int(parsed.command(parsed))


@pytest.mark.parametrize(
    ("ending", "norm", "nhwc", "down", "ranges"),
    [
        ("tanh", False, False, 1, ("signed", "signed")),
        ("tanh", True, True, 8, ("signed", "signed")),
        ("sigmoid", False, False, 2, ("unit", "unit")),
        ("sigmoid", True, False, 1, ("unit", "unit")),
        ("bytes", True, False, 4, ("bytes", "bytes")),
        ("clamped bytes", False, True, 1, ("bytes", "bytes")),
        ("tanh to unit", False, True, 4, ("signed", "unit")),
    ],
)
def test_layout_range_and_multiple_are_found_and_pictures_match_torch_eager(
    tmp_path: Path, ending: TaskOutcome, norm: bool, nhwc: bool, down: int, ranges: tuple[str, str]
) -> None:
    network = Painter(ending, nhwc=nhwc, norm=norm, down=down).eval()
    data = save_onnx(network, tmp_path / "a.onnx", nhwc=nhwc).read_bytes()
    examined = examine(data, Declared())
    layout = "nhwc" if nhwc else "nchw"
    assert examined.contract == Contract(layout, layout, *ranges, None, down)  # type: ignore[arg-type]
    pixels = picture(95, 131)
    engine = ImportedEngine("onnx", data, examined.contract, 95, 131)
    expected = eager(network, pixels, examined.contract)
    pending = [engine.start(pixels, CONDITION) for _ in range(engine.spec.in_flight)]
    for wait in pending:
        styled = wait.result()
        assert styled.shape == pixels.shape
        assert styled.dtype == np.uint8
        assert np.abs(styled.astype(int) - expected).mean() < 1
    assert engine.busy_seconds > 0
    engine.close()


def test_what_is_declared_is_not_guessed(tmp_path: Path) -> None:
    data = save_onnx(Painter("tanh"), tmp_path / "a.onnx").read_bytes()
    contract = examine(data, Declared("nchw", "unit", "signed")).contract
    assert (contract.range_in, contract.range_out) == ("unit", "signed")
    with pytest.raises(ModelError, match="as NHWC"):
        examine(data, Declared("nhwc"))


def test_a_model_of_a_fixed_size_gets_resized_frames(tmp_path: Path) -> None:
    data = save_onnx(Painter("tanh"), tmp_path / "a.onnx", size=(48, 80), free=False).read_bytes()
    contract = examine(data, Declared()).contract
    assert contract.size == (48, 80)
    styled = ImportedEngine("onnx", data, contract, 97, 150).start(picture(97, 150), CONDITION).result()
    assert styled.shape == (97, 150, 3)
    assert styled.std() > 5


def test_strength_blends_pixels(tmp_path: Path) -> None:
    data = save_onnx(Painter("tanh"), tmp_path / "a.onnx").read_bytes()
    contract, pixels = examine(data, Declared()).contract, picture(64, 64)
    styled = [
        ImportedEngine("onnx", data, contract, 64, 64, s).start(pixels, CONDITION).result()
        for s in (0.0, 0.5, 1.0)
    ]
    assert np.array_equal(styled[0], pixels)
    middle = (styled[0].astype(int) + styled[2]) / 2
    assert np.abs(styled[1] - middle).max() <= 1


@pytest.mark.parametrize("wrapping", ["bare", "wrapped", "parallel", "legacy"])
def test_classic_weights_are_converted_whatever_they_are_wrapped_in(wrapping: str) -> None:
    network = classic_network()
    state = dict(network.state_dict())
    if wrapping == "legacy":
        state |= {"in1.running_mean": torch.zeros(32), "res1.in1.running_var": torch.zeros(128)}
    if wrapping == "parallel":
        state = {f"module.{name}": tensor for name, tensor in state.items()}
    value = {"epoch": 3, "state_dict": state} if wrapping == "wrapped" else state
    examined = examine(torch_bytes(value, legacy=wrapping == "legacy"), Declared())
    assert examined.contract == TRANSFORMER_CONTRACT
    pixels = picture(62, 93)
    styled = (
        ImportedEngine("transformer", examined.data, examined.contract, 62, 93)
        .start(pixels, CONDITION)
        .result()
    )
    expected = eager(network, pixels, examined.contract)
    assert expected.std() > 5
    assert np.abs(styled.astype(int) - expected).mean() < 1


def test_the_classic_network_as_onnx_is_understood_like_its_weights(tmp_path: Path) -> None:
    data = save_onnx(classic_network(), tmp_path / "c.onnx").read_bytes()
    assert examine(data, Declared()).contract == TRANSFORMER_CONTRACT


def test_import_stores_a_verified_copy_that_runs(
    tmp_path: Path, own_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save_onnx(Painter("tanh"), tmp_path / "My Style_2.onnx", size=(64, 64), free=False)
    assert imported([path]) == 0
    assert "note: it runs at 64x64 only" in capsys.readouterr().out
    assert model_names() == ["my-style-2"]
    assert sorted(p.name for p in (own_folder / "models").iterdir()) == ["my-style-2"]
    model = load_imported("my-style-2")
    assert model.data == path.read_bytes()
    contract = Contract.from_json(model.manifest.contract)
    ImportedEngine(model.manifest.kind, model.data, contract, 64, 64).start(
        picture(64, 64), CONDITION
    ).result()
    with pytest.raises(ConfigError, match="--replace"):
        imported([path])
    assert imported([path, "--replace", "--range", "unit,signed", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["contract"]["range_in"] == "unit"
    assert sorted(p.name for p in (own_folder / "models").iterdir()) == ["my-style-2"]


def test_classic_weights_are_never_unpickled_again(tmp_path: Path, own_folder: Path) -> None:
    path = tmp_path / "mosaic.pth"
    path.write_bytes(torch_bytes(classic_network().state_dict()))
    assert imported([path, "--name", "tiles"]) == 0
    files = sorted(p.name for p in (own_folder / "models" / "tiles").iterdir())
    assert files == ["manifest.json", "model.safetensors"]


def saved(name: str = "mine", data: bytes = b"data", *, replace: bool = False) -> Path:
    return save_model(name, "onnx", data, TRANSFORMER_CONTRACT.to_json(), "a.onnx", replace=replace)


def test_a_stored_model_that_was_touched_is_refused() -> None:
    folder = saved()
    (folder / "model.onnx").write_bytes(b"atad")
    with pytest.raises(ModelError, match="hash"):
        load_imported("mine")
    (folder / "manifest.json").write_text("{}")
    with pytest.raises(ModelError, match="damaged"):
        load_imported("mine")
    with pytest.raises(ModelError, match="no imported model"):
        load_imported("yours")
    with pytest.raises(ModelError, match="manifest"):
        Contract.from_json({"layout_in": "chw"})


@pytest.mark.parametrize("name", ["", "../up", "Mine", "a b", ".", "a/b", "mine\n"])
def test_names_that_could_leave_the_folder_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot name"):
        saved(name)


def test_a_failed_replacement_leaves_the_old_model(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = saved()

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ModelError, match="No space"):
        saved(data=b"new", replace=True)
    monkeypatch.undo()
    assert [p.name for p in folder.parent.iterdir()] == ["mine"]
    assert (folder / "model.onnx").read_bytes() == b"data"


def test_bundled_names_are_kept(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="bundled"):
        imported([tmp_path / "none.onnx", "--name", "starry-night"])


def test_an_imported_model_cannot_be_mixed() -> None:
    assert asked_model("mine", ("mine",)) == "mine"
    assert asked_model("udnie:0.5,scream", ("mine",)) is None
    with pytest.raises(ConfigError, match="cannot be mixed"):
        asked_model("udnie,mine", ("mine",))


IN, OUT = {"x": [1, 3, "h", "w"]}, {"y": [1, 3, "h", "w"]}
UNUSABLE = {
    "two inputs": (graph([("Add", ["x", "z"], ["y"])], {**IN, "z": [1, 3, "h", "w"]}, OUT), "2 inputs"),
    "two outputs": (
        graph([("Tanh", ["x"], ["y"]), ("Abs", ["x"], ["z"])], IN, {**OUT, "z": None}),
        "2 outputs",
    ),
    "grey": (graph([("Tanh", ["x"], ["y"])], {"x": [1, 1, "h", "w"]}, {"y": None}), "3 channels"),
    "no rank": (graph([("Tanh", ["x"], ["y"])], {"x": None}, {"y": None}), "4 axes"),
    "vector": (graph([("Tanh", ["x"], ["y"])], {"x": [1, 3]}, {"y": None}), "4 axes"),
    "batch": (graph([("Tanh", ["x"], ["y"])], {"x": [4, 3, "h", "w"]}, {"y": None}), "batches of 4"),
    "one side": (graph([("Tanh", ["x"], ["y"])], {"x": [1, 3, 64, "w"]}, {"y": None}), "only one of"),
    "grey out": (graph([("GlobalMaxPool", ["x"], ["y"])], IN, {"y": None}), "3 channels"),
    "whole numbers": (graph([("Abs", ["x"], ["y"])], IN, OUT, kind=TensorProto.INT32), "i32"),
    "foreign operation": (graph([("Brush", ["x"], ["y"])], IN, OUT, domain="org.paint"), "org.paint.Brush"),
    "constant": (graph([("Sub", ["x", "x"], ["y"])], IN, OUT), "range of values cannot be detected"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_an_onnx_model_that_cannot_be_used_is_refused_with_the_reason(name: str) -> None:
    model, said = UNUSABLE[name]
    with pytest.raises(ModelError, match=said) as refused:
        examine(model.SerializeToString(), Declared())
    assert "\n" not in str(refused.value)


def test_weights_in_other_files_are_refused(tmp_path: Path) -> None:
    weight = TensorProto(name="w", data_type=1, dims=[1], data_location=TensorProto.EXTERNAL)
    entry = weight.external_data.add()
    entry.key, entry.value = "location", "/etc/hostname"
    model = graph([("Mul", ["x", "w"], ["y"])], IN, OUT)
    model.graph.initializer.append(weight)
    path = tmp_path / "a.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="other files"):
        examine_file(path, Declared())


class Attack:
    """Unpickled without care, this makes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_that_runs_a_program_is_refused_and_does_not_run_it(tmp_path: Path, legacy: bool) -> None:
    mark, path = tmp_path / "ran", tmp_path / "evil.pth"
    path.write_bytes(torch_bytes({"conv1.conv2d.weight": Attack(mark)}, legacy=legacy))
    with pytest.raises(ModelError, match=r"more than weights \(\w+.system\)"):
        examine_file(path, Declared())
    assert not mark.exists()


def test_weights_of_another_network_are_named() -> None:
    with pytest.raises(ModelError, match=r"unknown fc.weight; missing .* more"):
        convert_state_dict(torch_bytes({"fc.weight": torch.zeros(2)}))
    wide = dict(classic_network().state_dict()) | {"in1.weight": torch.zeros(64)}
    with pytest.raises(ModelError, match=r"in1\.weight"):
        convert_state_dict(torch_bytes(wide))
    for value in (torch.zeros(2), {"epoch": 1}, [1, 2]):
        with pytest.raises(ModelError, match="state_dict"):
            convert_state_dict(torch_bytes(value))


def test_a_small_file_of_huge_tensors_is_refused_before_anything_is_copied() -> None:
    huge = torch.zeros(1).expand(1 << 40)
    state = dict(classic_network().state_dict()) | {"in1.weight": huge}
    with pytest.raises(ModelError, match=r"in1\.weight"):
        convert_state_dict(torch_bytes(state))


def test_an_archive_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(5):
            archive.writestr(f"bomb/data/{i}", bytes(60 << 20))
    assert path.stat().st_size < 1 << 20
    with pytest.raises(ModelError, match="unpacks to 300 MB"):
        convert_state_dict(path.read_bytes())


def test_a_model_that_wants_all_memory_is_one_sentence(tmp_path: Path) -> None:
    side = helper.make_tensor("s", TensorProto.INT64, [2], [300_000, 300_000])
    nodes = [
        ("ConstantOfShape", ["s"], ["z"]),
        ("ReduceMax", ["z"], ["r"]),
        ("Mean", ["x", "r"], ["y"]),
    ]
    model = graph(nodes, IN, OUT)
    model.graph.initializer.append(side)
    path = tmp_path / "a.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError) as refused:
        examine_file(path, Declared())
    assert "\n" not in str(refused.value)


def test_files_that_cannot_be_read_are_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty.onnx").touch()
    for name, said in (("none.onnx", "No such file"), ("empty.onnx", "empty"), (".", "directory")):
        with pytest.raises(ModelError, match=said):
            examine_file(tmp_path / name, Declared())
    monkeypatch.setattr(imported_examine, "MAX_BYTES", 3)
    (tmp_path / "large.onnx").write_bytes(b"abcd")
    with pytest.raises(ModelError, match="larger"):
        examine_file(tmp_path / "large.onnx", Declared())


def test_a_child_that_dies_or_hangs_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.onnx").write_bytes(b"abcd")
    ends = [
        (subprocess.CompletedProcess([], -11, b"", b""), "exit code -11"),
        (subprocess.TimeoutExpired([], 1), "within"),
    ]
    for end, said in ends:

        def run(*_: object, end: object = end, **__: object) -> object:
            if isinstance(end, Exception):
                raise end
            return end

        monkeypatch.setattr(subprocess, "run", run)
        with pytest.raises(ModelError, match=said):
            examine_file(tmp_path / "a.onnx", Declared())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A good file of each format, small where the format allows it."""
    path = tmp_path_factory.mktemp("whole") / "a.onnx"
    state = {"in1.weight": torch.ones(4), "in1.bias": torch.ones(4)}
    return {
        "onnx": save_onnx(Painter("tanh"), path, size=(32, 32), free=False).read_bytes(),
        "zip": torch_bytes(state),
        "pickle": torch_bytes(state, legacy=True),
        "noise": bytes(np.random.default_rng(0).integers(0, 256, 300, np.uint8)),
    }


@pytest.mark.parametrize("kind", ["onnx", "zip", "pickle", "noise"])
@settings(max_examples=40, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    damage=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6
    ),
    keep=st.one_of(st.just(1.0), st.floats(0, 1)),
)
def test_damage_is_understood_or_refused(
    whole: dict[str, bytes], kind: str, damage: list[tuple[float, int]], keep: float
) -> None:
    data = bytearray(whole[kind])
    for place, value in damage:
        data[int(place * len(data))] = value
    with contextlib.suppress(ModelError):
        examined = examine(bytes(data[: round(keep * len(data))]), Declared())
        assert examined.contract.multiple in {1, 2, 4, 8, 16, 32}
