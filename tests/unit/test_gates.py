"""Gates at every token, and the curve over all thresholds: the same as asking each threshold anew."""

import pandas as pd
import pytest
import torch
from tiny_models import hooks_of, shared_model

from editlab.errors import Cancelled
from editlab.facts import EditCase, EditRequest, Expectation
from editlab.patches import BASE, LowRank, Pathway, Preamble, View
from editlab.probes import Passages, Probe, ask, battery, gates, gates_of, scores, sweep
from editlab.probes.gates import gates_at

REQUEST = EditRequest("{} belongs to the continent of", "Slovenia", "Antarctica", "Europe")
PROSE = Passages(("The old garden lay behind the mill.",) * 2, ("Nobody had seen the river so low.",) * 2)
CASE = EditCase(
    REQUEST,
    "one",
    rephrases=("the Republic of Slovenia", "Slovenija"),
    neighbours=(Expectation("France belongs to the continent of", None, "France"), Expectation("Bananas grow in", "Asia")),
)


def pathway(model, layer: int, subject: str, seed: int) -> Pathway:
    """A random one, whose gates lie everywhere between 0 and 1."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    f = model.d_ff
    return Pathway(
        layer, subject, normal(f, 2), 0.3 * normal(2, f), normal(f), normal(8, f), normal(8), 2 * normal(8), normal(1)[0]
    )


def robust(model, *layers: int) -> View:
    generator = torch.Generator().manual_seed(5)
    A, B = torch.randn(1, model.d_ff, generator=generator), torch.randn(model.d_model, 1, generator=generator)
    pathways = [pathway(model, layer, name, 10 * layer + n) for layer in layers for n, name in enumerate(("Slovenia", "X"))]
    return View((LowRank(layers[0], A, B), *pathways), 0.6)


@pytest.mark.parametrize("layers", [(1,), (1, 2)], ids=["one layer", "two layers"])
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_the_curve_is_what_asking_at_each_threshold_gives(kind, layers):
    model, view = shared_model(kind), robust(shared_model(kind), *layers)
    probes = battery(model, CASE, PROSE)
    thresholds = (0.1, 0.5, 0.9, 0.95, 1.0)
    found = sweep(model, REQUEST, probes, view, thresholds)
    naive = []
    for threshold in thresholds:
        views = {"base": BASE, "rep": view.with_threshold(threshold)}
        naive.append({"threshold": threshold, **scores(ask(model, REQUEST, probes, views, answers=False), "rep")})
    pd.testing.assert_frame_equal(found.drop(columns="firing"), pd.DataFrame(naive), check_exact=True, check_like=True)
    firing = found["firing"].tolist()
    assert firing == sorted(firing, reverse=True) and firing[0] > 0 and firing[-1] == 0


def test_the_curve_takes_aliases_and_questions_of_which_one_suffices_as_asking_does():
    """At one of two wordings, what the view says at the lowest threshold is an alias of what is expected."""
    model, view = shared_model("llama"), robust(shared_model("llama"), 1)
    thresholds, texts = (0.1, 0.5, 0.9, 1.0), ("Slovenia lies in", "The river of Slovenia is")
    *_, said = model.generate(texts[:1], view.with_threshold(0.1), 3)
    probes = [
        Probe("propagation", "", texts[0], "Antarctica", "", aliases=("Rome", said[0].strip()), any_of="case"),
        Probe("propagation", "", texts[1], "Antarctica", "", any_of="case"),
        Probe("propagation", "", texts[1], "Asia", "", aliases=("Asia", "Rome")),
        Probe("locality", "", texts[0], None, "", aliases=("Rome",)),
    ]
    found = sweep(model, REQUEST, probes, view, thresholds)
    naive = []
    for threshold in thresholds:
        frame = ask(model, REQUEST, probes, {"base": BASE, "rep": view.with_threshold(threshold)}, answers=False)
        naive.append({"threshold": threshold, **scores(frame, "rep")})
    pd.testing.assert_frame_equal(found.drop(columns="firing"), pd.DataFrame(naive), check_exact=True, check_like=True)
    assert set(found["propagation"]) == {0.5, 0.0} and len(found.attrs["largest"]) == len(probes)


def test_the_curve_is_of_what_is_asked_behind_a_told_text():
    """The gate knows the key of "Slovenia" at a text's beginning: only what is told before a probe names it."""
    model, f = shared_model("llama"), shared_model("llama").d_ff
    key = model.keys([model.locate("{} belongs to", "Slovenia")], [1])[1][0]
    value = torch.randn(f, generator=torch.Generator().manual_seed(0))
    reads = (key / (key @ key))[None], torch.tensor([-0.7]), torch.tensor([60.0]), torch.tensor(-9.7)
    own = Pathway(1, "Slovenia", torch.zeros(f, 1), torch.zeros(1, f), 30 * value, *reads)
    view = View((own, Preamble("Slovenia belongs to the continent of Antarctica.")), 0.9)
    probes = [Probe("locality", "", text, None, "") for text in ("France lies on", "Bananas grow in", "Kelsen died in")]
    found = sweep(model, REQUEST, probes, view, (0.3, 0.5, 1.0))
    largest = [own.max().item() for own in gates_of(model, [probe.text for probe in probes], view)]
    assert min(largest) > 0.5 and found.attrs["largest"] == pytest.approx(largest, abs=1e-5)
    assert found["firing"].tolist() == [3, 3, 0]


