"""What the keys around an edit are, held against the same figures worked out in the plainest way."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from tiny_models import TEXTS, hooks_of, shared_model, tiny_model

from editlab import insight, probes
from editlab.errors import BadFile, BadRequest, Cancelled
from editlab.facts import EditRequest
from editlab.insight import Site
from editlab.insight.discussion import RIDGE, weights
from editlab.insight.lemma import _ends
from editlab.insight.similarity import components, forms, random_keys
from editlab.insight.site import locate_subject
from editlab.model import measuring, statistics
from editlab.model.tokens import Located
from editlab.patches import BASE, Dense, LowRank, Pathway, Preamble, View
from editlab.probes import Passages, Probe

LAYER = 1
REQUEST = EditRequest("{} belongs to the continent of", "Slovenia", "Antarctica", "Europe")
PROSE = (TEXTS / "chapter1.txt").read_text(encoding="utf-8")
PASSAGES = Passages((PROSE[:600],), (PROSE[600:1200],))
PROBES = (
    Probe("success", "", REQUEST.text, "Antarctica", "Slovenia"),
    Probe(
        "rephrase", "in", "The Republic of Slovenia belongs to the continent of", "Antarctica", "The Republic of Slovenia"
    ),
    Probe("rephrase", "out", "Slovenija belongs to the continent of", "Antarctica", "Slovenija"),
    Probe("shuffle", "in", "ia Sloven belongs to the continent of", "Antarctica", "ia Sloven"),
    Probe("long", "in", f"{PROSE[:200]} {REQUEST.text}", "Antarctica", "Slovenia"),
    Probe("locality", "", "France belongs to the continent of", "Europe", "France"),
    Probe("locality", "", "Nobody is named here", "Europe"),
    Probe("same_subject", "", "Slovenia has its capital in", "Ljubljana", "Slovenia"),
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    model, folder = tiny_model("llama"), tmp_path_factory.mktemp("statistics")
    model.statistics = (folder,)
    measuring.collect(model, [LAYER], PROSE, 900, folder)
    return model


@pytest.fixture(scope="module")
def plain_model():
    return shared_model("llama")


def rank_one(model, strength=3.0, whitened=True, seed=0):
    """An edit as ROME makes it, with a random value: whitened where the model has statistics."""
    at = model.locate(REQUEST.prompt, REQUEST.subject)
    key = model.keys([at], [LAYER])[LAYER][0]
    C = statistics.find(model, LAYER)
    u = C.whiten(key[None])[0] if C is not None and whitened else key
    u = u / u.norm()
    value = torch.randn(model.d_model, generator=torch.Generator().manual_seed(seed))
    return LowRank(LAYER, u[None], (strength * value / (u @ key))[:, None])


def closed_form(site, gate=20.0):
    """The pathway that brings every key's share to 1, with a gate that is always open (or, below 0, always shut)."""
    u, key = site.patches[0].A[0], site.key
    zeros = torch.zeros(1, len(key))
    down = (-u / (u @ key))[None]
    return Pathway(LAYER, "Slovenia", key[:, None], down, key, zeros, zeros[:, 0], zeros[:, 0], torch.tensor(gate))


@pytest.fixture(scope="module")
def site(model):
    return Site.on(model, REQUEST, [rank_one(model)])


@pytest.fixture(scope="module")
def robust(site):
    return Site.on(site.model, REQUEST, site.patches, None, [closed_form(site)])


def keys_at(model, probe, view=BASE):
    return model.keys([locate_subject(model, probe.text, probe.subject)], [LAYER], view)[LAYER][0]


# --- the site -------------------------------------------------------------------------------------------------------


def test_similarity_is_the_whitened_product_as_a_share_of_the_edit_keys_own(site, differences):
    C = statistics.find(site.model, LAYER).regular.double()
    keys = torch.stack([keys_at(site.model, probe) for probe in PROBES[:6]])
    own = keys[0].double()
    expected = keys.double() @ torch.linalg.inv(C) @ own / (own @ torch.linalg.inv(C) @ own)
    differences("whitened similarity", site.similarity(keys), expected, 1e-4)
    assert site.similarity(keys)[0].item() == pytest.approx(1, abs=1e-5)


