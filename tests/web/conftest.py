"""A lab on a tiny random model, and visitors who touch its page without a browser."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from compared import Broken, Failing, Waiting
from fastapi import FastAPI
from instant import Instant
from over_the_wire import served
from paths import PRESETS
from visitors import CAPITAL, CONTINENT, TIMEOUT, Visitor

from editlab import methods, probes
from editlab.lab import Lab, read_examples
from editlab.lab.workspaces import edits
from editlab.methods._delta import Schedule
from editlab.probes import Passages, passages
from editlab.web import create_app


@pytest.fixture(scope="module")
def lab(tiny_llama, facts) -> Iterator[Lab]:
    lab = Lab(
        tiny_llama,
        facts,
        passages(tiny_llama, PRESETS / "texts", tokens=40),
        read_examples(PRESETS / "examples"),
        answer_tokens=4,
    )
    yield lab
    lab.close()


@pytest.fixture(autouse=True)
def nothing_shared(request) -> None:
    """Each test computes for itself: what one before it asked is not answered from memory."""
    if "lab" in request.fixturenames:
        request.getfixturevalue("lab").context.shared.clear()


@pytest.fixture(scope="module")
def app(lab) -> FastAPI:
    """The app of a module's lab."""
    return create_app(lab)


@pytest.fixture(scope="module")
def address(app) -> Iterator[str]:
    """Where that app answers."""
    with served(app) as address:
        yield address


@pytest.fixture
def few_steps(monkeypatch) -> None:
    """Edits that take a moment: what they reach does not matter where this is used."""
    real = methods.config_for

    def quick(name, model, /, **given):
        own = methods.METHODS.get(name)
        few = {"steps": 2} if own and "steps" in own.config.__pydantic_fields__ else {}
        return real(name, model, **{**few, **given})

    monkeypatch.setattr(methods, "config_for", quick)


@pytest.fixture
def few_probes(monkeypatch) -> None:
    """A battery of one probe of each kind and domain, for tests that are not about the probes."""
    real = probes.battery
    monkeypatch.setattr(probes, "battery", lambda *given: real(*given[:4], 1))


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


@pytest.fixture
def instant(monkeypatch) -> None:
    """Edits that take no time, and are the same whatever other tests have drawn."""
    monkeypatch.setattr("instant.NUMBERS", count())
    monkeypatch.setattr(methods, "get", lambda name: Instant())


@pytest.fixture
def opened(tiny_llama, facts) -> Iterator[Callable[[Path], Lab]]:
    """`opened(data)` opens a lab on a data folder; it is closed at the end."""
    labs: list[Lab] = []

    def open_lab(data: Path) -> Lab:
        labs.append(Lab(tiny_llama, facts, Passages((), ()), answer_tokens=4, data=data))
        return labs[-1]

    yield open_lab
    for lab in labs:
        lab.close()


@pytest.fixture
def kept(opened, instant, tmp_path) -> Path:
    """A data folder with two workspaces of some events, closed."""
    lab = opened(tmp_path / "data")
    for seed, name in enumerate(("anna", "tom")):  # edits that differ: equal ones would share a file
        workspace = lab.workspace(name)
        first = edits.apply(workspace, CONTINENT, config={"seed": seed}).result(TIMEOUT)
        edits.apply(workspace, CAPITAL, config={"seed": seed}).result(TIMEOUT)
        workspace.switch(first.id, False)
    lab.close()
    return tmp_path / "data"


@pytest.fixture
def forwards(lab) -> Iterator[list[int]]:
    """How many forwards the model has done, as a list that grows."""
    seen: list[int] = []
    handle = lab.model.hf.base_model.register_forward_hook(lambda *_: seen.append(1))
    yield seen
    handle.remove()


@pytest.fixture
def other_methods(monkeypatch) -> None:
    """More methods: "instant"; "second", which is ROME; "failing", "waiting" and "broken"."""
    second = type("Second", (type(methods.get("rome")),), {"name": "second", "title": "Second", "like": "rome"})()
    for method in (Instant(), Failing(), Waiting(), Broken(), second):
        name = "instant" if type(method) is Instant else method.name
        monkeypatch.setitem(methods.METHODS, name, method)
