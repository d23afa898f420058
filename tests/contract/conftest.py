"""Every method with every architecture: a tiny model with key statistics, and settings under which its edit can succeed."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from tiny_models import KINDS, TEXTS, tiny_model

from editlab import methods
from editlab.model import LanguageModel, measuring

LAYERS = (1, 2)
QUICK = {"layers": LAYERS[:1], "steps": 15}
LOUD = {**QUICK, "clamp": 20.0, "kl": 0.0}
SPREAD = {**LOUD, "layers": LAYERS}
SETTINGS = {
    "rome": LOUD,
    "r_rome": LOUD,
    "p_rome": LOUD,
    "emmet": LOUD,
    "wilke": SPREAD,
    "memit": {**SPREAD, "preserved": 1.0},
    "pmet": {**SPREAD, "preserved": 1.0},
    "alphaedit": {**SPREAD, "energy": 0.3},
    "ultraedit": {"layers": LAYERS, "learning_rate": 0.05},
    "kn": {"steps": 10, "add": 20.0},
    "ft_l": {**QUICK, "learning_rate": 0.02, "norm_constraint": 1.0},
    "ft_m": {**QUICK, "learning_rate": 0.02},
    "locft_bf": {"layers": LAYERS[:1], "learning_rate": 0.02, "epochs": 15},
    "told": {},
    "ike": {"demonstrations": 2},
    "note": {},
}
"""Settings with which a tiny random model can be edited, where a method needs other ones than `QUICK`."""


@dataclass(frozen=True)
class Bench:
    """A method, a model for it and its settings."""

    method: methods.Method
    model: LanguageModel
    config: Any


@pytest.fixture(scope="session")
def model_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], LanguageModel]:
    """The random model of a kind, built once, with the statistics of its keys."""

    @cache
    def build(kind: str) -> LanguageModel:
        model, folder = tiny_model(kind), tmp_path_factory.mktemp(kind)
        model.statistics = (folder,)
        text = (TEXTS / "chapter1.txt").read_text(encoding="utf-8")
        measuring.collect(model, LAYERS, text, tokens=1500, folder=folder)
        return model

    return build


@pytest.fixture
def bench(request: pytest.FixtureRequest, model_of: Callable[[str], LanguageModel]) -> Bench:
    """A pair of method and architecture; parametrised below."""
    name, kind = request.param
    method, model = methods.get(name), model_of(kind)
    return Bench(method, model, methods.config_for(name, model, **SETTINGS.get(name, QUICK)))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Gives `bench` every pair; where what is tested knows only patches, of the methods in a module's METHODS."""
    if "bench" in metafunc.fixturenames:
        names = getattr(metafunc.module, "METHODS", methods.METHODS)
        pairs = [(name, kind) for kind in KINDS for name in names]
        metafunc.parametrize("bench", pairs, ids=["-".join(pair) for pair in pairs], indirect=True)