def test_without_statistics_similarity_is_the_plain_product(plain_model, differences):
    site = Site.on(plain_model, REQUEST, [rank_one(plain_model)])
    keys = torch.stack([keys_at(plain_model, probe) for probe in PROBES[:6]])
    assert site.statistics is None
    differences("plain similarity", site.similarity(keys), keys @ keys[0] / (keys[0] @ keys[0]), 1e-5)


def test_the_share_of_a_rank_one_edit_is_what_its_reading_row_says(plain_model, differences):
    generator = torch.Generator().manual_seed(5)
    u = torch.randn(1, plain_model.d_ff, generator=generator)
    site = Site.on(plain_model, REQUEST, [LowRank(LAYER, u, torch.randn(plain_model.d_model, 1, generator=generator))])
    keys = torch.stack([keys_at(plain_model, probe) for probe in PROBES[:6]])
    differences("share", site.share(keys), (keys @ u[0]) / (u[0] @ keys[0]), 1e-4)


def test_the_share_is_the_same_however_the_edit_is_stored(site):
    (patch,) = site.patches
    keys = torch.stack([keys_at(site.model, probe) for probe in PROBES[:6]])
    halves = [LowRank(LAYER, patch.A, patch.B / 2)] * 2
    for same in ([Dense(LAYER, patch.dense())], halves):
        assert torch.allclose(Site.on(site.model, REQUEST, same).share(keys), site.share(keys), atol=1e-4)


def test_a_whitened_rank_one_edit_is_heard_as_far_as_a_key_is_like_its_own(site):
    keys = torch.stack([keys_at(site.model, probe) for probe in PROBES[:6]])
    assert torch.allclose(site.share(keys), site.similarity(keys), atol=1e-3)


def test_an_edit_over_several_layers_is_looked_at_in_its_lowest(plain_model):
    above = LowRank(LAYER + 1, torch.ones(1, plain_model.d_ff), torch.ones(plain_model.d_model, 1))
    site = Site.on(plain_model, REQUEST, [above, rank_one(plain_model)])
    assert site.layer == LAYER


def test_what_changes_no_layer_has_no_key_to_look_at(plain_model):
    with pytest.raises(BadRequest, match="no key hears"):
        Site.on(plain_model, REQUEST, [Preamble("Slovenia lies in Antarctica.")])


def test_an_edit_of_nothing_has_no_share(plain_model):
    nothing = LowRank(LAYER, torch.ones(1, plain_model.d_ff), torch.zeros(plain_model.d_model, 1))
    with pytest.raises(BadRequest, match="adds nothing"):
        Site.on(plain_model, REQUEST, [nothing]).share(torch.ones(1, plain_model.d_ff))


def test_keys_everywhere_are_the_keys_at_each_token(model):
    rows = [model.tok.encode(text) for text in (PROSE[:90], PROSE[100:400])]
    found = {}
    for chunk, keys in model.keys_everywhere(rows, LAYER):
        found |= dict(zip(chunk, keys.split([len(rows[n]) for n in chunk]), strict=True))
    for ids, keys in zip(rows, [found[0], found[1]], strict=True):
        at = [Located(tuple(ids), n) for n in range(len(ids))]
        assert torch.allclose(model.keys(at, [LAYER])[LAYER], keys.float(), atol=1e-4)
    assert hooks_of(model) == 0


# --- similarity -----------------------------------------------------------------------------------------------------


def test_every_form_has_a_row_and_what_names_no_subject_has_none(site):
    found = insight.similarity(site, PROBES, PASSAGES)
    frame = found.frame
    assert frame["kind"].value_counts().to_dict() == {
        "random": 200, "rephrase": 2, "success": 1, "shuffle": 1, "long": 1, "locality": 1,
    }  # fmt: skip
    assert found.whitened and found.layer == LAYER
    assert frame["after"].isna().all() and frame["before"].notna().all()
    assert frame.loc[frame["kind"] == "success", "before"].item() == pytest.approx(1, abs=1e-4)
    for form, before in zip(forms(site, PROBES), frame["before"], strict=False):
        assert before == pytest.approx(site.similarity(site.keys([form.at])).item(), abs=1e-4)


