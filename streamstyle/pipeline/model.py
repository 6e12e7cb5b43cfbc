"""The network of a run, or the imported model in its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from streamstyle.config import RunConfig
from streamstyle.engines.gpu import find_gpu
from streamstyle.engines.imported_engine import Contract, ImportedOpener
from streamstyle.engines.open_engine import NetworkOpener
from streamstyle.engines.request import EngineCompiler, EngineOpener, EngineRequest, NetworkWeights
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
        f"this run paints with an imported model, which cannot change to '{config.style}': start another run"
    )


@dataclass(frozen=True)
class Model:
    """The network of a run and its two codes, before the frame size is known."""

    opener: EngineOpener
    """Opens its engines, at every size."""
    codes: NDArray[np.float32]
    """(2, size): outside and inside a region."""
    codes_of: Callable[[RunConfig], NDArray[np.float32]] = _unchangeable
    """The codes that other settings mean on this network. Raises ConfigError, ModelError."""
    asked: EngineRequest = EngineRequest(0, 0)
    """The request for the engine of the settings, without its size."""
    analysed: bool = False
    """Whole frames are painted and then judged, so that engines on a device give small copies of them."""
    normalises: bool = False
    """True if it normalises over the frame, so that a change of the frame's mean changes nothing."""
    plain: NDArray[np.float32] | None = None
    """The code (size,) that does not change a picture; None if there is none."""
    gpu_first: bool = False
    """True if a GPU may be chosen, which then tries tiles before memory runs out."""

    @property
    def network(self) -> NetworkWeights | None:
        """The bundled network; None for other painters."""
        return self.asked.network

    def request(self, height: int, width: int) -> EngineRequest:
        """The request for an engine for frames of this size."""
        times = halvings(height, width) if self.analysed else 0
        return replace(self.asked, height=height, width=width, halvings=times)

    def open_engine(self, height: int, width: int, *, compiler: EngineCompiler | None = None) -> Engine:
        """An engine for frames of this size, without wrappers. Raises the errors of `EngineOpener.open`."""
        return self.opener.open(replace(self.request(height, width), compiler=compiler))


def load_model(config: RunConfig, notify: Callable[[str], None] = lambda _: None) -> Model:
    """Load the network and the codes, or the imported model, of `config`.

    Here the network `auto` is the cheapest one that has the styles: `streamstyle.pipeline.network` chooses
    when the frames are known. notify: called when an engine is compiled, and with the reason if it cannot be
    cached. Raises ConfigError, ModelError.
    """
    imported = model_names()
    name = asked_model(config.style, imported)
    if name is not None:
        return _imported_model(name, config, notify)
    if config.region is not None and asked_model(config.region_style, imported):
        raise ConfigError("a region cannot be painted by an imported model; name a style of the network")
    if config.network == AUTO:
        config = replace(config, network=networks_with_styles(config)[0].name)
    bundle = load_bundle(network_folder(config.network))

    def codes_of(settings: RunConfig) -> NDArray[np.float32]:
        inside = None if settings.region is None else settings.region_style
        adjust = None if settings.turn is None else adjuster(bundle, parse_adjustments(settings.turn))
        return condition_codes(bundle, settings.style, inside, settings.strength, adjust)

    network = NetworkWeights(bundle.manifest.architecture, bundle.weights, config.network)
    asked = EngineRequest(
        0,
        0,
        network,
        engine=config.engine,
        precision=config.precision,
        stateful=config.consistency > 0,
        masks=config.region is not None,
        notify=notify,
    )
    return Model(
        NetworkOpener(),
        codes_of(config),
        codes_of,
        asked,
        analysed=config.size is None and config.correct == "repair",
        normalises=True,
        plain=bundle.original,
        gpu_first=config.engine == "auto" and not isinstance(find_gpu(), str),
    )


def bundled_network(name: str) -> NetworkWeights:
    """A bundled network. Raises ConfigError, ModelError."""
    bundle = load_bundle(network_folder(name))
    return NetworkWeights(bundle.manifest.architecture, bundle.weights, name)


def imported_opener(name: str, strength: float) -> ImportedOpener:
    """The opener of an imported model. Raises ModelError."""
    model = load_imported(name)
    contract = Contract.from_json(model.manifest.contract)
    return ImportedOpener(name, model.manifest.kind, model.data, contract, strength)


def networks_with_styles(config: RunConfig) -> list[Manifest]:
    """The bundled networks that have the styles that `config` names, ordered by multiply-adds; only the
    cheapest of all if none has them. Raises ConfigError, ModelError."""
    manifests = [load_manifest(folder) for folder in installed_networks().values()]
    manifests.sort(key=lambda m: multiply_adds(GeneratorConfig.from_json(m.architecture), 360, 640))
    styles = [config.style, *([] if config.region is None else [config.region_style])]
    able = [manifest for manifest in manifests if all(has_style(manifest, style) for style in styles)]
    return able or manifests[:1]


def _imported_model(name: str, config: RunConfig, notify: Callable[[str], None]) -> Model:
    if config.region is not None:
        raise ConfigError(f"'{name}' is an imported model and cannot paint regions; leave --region out")
    if config.turn is not None:
        raise ConfigError(f"'{name}' is an imported model, which --turn cannot change; leave --turn out")
    if config.engine not in {"auto", "openvino"}:
        raise ConfigError(f"'{name}' is an imported model and runs on openvino only; leave --engine out")
    if not 0 <= config.strength <= 1:
        raise ConfigError(f"strength must lie in 0..1, not {config.strength:g}")
    return Model(
        imported_opener(name, config.strength),
        np.zeros((2, 0), np.float32),
        asked=EngineRequest(0, 0, notify=notify),
    )
