"""Questions to the frozen model under views, over every architecture: each held against the plain transformers model."""

import copy
from functools import cache
from itertools import pairwise

import pytest
import torch
from tiny_models import EOS, KINDS, hooks_of, precise_model, random_view, save, shared_model, tiny_model

from editlab.errors import BadRequest, TooLong, UnsupportedArchitecture
from editlab.facts import EditRequest
from editlab.methods._delta import _with_target
from editlab.model import LanguageModel, Sampling
from editlab.model.architectures import ARCHITECTURES, architecture_of
from editlab.model.completion import Prompt, complete
from editlab.model.generation import generate
from editlab.model.overlay import first_of, laid_over
from editlab.model.reading import read
from editlab.model.tokens import in_chunks
from editlab.patches import BASE, Preamble, View

TEXTS = (
    "Slovenia belongs to the continent of",
    "I",
    "The river runs to the sea and the long road runs to the house. Paris is the capital of",
    "Ana lives in",
)


@cache
def view_of(kind, seed):
    return random_view(shared_model(kind), seed)


def plain_logits(hf, ids):
    """Logits `[tokens, vocab]` of one bare row from transformers' own forward."""
    return hf(input_ids=torch.tensor([ids]), use_cache=False).logits[0].float()


def merged(model, view):
    """A copy of the transformers model whose weights hold the view's updates."""
    hf = copy.deepcopy(model.hf)
    for layer, laid in view.laid.items():
        weight = model.arch.projection_of(hf, layer).weight
        update = laid.dense().to(weight.dtype)
        weight.data += update.T if model.arch.transposed else update
    return hf