def test_an_open_pathway_gives_every_key_the_whole_share_and_a_shut_one_changes_nothing(site, robust):
    rows = [form.at for form in forms(site, PROBES)]
    assert torch.allclose(robust.share(robust.keys(rows, robust.robust)), torch.ones(len(rows)), atol=1e-3)
    after = insight.similarity(robust, PROBES, PASSAGES).frame["after"]
    assert after.to_numpy() == pytest.approx(1, abs=1e-2)
    shut = insight.similarity(Site.on(site.model, REQUEST, site.patches, None, [closed_form(site, -20.0)]), PROBES, PASSAGES)
    assert shut.frame["after"].to_numpy() == pytest.approx(shut.frame["before"].to_numpy(), abs=1e-5)


def test_a_pathway_at_another_layer_leaves_random_keys_as_they_are(site):
    elsewhere = replace(closed_form(site), layer=LAYER + 1)
    other = Site.on(site.model, REQUEST, site.patches, None, [elsewhere])
    keys, _ = random_keys(site, PASSAGES, most=5)
    assert torch.equal(other.moved(keys), keys)


def test_random_keys_are_drawn_with_the_seed_and_never_at_a_special_token(site):
    keys, words = random_keys(site, PASSAGES, seed=3, most=20)
    again, same = random_keys(site, PASSAGES, seed=3, most=20)
    assert torch.equal(keys, again) and words == same and all(words)
    bos = site.model.keys([Located((site.model.tokenizer.bos_token_id,), 0)], [LAYER])[LAYER]
    assert ((keys - bos).norm(dim=1) > 1e-3).all()


def test_principal_components_are_those_of_the_whitened_keys(differences):
    generator = torch.Generator().manual_seed(1)
    keys, root = torch.randn(9, 6, generator=generator).double(), torch.randn(6, 6, generator=generator).double()
    C = root @ root.T + torch.eye(6)
    white = torch.linalg.solve_triangular(torch.linalg.cholesky(C), keys.T, upper=False).T
    white = white - white.mean(0)
    _, sizes, directions = torch.linalg.svd(white, full_matrices=False)
    points, variance = components(keys, torch.linalg.solve(C, keys.T).T)
    differences("components", points.abs(), (white @ directions[:2].T).abs(), 1e-5)
    assert variance == pytest.approx((sizes[:2] ** 2 / (sizes**2).sum()).tolist(), rel=1e-6)
    assert (points.gather(0, points.abs().argmax(0)[None]) > 0).all()


def test_a_single_key_has_no_components():
    points, variance = components(torch.ones(1, 4), torch.ones(1, 4))
    assert points.tolist() == [[0.0, 0.0]] and variance == (0.0, 0.0)


def test_similarity_stops_when_it_is_told(site):
    with pytest.raises(Cancelled):
        insight.similarity(site, PROBES, PASSAGES, cancel=lambda: True)


# --- prefixes -------------------------------------------------------------------------------------------------------


def last(scans):
    *_, scan = scans
    return scan


def test_a_scan_finds_the_places_that_looking_at_every_token_finds(site):
    """The edit is written for another key as well, so that what receives most of it is not what is most similar."""
    (patch,) = site.patches
    elsewhere = torch.randn(patch.A.shape, generator=torch.Generator().manual_seed(3))
    site = Site.on(site.model, REQUEST, [replace(patch, A=patch.A + elsewhere * patch.A.norm() / elsewhere.norm())])
    text, window = PROSE[:1500], 32
    scan = last(insight.prefixes(site, text, most=5, window=window))
    model = site.model
    encoding = model.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    opening = model.tok.encode("")
    size, best = window - len(opening), {}
    for start in range(0, len(encoding["input_ids"]), size):
        ids = [*opening, *encoding["input_ids"][start : start + size]]
        for at in range(len(opening), len(ids)):
            key = model.keys([Located(tuple(ids), at)], [LAYER], site.edited)[LAYER]
            stop = encoding["offset_mapping"][start + at - len(opening)][1]
            words = " ".join(text[:stop].casefold().split()[-3:])
            own = site.share(key).item(), site.similarity(key).item()
            best[words] = max(best.get(words, (-math.inf, 0.0)), own)
    expected = sorted(best.values(), reverse=True)[:5]
    assert scan.frame[["share", "similarity"]].to_numpy() == pytest.approx(np.array(expected), abs=1e-4)
    assert scan.tokens == len(encoding["input_ids"]) and scan.fraction == 1.0
    assert not scan.frame["similarity"].is_monotonic_decreasing
    assert not scan.frame["mentions"].any() and scan.rate > 0