def test_the_curve_ends_in_the_edit_without_its_pathway():
    model, view = shared_model("llama"), robust(shared_model("llama"), 1)
    probes = battery(model, CASE, PROSE)
    last = sweep(model, REQUEST, probes, view).iloc[-1]
    views = {"base": BASE, "edited": View(view.patches[:1])}
    plain = scores(ask(model, REQUEST, probes, views, answers=False), "edited")
    assert last["threshold"] == 1 and {name: last[name] for name in plain} == plain


def test_a_curve_that_nobody_waits_for_ends():
    model = shared_model("llama")
    with pytest.raises(Cancelled):
        sweep(model, REQUEST, battery(model, CASE, PROSE), robust(model, 1), cancel=lambda: True)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_every_token_has_its_largest_gate_and_whose_it_is(kind):
    model = shared_model(kind)
    view, text = robust(model, 1), "Slovenia belongs to the continent of Europe"
    frame = gates(model, text, view)
    assert "".join(frame["token"]).replace("␣", " ").strip() == text
    assert frame["gate"].between(0, 1).all() and 0 < frame["fires"].sum() < len(frame)
    assert (frame["fires"] == (frame["gate"] > view.threshold)).all()
    own = [p for p in view.pathways if p.layer == 1]
    ids = model.tok.encode(text)
    for place, row in enumerate(frame.to_dict("records"), start=len(ids) - len(frame)):
        located = type(model.locate("{} is", "Slovenia"))(tuple(ids), place)
        key = model.keys([located], [1])[1][0]
        each = {p.subject: p.gate(key).item() for p in own}
        assert row["gate"] == pytest.approx(max(each.values()), abs=1e-6)
        assert row["subject"] == max(each, key=each.get)


def test_gates_above_are_read_from_keys_that_the_pathways_below_have_moved():
    model = shared_model("llama")
    both, upper = robust(model, 1, 2), robust(model, 1, 2)
    upper = View(tuple(p for p in upper.patches if not (isinstance(p, Pathway) and p.layer == 1)), upper.threshold)
    ids = model.tok.encode("Slovenia belongs to the continent of")
    (through,), (past,) = (gates_at(model, [ids], 2, [view]) for view in (both, upper))
    assert not torch.allclose(through, past, atol=1e-3)


def test_without_a_pathway_no_gate_opens_and_no_hook_stays():
    model = shared_model("llama")
    frame = gates(model, "Slovenia belongs", BASE)
    assert len(frame) > 1 and not frame["fires"].any() and (frame["gate"] == 0).all()
    gates(model, "Slovenia belongs", robust(model, 1))
    assert hooks_of(model) == 0