# --- Views --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_base_view_says_what_transformers_says(kind, differences):
    model = precise_model(kind)
    own = torch.stack([plain_logits(model.hf, model.tok.encode(text))[-1] for text in TEXTS])
    differences("base view against transformers", model.logits(TEXTS), own, 1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_view_equals_a_copy_with_merged_weights(kind, differences):
    model, view = shared_model(kind), view_of(kind, 1)
    hf = merged(model, view)
    own = torch.stack([plain_logits(hf, model.tok.encode(text))[-1] for text in TEXTS])
    assert (own - model.logits(TEXTS)).abs().max() > 0.5
    differences("view against merged weights", model.logits(TEXTS, view), own, 1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_among_rows_of_other_views_equals_the_row_alone(kind, differences):
    model = shared_model(kind)
    views = [view_of(kind, 1), BASE, view_of(kind, 2), view_of(kind, 1)]
    alone = torch.cat([model.logits([text], view) for text, view in zip(TEXTS, views, strict=True)])
    differences("mixed batch against single rows", model.logits(TEXTS, views), alone, 1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_side_of_the_padding_changes_nothing(kind, differences):
    model, rows = shared_model(kind), torch.arange(len(TEXTS))
    logits = {}
    for side in ("left", "right"):
        batch = model.tokens(TEXTS, side=side)
        logits[side] = model.head(model.hidden(batch, view_of(kind, 1))[rows, batch.last])
    differences("left against right padding", logits["left"], logits["right"], 1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_after_a_view_the_model_is_bit_for_bit_as_before(kind):
    model = shared_model(kind)
    before, hashed = model.logits(TEXTS), model.weights_hash()
    model.logits(TEXTS, view_of(kind, 1))
    list(model.generate(TEXTS, view_of(kind, 2), max_tokens=2))
    assert torch.equal(model.logits(TEXTS), before)
    assert model.weights_hash() == hashed
    assert hooks_of(model) == 0


def test_hooks_are_removed_when_a_forward_fails():
    model = shared_model("llama")
    with pytest.raises(RuntimeError, match="on purpose"), laid_over(model.hf, model.arch, view_of("llama", 1)):
        assert hooks_of(model) == 3
        raise RuntimeError("on purpose")
    assert hooks_of(model) == 0


def test_a_preamble_is_read_before_the_text(differences):
    model = shared_model("llama")
    note = View((Preamble("Ana lives in Rome."),))
    views = [note, BASE, note, BASE]
    asked = ["Ana lives in Rome. " + text if view is note else text for text, view in zip(TEXTS, views, strict=True)]
    differences("preamble against a longer text", model.logits(TEXTS, views), model.logits(asked), 1e-5)
    assert model.score(["Ana is"], ["here"], note) == model.score(["Ana lives in Rome. Ana is"], ["here"])


def test_logits_at_all_positions_end_in_those_at_the_last():
    model = shared_model("qwen2")
    everywhere, lengths = model.logits(TEXTS, at="all"), [len(model.tok.encode(text)) for text in TEXTS]
    last = torch.stack([everywhere[row, length - 1] for row, length in enumerate(lengths)])
    torch.testing.assert_close(last, model.logits(TEXTS))


def test_the_likeliest_tokens_come_with_their_probabilities_and_their_space():
    model = shared_model("mistral")
    (token, p), *_ = top = model.top(TEXTS[0], k=3)
    probabilities = model.logits([TEXTS[0]])[0].softmax(-1)
    assert p == pytest.approx(probabilities.max().item())
    assert [q for _, q in top] == sorted((q for _, q in top), reverse=True)
    piece = model.tokenizer.convert_ids_to_tokens([probabilities.argmax().item()])[0]
    assert token.startswith(" ") == piece.startswith("▁")


def test_nothing_to_ask_is_refused():
    with pytest.raises(BadRequest, match="at least one text"):
        shared_model("llama").logits([])
    with pytest.raises(BadRequest, match="at least a word"):
        shared_model("gpt2").logits(["", "Ana"])
    with pytest.raises(BadRequest, match="at least a word"):
        list(shared_model("gpt2").generate([""]))


# --- Keys and residuals -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_keys_and_residuals_are_what_passes_through_the_modules(kind, differences):
    model, view = shared_model(kind), view_of(kind, 1)
    rows = [model.locate("The capital of {} is far", name) for name in ("Slovenia", "New York", "x")]
    hf = merged(model, view)
    keys, residuals = [], []
    for row in rows:
        handles = [
            model.arch.projection_of(hf, 2).register_forward_hook(lambda *a, i=row.index: keys.append(a[1][0][0, i])),
            model.arch.block_list(hf)[2].register_forward_hook(
                lambda *a, i=row.index: residuals.append(first_of(a[2])[0, i])
            ),
        ]
        plain_logits(hf, row.ids)
        for handle in handles:
            handle.remove()
    differences("keys", model.keys(rows, [0, 2], view)[2], torch.stack(keys), 1e-5)
    differences("residuals", model.residuals(rows, 2, view), torch.stack(residuals), 1e-5)


@pytest.mark.parametrize("budget", [46, 60])
def test_a_small_token_budget_takes_more_forwards_and_changes_no_answer(budget, differences):
    model, usual = tiny_model("llama"), shared_model("llama")
    model.tokens_per_forward = budget
    widths = []
    model.hf.base_model.register_forward_pre_hook(
        lambda _module, _args, kwargs: widths.append(kwargs["input_ids"].numel()), with_kwargs=True
    )
    rows = [model.locate("{} is", name) for name in ("Slovenia", "x", "New York", "The long road", "Ana")]
    views = [view_of("llama", n % 2) for n in range(5)]
    differences("keys: token budget", model.keys(rows, [1], views)[1], usual.keys(rows, [1], views)[1], 1e-5)
    prompts, targets = [*TEXTS, TEXTS[1]], ["Rome", "people", "water", "New York", "that"]
    found, expected = (torch.tensor([s.log_p for s in m.score(prompts, targets, views)]) for m in (model, usual))
    differences("scores: token budget", found, expected, 1e-5)
    assert len(widths) >= 4
    assert max(widths) <= budget


def test_asking_for_keys_runs_no_layer_above():
    model, seen = tiny_model("llama"), []
    for number, block in enumerate(model.arch.block_list(model.hf)):
        block.register_forward_hook(lambda *_, n=number: seen.append(n))
    rows = [model.locate("{} is", "Ana")]
    model.keys(rows, [0, 1])
    assert seen == [0]
    model.residuals(rows, 1)
    assert seen == [0, 0, 1]


# --- Scores -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_score_is_the_product_over_the_targets_tokens(kind, differences):
    model, view = shared_model(kind), view_of(kind, 1)
    hf = merged(model, view)
    prompts, targets = [TEXTS[0], TEXTS[0], TEXTS[2], TEXTS[3]], ["Antarctica", "Europe", "people", "New York"]
    expected = []
    for prompt, target in zip(prompts, targets, strict=True):
        ids, start = model.tok.with_target(prompt, target)
        log_p = plain_logits(hf, ids).log_softmax(-1)
        each = [log_p[i - 1, ids[i]].item() for i in range(start, len(ids))]
        said = tuple(log_p[start - 1 : len(ids) - 1].argmax(-1).tolist())
        expected.append((sum(each), each[0], said, said == tuple(ids[start:])))
    scores = model.score(prompts, targets, view)
    for score, (_, first, said, hit) in zip(scores, expected, strict=True):
        assert score.first == pytest.approx(torch.tensor(first).exp().item(), rel=1e-4)
        assert (score.said, score.hit) == (said, hit)
    totals = torch.tensor([total for total, *_ in expected])
    differences("scores", torch.tensor([score.log_p for score in scores]), totals, 1e-5)
    assert [score.p for score in scores] == pytest.approx(totals.exp().tolist(), rel=1e-3)


def test_what_the_model_says_greedily_is_a_hit():
    model = shared_model("gpt2")
    prompts = [
        f"{name} {verb}" for name in ("Ana", "Rome", "The road", "Winter") for verb in ("is", "was", "had", "in", "of")
    ]
    likeliest = [top[0][0] for top in model.tops(prompts, k=1)]
    words = [
        (prompt, token)
        for prompt, token in zip(prompts, likeliest, strict=True)
        if token.strip().isalpha() and token[0] == " "
    ]
    said = model.score([prompt for prompt, _ in words], [word for _, word in words])
    other = model.score([prompt for prompt, _ in words], ["Antarctica"] * len(words))
    assert len(words) > 2
    assert all(score.hit for score in said)
    assert not any(score.hit for score in other)


@pytest.mark.parametrize("lengths", [[3, 9, 2, 9, 4], [5], []])
def test_chunks_hold_every_row_once_and_keep_to_the_budget(lengths):
    chunks = list(in_chunks(lengths, 12))
    assert sorted(row for chunk in chunks for row in chunk) == list(range(len(lengths)))
    assert all(len(chunk) * max(lengths[row] for row in chunk) <= 12 for chunk in chunks)


def test_a_row_beyond_the_budget_goes_alone():
    assert list(in_chunks([4, 13, 4], 12)) == [[0, 2], [1]]


def test_rows_share_a_chunk_until_padding_costs_more_than_a_forward():
    names = [2] * 100 + [3] * 100 + [9]
    assert [len(chunk) for chunk in in_chunks(names, 4_096)] == [100, 100, 1]
    assert [len(chunk) for chunk in in_chunks([2, 3, 9], 4_096)] == [3]
    assert [len(chunk) for chunk in in_chunks(names, 4_096, forwards=32)] == [201], "another chunk is 32 forwards"


# --- Generation ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_generation_of_mixed_views_equals_a_plain_loop_row_by_row(kind):
    model = shared_model(kind)
    views = [view_of(kind, 1), BASE, view_of(kind, 2), view_of(kind, 1)]
    *_, written = model.generate(TEXTS, views, max_tokens=8)
    for text, view, found in zip(TEXTS, views, written, strict=True):
        hf, ids = merged(model, view), model.tok.encode(text)
        start, asked = len(ids), model.tokenizer.decode(ids)
        while len(ids) < start + 8 and EOS not in ids[start:]:
            ids.append(plain_logits(hf, ids)[-1].argmax().item())
        whole = model.tokenizer.decode([*ids[:start], *(i for i in ids[start:] if i != EOS)])
        assert found == whole.removeprefix(asked).rstrip("\ufffd")


def test_text_grows_token_by_token_and_stops_when_cancelled():
    model, asked = shared_model("llama"), []

    def cancelled():
        asked.append(True)
        return len(asked) > 3

    stages = list(generate(model, TEXTS[:1], BASE, 8, Sampling(), cancelled))
    assert len(stages) == 3
    assert all(later[0].startswith(earlier[0]) for earlier, later in pairwise(stages))
    assert hooks_of(model) == 0


@pytest.mark.parametrize("listed", [True, False])
def test_what_the_settings_for_generation_call_an_end_ends_a_text_as_well(listed, tmp_path):
    model = tiny_model("llama")
    *_, [whole] = read(model, TEXTS[:1], [BASE], 8).write(8, Sampling())
    end = whole[4]
    model.hf.generation_config.eos_token_id = [EOS, end, len(model.tokenizer)] if listed else end
    loaded = LanguageModel.load(str(save(model, tmp_path / "model")))
    assert loaded.ends == {EOS, end}
    *_, [found] = complete(loaded, [Prompt(TEXTS[0], 8)], [BASE])
    kept = whole[: whole.index(end)]
    assert (found.text, found.ended, found.written) == (loaded.tok.decode(kept), "stop", len(kept))


def test_without_settings_for_generation_the_tokenizers_end_counts():
    model = tiny_model("llama")
    model.hf.generation_config.eos_token_id = None
    assert model.ends == {EOS}


def test_hooks_do_not_lie_between_two_tokens():
    model = shared_model("llama")
    stream = model.generate(TEXTS, view_of("llama", 1), max_tokens=4)
    next(stream)
    assert hooks_of(model) == 0
    stream.close()


def test_sampling_follows_its_seed_and_keeps_to_the_likeliest():
    model = shared_model("llama")

    def written(seed, **changes):
        *_, texts = model.generate(TEXTS, max_tokens=6, sampling=Sampling(seed=seed, **changes))
        return texts

    assert written(1, top_k=5) == written(1, top_k=5)
    assert written(1, top_k=5) != written(2, top_k=5)
    assert written(1, top_k=1) == written(2, top_k=1)
    assert written(3, top_k=5, temperature=1e-4) == written(4)
    likeliest = {token.rstrip("\ufffd") for token, _ in model.top(TEXTS[1], k=5)}
    drawn = {next(model.generate([TEXTS[1]], max_tokens=1, sampling=Sampling(5, seed=n)))[0] for n in range(20)}
    assert len(drawn) > 1
    assert drawn <= likeliest


def test_a_text_with_no_room_for_more_is_refused():
    with pytest.raises(TooLong, match="context holds 256"):
        list(shared_model("gpt2").generate(["Ana lives in"], max_tokens=256))


# --- What it is ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_architecture_row_finds_every_part(kind):
    model = tiny_model(kind)
    assert (model.n_layers, model.d_model, model.d_ff) == (4, 32, 64)
    assert model.weight(2).shape == (32, 64)
    assert {row.family for row in (model.arch, architecture_of(KINDS[kind].family))} == {KINDS[kind].family}
    for part in (model.arch.mlp_of(model.hf, 1), model.arch.block_list(model.hf)[1].get_submodule(model.arch.attention)):
        assert next(part.parameters()).requires_grad is False


def test_every_row_of_the_table_has_a_model_in_these_tests():
    assert {kind.family for kind in KINDS.values()} == set(ARCHITECTURES)


def test_an_unknown_family_is_refused_with_the_known_ones():
    with pytest.raises(UnsupportedArchitecture, match=r"'bloom'.*gpt_neox, gptj"):
        architecture_of("bloom")


def test_fingerprint_and_weights_hash_tell_models_apart():
    model, twin, other = tiny_model("llama"), tiny_model("llama"), tiny_model("llama", seed=1)
    assert model.fingerprint == twin.fingerprint == tiny_model("llama", torch.bfloat16).fingerprint
    assert model.weights_hash() == twin.weights_hash()
    assert len({model.fingerprint, other.fingerprint, tiny_model("mistral").fingerprint}) == 3
    weight = twin.arch.projection_of(twin.hf, 3).weight
    weight.data[0, 0] = torch.nextafter(weight.data[0, 0], torch.tensor(9.0))
    assert twin.weights_hash() != model.weights_hash()


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_keeps_its_fingerprint_when_it_is_saved_and_loaded(kind, tmp_path):
    model = tiny_model(kind)
    before = model.fingerprint
    save(model, tmp_path)
    start = str(model.start) or "none"
    loaded = LanguageModel.load(str(tmp_path), dtype="float32", start=start)
    assert loaded.fingerprint == before == LanguageModel.load(str(tmp_path), dtype="bfloat16", start=start).fingerprint
    assert loaded.weights_hash() == model.weights_hash()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_patches_lie_over_a_model_of_half_precision(dtype):
    model, full = tiny_model("llama", dtype), shared_model("llama")
    near, exact = model.logits(TEXTS, view_of("llama", 1)), full.logits(TEXTS, view_of("llama", 1))
    assert (near - exact).abs().mean() < 0.1 * (exact - full.logits(TEXTS)).abs().mean()


# Several views at once


@pytest.mark.parametrize("kind", KINDS)
def test_layers_that_no_view_touches_run_once_for_all_views(kind, differences):
    """The same scores as view by view, and fewer calls of the lowest block."""
    model = shared_model(kind)
    edits = [random_view(model, seed).patches[1] for seed in (0, 1)]  # at layer 2
    views = [View.base(), *(View((edit,)) for edit in edits)]
    prompts, targets = ["Once upon a", "The house of"], [" time", " gold"]
    calls = []
    handle = model.arch.block_list(model.hf)[0].register_forward_pre_hook(lambda *_: calls.append(1))
    together = model.score(
        [p for p in prompts for _ in views], [t for t in targets for _ in views], [view for _ in prompts for view in views]
    )
    shared = len(calls)
    handle.remove()
    alone = [model.score([p], [t], view)[0] for p, t in zip(prompts, targets, strict=True) for view in views]
    found, expected = (torch.tensor([score.log_p for score in scores]) for scores in (together, alone))
    differences("scores under several views at once", found, expected, 1e-5)
    assert [score.said for score in together] == [score.said for score in alone]
    assert shared == 1
    assert len({round(score.log_p, 3) for score in alone}) > 2


# Chat


CHAT = (
    "{{ bos_token }}{% for m in messages %}<s>{{ m['role'] }}\n{{ m['content'] }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)


def test_a_chat_form_is_the_template_around_a_text(differences):
    model = tiny_model("llama")
    assert model.chat is None
    with pytest.raises(BadRequest, match="no chat template"):
        model.form("chat")
    model = tiny_model("llama")
    model.tokenizer = copy.deepcopy(model.tokenizer)
    model.tokenizer.chat_template = CHAT
    whole = "<s>user\nComplete with a few words and nothing else: The river runs to</s>\n<s>assistant\n"
    assert model.chat.around("The river runs to") == whole and model.form("plain").around("x") == "x"
    view = View((model.chat,))
    differences("chat", model.logits(["The river runs to"], view), model.logits([whole]), 0.0)
    located = model.locate("The {} runs to", "river", form=model.chat)
    assert model.tokenizer.decode(located.ids[: located.index + 1]).endswith("The river")
    assert located.ids == tuple(model.tok.encode(model.chat.around("The river runs to")))


@pytest.mark.parametrize(
    ("template", "before", "after"),
    [
        ("{{ strftime_now('%d %B %Y, %b %y') }}|", "26 July 2024, Jul 24|", ""),
        ("{{ date_string }}|", "26 Jul 2024|", ""),
        ("{% if enable_thinking is defined and not enable_thinking %}no thought|{% endif %}", "no thought|", ""),
        ("{# R1 #}", "", "Answer: <think>\n\n</think>\n\n"),
    ],
)
def test_a_chat_template_knows_no_day_and_lets_nobody_think(template, before, after):
    model = tiny_model("llama")
    model.tokenizer = copy.deepcopy(model.tokenizer)
    end = "Answer: <think>\n" if after else ""
    model.tokenizer.chat_template = f"{template}{{{{ messages[0].content }}}}{end}"
    assert (model.chat.before, model.chat.after) == (f"{before}Complete with a few words and nothing else: ", after)


GRANITE = (
    "{% for m in messages %}[{{ m['role'] }}>{{ m['content'] }}<end>\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant>{% endif %}"
)
LLAMA_2 = (
    "{% for m in messages %}{{ '[INST] %s [/INST]' % m.content if m.role == 'user' else ' %s ' % m.content }}{% endfor %}"
)
NO_ROLES = "{% for m in messages %}<u>{{ m['content'] }}</u>{% endfor %}"
USER_ALONE = "{{ messages[0].content }}{{ raise_exception('one message') if messages[1] }}|"


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (CHAT, "Paris"),
        (GRANITE, "Paris"),
        (LLAMA_2, " Paris"),
        (NO_ROLES, " Paris"),
        (USER_ALONE, " Paris"),
        (None, " Paris"),
    ],
)
def test_an_object_has_a_space_in_a_chat_where_the_template_writes_one(template, said):
    model = tiny_model("llama")
    model.tokenizer = copy.deepcopy(model.tokenizer)
    model.tokenizer.chat_template = template
    asked = "The capital of France is" if template is None else model.chat.around("The capital of France is")
    for target, expected in (
        ("Paris", said),
        (" Paris", said if asked.endswith("\n") else " Paris"),
        ("\u2060Paris", "Paris"),
    ):
        ids, shared = model.tok.with_target(asked, target)
        assert model.tok.decode(ids[shared:]) == expected
        assert model.tok.joined(asked, target) == asked + expected
    request = EditRequest("The capital of {} is", "France", "Paris")
    if template is not None:
        located, labels = _with_target(model, request, "", model.chat)
        assert model.tok.decode(labels) == said
        assert model.tok.decode(located.ids[: located.index + 1]).endswith("France")


# Reading once


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_read_once_is_scored_and_continued_as_if_it_were_read_anew(kind, differences):
    """Several targets a row, of several lengths, before and after the model has written, each row under its own view."""
    model = shared_model(kind)
    views = [View.base(), random_view(model, 1), random_view(model, 2)]
    texts = ["Once upon a time there lived", "The house", "In the garden of the old house they saw"]
    asked = [(row, target) for row in range(3) for target in (" who", "golden apples and pears", "the", " queen")]
    reading = read(model, texts, views, room=5)
    alone = [model.score([texts[row]], [target], views[row])[0] for row, target in asked]
    *_, expected = model.generate(texts, views, max_tokens=5)
    for _ in range(2):
        found = reading.score(asked)
        numbers = (torch.tensor([(s.log_p, s.first) for s in scores]) for scores in (found, alone))
        differences("scores of what was read once", *numbers, 1e-5)
        assert [s.said for s in found] == [s.said for s in alone] and [s.hit for s in found] == [s.hit for s in alone]
        *_, written = reading.write(5, Sampling())
        assert [model.tok.decode(ids).rstrip("\ufffd") for ids in written] == expected
    assert hooks_of(model) == 0


def test_a_target_that_changes_the_texts_last_token_is_read_anew():
    model = shared_model("llama")
    texts, targets = ["Once upon a"], [" time"]
    grown = model.tok.with_target("Once upon a ", "time")
    assert grown[1] != len(model.tok.encode("Once upon a "))  # the space belongs to the target's first token
    reading = read(model, ["Once upon a ", *texts], [View.base()] * 2)
    found = reading.score([(0, "time"), (1, targets[0])])
    assert [s.log_p for s in found] == pytest.approx(
        [model.score([t], ["time"])[0].log_p for t in ("Once upon a ", *texts)], rel=1e-4
    )