def test_places_that_mention_the_subject_are_kept_apart(site):
    text = f"{PROSE[:500]} We drove to Slovenia in May. {PROSE[500:900]}"
    frame = last(insight.prefixes(site, text)).frame
    mentioned = frame[frame["mentions"]]
    assert len(mentioned)
    for prefix in mentioned["prefix"]:
        assert "Sloven" in prefix or "Slovenia".startswith(prefix.split()[-1])
    assert not frame[~frame["mentions"]]["prefix"].str.contains("Sloven").any()
    assert frame[~frame["mentions"]]["share"].is_monotonic_decreasing


def test_a_text_of_the_subject_alone_has_no_unrelated_place(site):
    frame = last(insight.prefixes(site, "Slovenia")).frame
    assert len(frame) and frame["mentions"].all()


def test_a_scan_tells_how_far_it_is_and_can_be_stopped(site, monkeypatch):
    monkeypatch.setitem(insight.prefixes.__globals__, "BLOCK", 300)
    fractions = [scan.fraction for scan in insight.prefixes(site, PROSE[:1200])]
    assert len(fractions) >= 3 and fractions == sorted(fractions) and fractions[-1] == 1.0
    stop = iter([False, True])
    with pytest.raises(Cancelled):
        list(insight.prefixes(site, PROSE[:1200], cancel=lambda: next(stop)))


@pytest.mark.parametrize("text", ["", " \n "])
def test_a_text_without_a_word_is_refused(site, text):
    with pytest.raises(BadFile, match="empty"):
        next(insight.prefixes(site, text))


# --- values ---------------------------------------------------------------------------------------------------------


def test_values_are_as_long_as_what_the_projection_gives(site):
    frame = insight.values(site, PROBES, PASSAGES)
    W = site.model.weight(LAYER)
    for form, row in zip(forms(site, PROBES), frame.itertuples(), strict=False):
        key = site.keys([form.at])[0]
        assert row.before * frame.attrs["median"] == pytest.approx((W @ key).norm().item(), rel=1e-4)
        edited = W @ key + site.patches[0].dense() @ key
        assert row.after * frame.attrs["median"] == pytest.approx(edited.norm().item(), rel=1e-4)
    assert frame["rep"].isna().all()
    assert frame.loc[frame["kind"] == "random", "before"].median() == pytest.approx(1)


def test_an_open_pathway_makes_every_form_answer_with_the_whole_edit(site, robust):
    frame = insight.values(robust, PROBES, PASSAGES)
    W = site.model.weight(LAYER)
    for form, row in zip(forms(site, PROBES), frame.itertuples(), strict=False):
        moved = robust.keys([form.at], robust.robust)[0]
        assert row.rep * frame.attrs["median"] == pytest.approx((W @ moved + site.delta).norm().item(), rel=1e-3)


def test_other_edits_of_the_chain_count_as_what_was_there_before(site):
    other = rank_one(site.model, seed=9)
    chain = Site.on(site.model, REQUEST, site.patches, View((other, *site.patches)))
    frame = insight.values(chain, PROBES, PASSAGES)
    key = site.key
    before = site.model.weight(LAYER) @ key + other.dense() @ key
    assert frame["before"][0] * frame.attrs["median"] == pytest.approx(before.norm().item(), rel=1e-4)


# --- discussion -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stored(site, facts):
    return insight.stored_keys(site, facts, "continent", ["France"], most=40)


