"""A lab on a tiny random model, and visitors who touch its page without a browser."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from visitors import Visitor

from editlab import methods
from editlab.facts import FactBase
from editlab.lab import Lab, read_scenarios
from editlab.methods._delta import Schedule
from editlab.probes import passages

PRESETS = Path(__file__).resolve().parents[2] / "presets"


@pytest.fixture(scope="session")
def facts() -> FactBase:
    return FactBase.load(PRESETS / "facts")


@pytest.fixture(scope="module")
def lab(tiny_llama, facts) -> Iterator[Lab]:
    lab = Lab(
        tiny_llama,
        facts,
        passages(tiny_llama, PRESETS / "texts", tokens=40),
        read_scenarios(PRESETS / "scenarios"),
        answer_tokens=4,
    )
    yield lab
    lab.close()


@pytest.fixture(scope="session")
def saved_model(tiny_llama, tmp_path_factory) -> Path:
    """The tiny model as a folder, as the terminal loads it."""
    path = tmp_path_factory.mktemp("model")
    tiny_llama.hf.save_pretrained(path)
    tiny_llama.tokenizer.save_pretrained(path)
    return path


@pytest.fixture
def few_steps(monkeypatch) -> None:
    """Edits that take a moment: what they reach does not matter where this is used."""
    real = methods.config_for
    monkeypatch.setattr(methods, "config_for", lambda name, model, /, **given: real(name, model, **{"steps": 2, **given}))


@pytest.fixture
def folder(tiny_llama, tmp_path, monkeypatch) -> Path:
    """Where the model looks for masks: an empty folder."""
    monkeypatch.setattr(tiny_llama, "masks", (tmp_path / "masks",))
    return tmp_path / "masks"


@pytest.fixture
def endless(monkeypatch) -> None:
    """Edits that never reach their aim and would go on for hours."""
    real = Schedule.of
    monkeypatch.setattr(Schedule, "of", lambda config: replace(real(config), steps=10**7, clamp=1e-6))


@pytest.fixture
def visitor(lab, request) -> Visitor:
    """Somebody who has not been here before."""
    return Visitor(lab, request.node.name[:60])
