"""Results of `bench engine` and `bench pipeline`, as Markdown that a terminal can show too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

RUNS = ("null sink", "film to film", "correct off")
_LAYERS = 12
_VECTORS = ("avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16", "amx_tile", "asimd", "bf16", "i8mm")


def machine_line(machine: Mapping[str, Any]) -> str:
    """The machine in one sentence."""
    said = set(machine["instructions"].split())
    vectors = " ".join(name for name in _VECTORS if name in said) or "unknown vector instructions"
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    return f"{machine['processor']}, {machine['cores']} cores ({vectors}), {machine['system']}; {versions}."


def engine_report(document: Mapping[str, Any]) -> str:
    """Report of `bench engine`: a table for each size, the skipped engines, and the linearity of the cost."""
    lines = [machine_line(document["machine"]), ""]
    for size, found in document["sizes"].items():
        rows = [
            (
                _engine_name(name, values["spec"]),
                *_figures(values),
            )
            for name, values in sorted(found["engines"].items(), key=lambda item: -item[1]["fps"])
        ]
        lines += [f"The network alone at {size}", "", *table(("engine", *_FIGURES), rows), ""]
        lines += [f"- not measured: {name}: {why}" for name, why in found["skipped"].items()]
    lines.append(linear_line(document["linear"]))
    if "layers" in document:
        lines += ["", *layer_lines(document["layers"])]
    return "\n".join(lines)


def pipeline_report(document: Mapping[str, Any]) -> str:
    """Report of `bench pipeline`: for each size the stages alone, the runs with their bounds, and the stages
    in the run."""
    lines = [machine_line(document["machine"]), ""]
    for size, found in document["sizes"].items():
        stages = ("decode", "engine", "judge", "write")
        peers = [name for name in found if name.startswith("peer:") or name == "half size"]
        lines += [f"Each stage alone at {size}", ""]
        lines += [*table(("stage", *_FIGURES), [(name, *_figures(found[name])) for name in stages]), ""]
        lines += [f"Runs at {size}", ""]
        rows = [
            (name, *_figures(found[name]), _one(found[name]["bound"]["fps"]), _percent(found[name]))
            for name in RUNS
        ]
        rows += [(name, *_figures(found[name]), "", "") for name in peers]
        lines += [*table(("run", *_FIGURES, "bound", "of it"), rows), ""]
        lines += [f"- {name}: bound by {found[name]['bound']['by']}" for name in RUNS]
        lines += [f"- {_ratio(found, name)}" for name in peers]
        lines += [f"- not measured: {name}: {why}" for name, why in found["skipped"].items()]
        lines += ["", *in_the_run(size, found["film to film"]), ""]
    lines.append(linear_line(document["linear"]))
    if "start" in document:
        lines += ["", start_line(document["start"])]
    if "long" in document:
        lines += ["", long_line(document["long"])]
    return "\n".join(lines)


def layer_lines(layers: Sequence[Mapping[str, Any]]) -> list[str]:
    """The network's time in OpenVINO: by kind of layer, and of the slowest layers."""
    kinds: dict[str, float] = {}
    for layer in layers:
        kinds[layer["kind"]] = kinds.get(layer["kind"], 0.0) + layer["share"]
    told = ", ".join(f"{kind} {share:.0%}" for kind, share in sorted(kinds.items(), key=lambda k: -k[1]))
    rows = [
        (
            layer["name"],
            layer["kind"],
            layer["kernel"],
            f"{layer['milliseconds']:.2f}",
            f"{layer['share']:.1%}",
        )
        for layer in layers[:_LAYERS]
    ]
    head = ("layer", "kind", "kernel", "ms", "share")
    return ["Where the network's time goes, on one processor", "", *table(head, rows), "", f"In all: {told}."]


def in_the_run(size: str, run: Mapping[str, Any]) -> list[str]:
    """Busy times of the stages and how full the queues were, while all of them ran."""
    columns = list(dict.fromkeys(name for stage in run["stages"].values() for name in stage))
    rows = [
        (_bare(name), *(_one(stage[c]) if c in stage else "" for c in columns))
        for name, stage in run["stages"].items()
    ]
    lines = [f"Stages within film to film at {size}", "", *table(("stage", *columns), rows)]
    queues = ", ".join(
        f"before {'process' if name == 'process' else 'write'} {queue['mean']:.1f} of {queue['capacity']}"
        for name, queue in run["queues"].items()
    )
    return [*lines, "", f"Frames waiting, on average: {queues}."] if queues else lines


def linear_line(linear: Mapping[str, Any]) -> str:
    """A line on the difference between the cost and one that grows with the pixels."""
    rates = ", ".join(f"{size} {rate:.1f}" for size, rate in linear["megapixels_per_second"].items())
    return f"Megapixels a second: {rates}; at most {linear['spread']:.0%} from their mean."


def start_line(found: Mapping[str, float]) -> str:
    """Whole processes."""
    return (
        f"From the command to its end: --help {found['help_seconds']:.2f} s; one frame "
        f"{found['kept_seconds']:.1f} s with a kept engine, "
        f"{found['compiling_seconds']:.1f} s where it is compiled."
    )


def long_line(found: Mapping[str, Any]) -> str:
    """Memory over a long run."""
    return (
        f"Resident memory over {found['frames']} frames at {found['size']}: {found['early_mib']:.0f} MiB "
        f"early, {found['late_mib']:.0f} MiB late, {found['bytes_per_frame']:+.0f} bytes a frame."
    )


_FIGURES = ("fps", "CPU ms", "p50 ms", "p95 ms", "p99 ms", "peak MiB")
_KEYS = ("fps", "cpu_ms", "p50_ms", "p95_ms", "p99_ms", "peak_mib")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table whose columns line up."""
    cells = [list(head), *(list(row) for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |" for row in cells]
    return [lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:]]


def _figures(values: Mapping[str, float]) -> list[str]:
    return [_one(values[key]) for key in _KEYS]


def _one(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _percent(run: Mapping[str, Any]) -> str:
    return f"{run['efficiency']:.0%}"


def _ratio(found: Mapping[str, Any], peer: str) -> str:
    return f"film to film is {found['film to film']['fps'] / found[peer]['fps']:.1f} times {peer}"


def _engine_name(name: str, spec: Mapping[str, Any]) -> str:
    plan = f", {spec['plan']}" if spec.get("plan") else ""
    return f"{name}: {spec['name']} {spec['precision']}{plan}"


def _bare(name: str) -> str:
    """`write` of `write /tmp/x.mp4`, without the bench's temporary path."""
    return name.split(" ", 1)[0]