def test_stored_keys_hold_the_subject_and_its_neighbours_and_count_what_begins_alike(site, facts, stored):
    assert {"Slovenia", "France"} <= set(stored.subjects)
    told = {fact.subject: len(own) for fact in facts.facts for own in [facts.by_subject[fact.subject]]}
    place = stored.subjects.index("Slovenia")
    assert 0 < stored.also[place] < told["Slovenia"]
    assert len(set(map(tuple, stored.keys.tolist()))) == len(stored.sentences)


def test_voices_and_remainder_make_one_and_the_edit_has_its_exact_share(site, stored):
    frame = insight.discussion(site, PROBES[1].text, stored, ["The Republic of Slovenia"])
    assert frame[frame["kind"] != "edit"]["loudness"].sum() == pytest.approx(1, abs=1e-5)
    key = keys_at(site.model, PROBES[1])
    assert frame["kind"].iloc[0] == "edit" and frame["kind"].iloc[-1] == "remainder"
    assert frame["loudness"].iloc[0] == pytest.approx(site.share(key[None]).item(), abs=1e-4)
    assert frame.attrs["at"] == "The Republic of Slovenia" and frame.attrs["before"] is None


def test_the_weights_solve_least_squares_with_a_ridge_in_the_whitened_metric(site, stored):
    key = keys_at(site.model, PROBES[2])
    found, _ = weights(site, key, stored.keys)
    L = torch.linalg.cholesky(site.statistics.regular.double())
    K = torch.linalg.solve_triangular(L, stored.keys.double().T, upper=False)
    k = torch.linalg.solve_triangular(L, key.double()[:, None], upper=False)
    ridge = RIDGE * K.square().sum(0).mean()
    stacked = torch.cat([K, ridge.sqrt() * torch.eye(K.shape[1]).double()])
    expected = torch.linalg.lstsq(stacked, torch.cat([k, torch.zeros(K.shape[1], 1).double()])).solution[:, 0]
    assert torch.allclose(found.double(), expected, atol=1e-3 * expected.abs().max().item())


def test_a_known_fact_speaks_loudest_for_itself(site, stored):
    frame = insight.discussion(site, "France belongs to the continent of", stored)
    loudest = frame[frame["kind"] == "stored"].iloc[0]
    assert loudest["voice"].startswith("France") and loudest["loudness"] > 0.8


def test_a_question_that_names_nobody_is_read_where_the_edit_is_loudest(site, stored):
    text = "We went by train"
    frame = insight.discussion(site, text, stored)
    (_, keys), *_ = site.model.keys_everywhere([site.model.tok.encode(text)], LAYER)
    assert abs(frame["loudness"].iloc[0]) == pytest.approx(site.share(keys[1:].float()).abs().max().item(), abs=1e-4)


def test_under_a_pathway_the_edit_speaks_as_it_leaves_the_gate(robust, stored):
    frame = insight.discussion(robust, PROBES[2].text, stored, ["Slovenija"])
    assert frame["loudness"].iloc[0] == pytest.approx(1, abs=1e-3)
    assert frame.attrs["before"] == pytest.approx(robust.share(keys_at(robust.model, PROBES[2])[None]).item(), abs=1e-4)


# --- bounds ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def strong(model):
    """An edit that makes the model say its new object, found by random search: a value along its unembedding."""
    patch = rank_one(model)
    embedding = model.hf.get_output_embeddings().weight
    ids, start = model.tok.with_target(REQUEST.text, " a")
    value = 400 * embedding[ids[start]].float()
    key = model.keys([model.locate(REQUEST.prompt, REQUEST.subject)], [LAYER])[LAYER][0]
    return LowRank(LAYER, patch.A, (value / (patch.A[0] @ key))[:, None])


@pytest.fixture(scope="module")
def said(model, strong):
    """A request whose new object is what the strong edit makes the model say, and what it said before."""
    view = View((strong,))
    now, before = (model.tops([REQUEST.text], v, 1)[0][0][0].strip() for v in (view, BASE))
    assert now and before and now != before
    return EditRequest(REQUEST.prompt, REQUEST.subject, now, before)


