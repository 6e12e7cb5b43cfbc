"""The network of a run, or the imported model in its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from streamstyle.build.compiling import aside
from streamstyle.config import RunConfig
from streamstyle.engines.cache import EngineCache, cache_folder
from streamstyle.engines.gpu import find_gpu
from streamstyle.engines.imported_engine import Contract, ImportedEngine
from streamstyle.engines.open import open_engine
from streamstyle.errors import ConfigError
from streamstyle.explain.adjust import adjuster, parse_adjustments
from streamstyle.nets.cost import multiply_adds
from streamstyle.nets.layout import GeneratorConfig
from streamstyle.styles.bundle import (
    Manifest,
    installed_networks,
    load_bundle,
    load_manifest,
    network_folder,
)
from streamstyle.styles.imported import asked_model, load_imported
from streamstyle.styles.library import model_names
from streamstyle.styles.mix import condition_codes, has_style
from streamstyle.temporal.motion import halvings
from streamstyle.types import Engine

AUTO = "auto"
"""The name that leaves the network to us."""


def _unchangeable(config: RunConfig) -> NDArray[np.float32]:
    raise ConfigError(
        f"what paints here is no network with style codes, so '{config.style}' cannot take its place: start "
        f"another run"
    )


@dataclass(frozen=True)
class Model:
    """The network and the two codes (2, size) that a run uses, before the frame size is known.

    open_stateful: the same with statistics that can be set; None where the model has none. receptive_radius:
    see `GeneratorConfig`. codes_of: the codes that other settings mean on this network. Raises ConfigError,
    ModelError. normalises: is it known to normalise over the frame, and so to answer its mean with nothing?
    plain: the code (size,) that leaves a picture as it is, None where there is none. on_gpu: the same, but
    where the GPU lacks memory for a size it is not left for the processor; None where that is no question.
    """

    open_engine: Callable[[int, int], Engine]
    codes: NDArray[np.float32]
    codes_of: Callable[[RunConfig], NDArray[np.float32]] = _unchangeable
    open_stateful: Callable[[int, int], Engine] | None = None
    receptive_radius: Callable[[], int] = lambda: 0
    normalises: bool = False
    plain: NDArray[np.float32] | None = None
    on_gpu: Model | None = None


def load_model(config: RunConfig, notify: Callable[[str], None] = lambda _: None) -> Model:
    """Load the network and the codes, or the imported model, that `config` asks for. The network `auto` is
    the cheapest here that has the styles: `streamstyle.build.network` knows better once frames are known.

    notify: told that an engine is compiled, and why it cannot be kept. Raises ConfigError, ModelError.
    """
    imported = model_names()
    name = asked_model(config.style, imported)
    if name is not None:
        return _imported_model(name, config, notify)
    if config.region is not None and asked_model(config.region_style, imported):
        raise ConfigError("a region cannot be painted by an imported model; name a style of the network")
    if config.network == AUTO:
        config = replace(config, network=able_networks(config)[0].name)
    bundle = load_bundle(network_folder(config.network))

    def codes_of(settings: RunConfig) -> NDArray[np.float32]:
        inside = None if settings.region is None else settings.region_style
        adjust = None if settings.turn is None else adjuster(bundle, parse_adjustments(settings.turn))
        return condition_codes(bundle, settings.style, inside, settings.strength, adjust)

    codes = codes_of(config)
    architecture, weights = bundle.manifest.architecture, bundle.weights

    def open_for(
        height: int,
        width: int,
        *,
        stateful: bool = config.consistency > 0,
        whole: bool = config.size is None,
        leave_gpu: bool = True,
    ) -> Engine:
        return open_engine(
            config.engine,
            architecture,
            weights,
            height,
            width,
            stateful=stateful,
            masks=config.region is not None,
            # Only of whole frames, since those are judged.
            halvings=halvings(height, width) if whole and config.correct == "repair" else 0,
            precision=config.precision,
            label=config.network,
            notify=notify,
            aside=aside(config, height, width, stateful=stateful),
            leave_gpu=leave_gpu,
        )

    def receptive_radius() -> int:
        return GeneratorConfig.from_json(architecture).receptive_radius

    def painting(*, leave_gpu: bool) -> Model:
        opens = partial(open_for, leave_gpu=leave_gpu)
        stateful = partial(opens, stateful=True, whole=False)
        return Model(
            opens, codes, codes_of, stateful, receptive_radius, normalises=True, plain=bundle.original
        )

    model = painting(leave_gpu=True)
    if config.engine != "auto" or isinstance(find_gpu(), str):
        return model
    return replace(model, on_gpu=painting(leave_gpu=False))


def able_networks(config: RunConfig) -> list[Manifest]:
    """The bundled networks that have the styles that `config` names, those of the fewest multiply-adds first;
    the cheapest of all where none has them. Raises ConfigError, ModelError."""
    manifests = [load_manifest(folder) for folder in installed_networks().values()]
    manifests.sort(key=lambda m: multiply_adds(GeneratorConfig.from_json(m.architecture), 360, 640))
    styles = [config.style, *([] if config.region is None else [config.region_style])]
    able = [manifest for manifest in manifests if all(has_style(manifest, style) for style in styles)]
    return able or manifests[:1]


def _imported_model(name: str, config: RunConfig, notify: Callable[[str], None]) -> Model:
    if config.region is not None:
        raise ConfigError(f"'{name}' is an imported model and cannot paint regions; leave --region out")
    if config.turn is not None:
        raise ConfigError(f"'{name}' is an imported model and cannot be turned; leave --turn out")
    if config.engine not in {"auto", "openvino"}:
        raise ConfigError(f"'{name}' is an imported model and runs on openvino only; leave --engine out")
    if not 0 <= config.strength <= 1:
        raise ConfigError(f"strength must lie in 0..1, not {config.strength:g}")
    imported = load_imported(name)
    contract = Contract.from_json(imported.manifest.contract)

    def open_for(height: int, width: int) -> Engine:
        compiled = aside(config, height, width, stateful=False)
        return ImportedEngine(
            imported.manifest.kind,
            imported.data,
            contract,
            height,
            width,
            config.strength,
            cache=EngineCache(
                cache_folder(), notify, aside=None if compiled is None else partial(compiled, "openvino")
            ),
            label=name,
        )

    return Model(open_for, np.zeros((2, 0), np.float32))