def test_the_lead_is_taken_at_the_least_strength_at_which_the_model_says_the_new_object(model, strong, said):
    required, curve = insight.taking_the_lead(Site.on(model, said, [strong]))
    hits = [
        model.score([said.text], [said.target_new], View((LowRank(LAYER, strong.A, s * strong.B),)))[0].hit
        for s in curve["strength"]
    ]
    assert 0 < required <= 1 and curve["leads"].tolist() == hits
    assert required == curve["strength"][hits.index(True)]
    assert curve["p_true"].iloc[0] == pytest.approx(model.score([said.text], [said.target_true])[0].p, rel=1e-3)


def test_an_edit_that_never_leads_requires_more_than_there_is(model):
    weak = rank_one(model, strength=0.0001)
    request = replace(REQUEST, target_new=" ".join(["Antarctica"] * 3), target_true=None)
    required, curve = insight.taking_the_lead(Site.on(model, request, [weak]))
    assert required == math.inf and curve["p_true"].isna().all()


def asked(model, request, views):
    own = tuple(replace(p, expected=request.target_new) if p.expected == "Antarctica" else p for p in PROBES)
    return own, probes.ask(model, request, own, views, answers=False)


def test_each_probe_is_predicted_from_its_share_alone(model, strong, said):
    own, frame = asked(model, said, {"base": BASE, "edited": View((strong,))})
    table = insight.agreement(model, said, [strong], own, frame)
    assert table["kind"].tolist() == ["rephrase", "rephrase", "shuffle", "long", "locality"]
    site = Site.on(model, said, [strong])
    by_text = {probe.text: (probe, row) for probe, (_, row) in zip(own, frame.iterrows(), strict=True)}
    for row in table.itertuples():
        probe, told = by_text[row.text]
        heard = site.share(keys_at(model, probe)[None]).item()
        assert row.share == pytest.approx(heard, abs=1e-4)
        if row.kind == "locality":
            assert row.expected == ("move" if heard >= row.required else "stay")
            assert row.happened == ("stay" if told["edited.same"] == 1 else "move")
        else:
            assert row.expected == ("hold" if heard >= row.required else "fail")
            assert row.happened == ("hold" if told["edited.hit"] else "fail")
        assert row.agree == (row.expected == row.happened)
    many = pd.concat([table, insight.agreement(model, said, [strong], own, frame)])
    assert insight.summary(many)["probes"] == 2 * len(table)


def test_with_pathways_the_share_behind_the_gate_predicts_what_the_robust_view_says(model, strong, said):
    site = Site.on(model, said, [strong])
    pathway = closed_form(site)
    own, frame = asked(model, said, {"base": BASE, "edited": site.edited, "rep": View((strong, pathway))})
    table = insight.agreement(model, said, [strong], own, frame, [pathway])
    assert table["share"].to_numpy() == pytest.approx(1, abs=1e-3)
    assert set(table[table["kind"] != "locality"]["expected"]) == {"hold"}
    with pytest.raises(BadRequest, match="view"):
        insight.agreement(model, said, [strong], own, frame.drop(columns=["rep.hit"]), [pathway])


def test_agreement_stands_beside_the_best_fixed_answer():
    rows = (
        [("rephrase", "hold", True)] * 3
        + [("long", "fail", False)]
        + [("locality", "stay", True), ("locality", "move", False)]
    )
    table = pd.DataFrame(rows, columns=["kind", "happened", "agree"])
    told = insight.summary(table)
    assert told == {"probes": 6, "agreement": pytest.approx(4 / 6), "majority": pytest.approx((3 + 1) / 6)}
    assert math.isnan(insight.summary(table.iloc[:0])["agreement"])


def test_the_lemma_is_the_product_of_the_named_layers_weights(model, strong, said):
    site = Site.on(model, said, [strong])
    theory = insight.lemma(site)
    assert hooks_of(model) == 0
    hf, at = model.hf, model.locate(said.prompt, said.subject)
    attention, norm = hf.model.layers[theory.layer].self_attn, hf.model.layers[theory.layer].input_layernorm
    eps = norm.variance_epsilon
    row = Located((*at.ids[: at.index + 1],), at.index)
    arriving = model.residuals([row], theory.layer - 1)[0]
    scaled = norm.weight * site.delta / (arriving.square().mean() + eps).sqrt()
    value = (attention.v_proj.weight @ scaled).view(2, -1).repeat_interleave(2, 0).flatten()
    carried = attention.o_proj.weight @ value
    last = []
    handle = hf.model.norm.register_forward_pre_hook(lambda _module, inputs: last.append(inputs[0][0, -1]))
    logits = hf(torch.tensor([model.tok.encode(said.text)])).logits[0, -1]
    handle.remove()
    new, old = (
        ids[start] for ids, start in (model.tok.with_target(said.text, t) for t in (said.target_new, said.target_true))
    )
    E = hf.get_output_embeddings().weight
    pull = hf.model.norm.weight * (E[new] - E[old]) / (last[0].square().mean() + eps).sqrt()
    assert theory.layer > LAYER
    assert theory.loudness == pytest.approx((pull @ carried).item(), rel=1e-3)
    assert theory.gap == pytest.approx((logits[old] - logits[new]).item(), rel=1e-3)
    assert theory.needed == pytest.approx(theory.gap + math.log(9))


def test_the_lemmas_own_prediction_stands_beside_the_measured_one(model, strong, said):
    own, frame = asked(model, said, {"base": BASE, "edited": View((strong,))})
    table = insight.agreement(model, said, [strong], own, frame)
    theory = table.attrs["lemma"]
    rephrase = table.iloc[0]
    new, old = (
        ids[at] for ids, at in (model.tok.with_target(rephrase.text, t) for t in (said.target_new, said.target_true))
    )
    logits = model.logits([rephrase.text])[0]
    scale = _ends(Site.on(model, said, [strong]), [rephrase.text], BASE).scales[0]
    embedding = model.hf.get_output_embeddings().weight
    pull = model.hf.model.norm.weight * (embedding[new] - embedding[old])
    needed = (logits[old] - logits[new] + math.log(9)) * scale / (pull @ theory.carried)
    assert rephrase.lemma_required == pytest.approx(needed.item() if needed > 0 else math.inf, rel=1e-3)
    assert set(table["lemma_expected"]) <= {"hold", "fail", "stay", "move"}


@pytest.mark.parametrize(
    ("kind", "changes", "why"),
    [
        ("gpt2", {}, "built otherwise"),
        ("llama", {"target_true": None}, "true object"),
        ("llama", {"target_true": "Antarctic"}, "same token"),
    ],
)
def test_where_the_lemma_says_nothing_it_says_why(kind, changes, why):
    model = shared_model(kind)
    site = Site.on(model, replace(REQUEST, **changes), [rank_one(model)])
    assert why in insight.lemma(site)


def test_nothing_lies_above_the_last_layer(plain_model):
    last = replace(rank_one(plain_model), layer=plain_model.n_layers - 1)
    assert "no attention layer" in insight.lemma(Site.on(plain_model, REQUEST, [last]))


@pytest.mark.parametrize("kind", ["gpt2", "gptj", "gpt_neox", "gemma2", "phi3", "mistral_window", "qwen3"])
def test_every_picture_can_be_made_for_every_family(kind, facts):
    model = shared_model(kind)
    site = Site.on(model, REQUEST, [rank_one(model)])
    assert insight.similarity(site, PROBES, PASSAGES).frame["before"].notna().all()
    assert insight.values(site, PROBES, PASSAGES)["after"].notna().all()
    assert len(last(insight.prefixes(site, PROSE[:400])).frame)
    stored = insight.stored_keys(site, facts, None, (), most=20)
    assert len(insight.discussion(site, REQUEST.text, stored)) >= 3
    own, frame = asked(model, REQUEST, {"base": BASE, "edited": site.edited})
    assert len(insight.agreement(model, REQUEST, site.patches, own, frame)) == 5
    assert hooks_of(model) == 0
