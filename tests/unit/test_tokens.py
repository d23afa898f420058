"""Where subjects stand and which ids targets have, over tokenizers of every kind that real models come with."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import BOS, EOS, tokenizer_of
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from editlab.errors import BadRequest, TooLong
from editlab.facts.script import joined
from editlab.model.tokens import Tokens, pad

TOKENIZERS = ["byte", "byte_bos", "metaspace"]
words = st.text(st.sampled_from("abcdeSlovn é漢😀'-.,"), min_size=1, max_size=12)


def tokens_of(kind, context=256):
    return Tokens(tokenizer_of(kind), context)


def from_merges(*tokens, merges=(), **parts):
    """A BPE of exactly these tokens. Letters beyond them are dropped, as a tokenizer without an unknown token does."""
    tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, list(merges)))
    for name, part in parts.items():
        setattr(tokenizer, name, part)
    return Tokens(PreTrainedTokenizerFast(tokenizer_object=tokenizer), 64)


# --- Padding ------------------------------------------------------------------------------------------------------------


@given(rows=st.lists(st.lists(st.integers(3, 9), min_size=1, max_size=6), min_size=1, max_size=4))
@pytest.mark.parametrize("side", ["left", "right"])
def test_padded_rows_keep_their_ids_and_positions_on_either_side(side, rows):
    batch = pad(rows, 0, side)
    for number, row in enumerate(rows):
        own = batch.mask[number]
        assert batch.ids[number][own].tolist() == row
        assert batch.positions[number][own].tolist() == list(range(len(row)))
        assert batch.ids[number][~own].eq(0).all()
        assert batch.ids[number, batch.starts[number]] == row[0]
        assert batch.ids[number, batch.last[number]] == row[-1]


@pytest.mark.parametrize("rows", [[], [[]], [[1, 2], []]])
def test_a_row_without_a_token_is_refused(rows):
    with pytest.raises(BadRequest, match="Write at least a word"):
        pad(rows, 0)


# --- Targets ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize("target", ["French", " French", "New York", "漢字"])
def test_target_ids_are_exactly_those_that_follow_the_prompt(kind, target):
    tok = tokens_of(kind)
    ids, start = tok.with_target("The mother tongue of Ana is", target)
    assert ids[:start] == tok.encode("The mother tongue of Ana is")
    assert tok.decode(ids[start:]) == " " + target.strip()


def test_a_sentencepiece_target_has_no_lone_space_in_front():
    tok = tokens_of("metaspace")
    ids, start = tok.with_target("Ana lives with", "people")
    assert tok.tokenizer.convert_ids_to_tokens(ids[start:]) == ["▁people"]
    alone = tok.tokenizer(" people", add_special_tokens=False)["input_ids"]
    assert tok.tokenizer.convert_ids_to_tokens(alone) == ["▁", "▁people"]


def test_a_target_that_merges_with_the_prompts_last_token_takes_that_token_along():
    tok = from_merges("a", "b", " ", "a ", "a b", merges=[("a", " "), ("a ", "b")])
    assert tok.with_target("ba", "b") == ([tok.encode("b")[0], tok.encode("a b")[0]], 1)


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize("space", [" ", "\n", "\t"])
def test_a_prompt_that_ends_in_white_space_gets_no_second_space(kind, space):
    tok = tokens_of(kind)
    assert joined(f"Ana lives in{space}", " Rome") == f"Ana lives in{space}Rome"
    ids, start = tok.with_target(f"Ana lives in{space}", "Rome")
    assert tok.decode(ids[start:]).strip() == "Rome"
    assert ids == tok.encode(f"Ana lives in{space}Rome")


def test_a_target_without_a_token_is_refused():
    tok = from_merges("a", "b", "ab", merges=[("a", "b")])
    with pytest.raises(BadRequest, match="adds no token"):
        tok.with_target("ab", "漢")


def test_a_prompt_without_a_token_is_refused():
    with pytest.raises(BadRequest, match="Write a prompt"):
        tokens_of("byte").with_target("", "Rome")
    assert tokens_of("byte_bos").with_target("", "Rome")[1] == 1


# --- Subjects -----------------------------------------------------------------------------------------------------------


@given(before=words, subject=words, after=words)
@pytest.mark.parametrize("kind", ["byte", "byte_bos"])
def test_the_located_token_is_the_first_that_completes_the_subject(kind, before, subject, after):
    tok = tokens_of(kind)
    text = before + subject + after
    located = tok.locate(text, len(before), len(before) + len(subject))
    said = [tok.tokenizer.decode(located.ids[: n + 1], skip_special_tokens=True) for n in range(len(located.ids))]
    complete = [n for n, text_so_far in enumerate(said) if text_so_far.startswith(before + subject)]
    assert located.index == complete[0]
    assert list(located.ids) == tok.encode(text)


@pytest.mark.parametrize("kind", TOKENIZERS)
@pytest.mark.parametrize("subject", ["Slovenia", "New York", "Ljubljana", "Émile Zola", "漢字", "The long road", "x"])
@pytest.mark.parametrize("prompt", ["{} is in", "The capital of {} is", "The end: {}", '"{}" is by', "{}'s sea", "{}"])
def test_the_located_token_ends_the_subject(kind, subject, prompt):
    tok = tokens_of(kind)
    head, _, tail = prompt.partition("{}")
    located = tok.locate(head + subject + tail, len(head), len(head) + len(subject))
    until = tok.tokenizer.decode(located.ids[: located.index + 1], skip_special_tokens=True)
    short = tok.tokenizer.decode(located.ids[: located.index], skip_special_tokens=True)
    assert until.startswith(head + subject)
    assert not short.startswith(head + subject)


def test_a_token_that_merges_the_subjects_end_with_what_follows_is_the_located_one():
    tok = from_merges("a", "b", "'", "b'", merges=[("b", "'")])
    located = tok.locate("aab'a", 1, 3)
    assert [tok.tokenizer.decode([i]) for i in located.ids] == ["a", "a", "b'", "a"]
    assert located.index == 2


def test_a_subject_whose_end_the_tokenizer_drops_is_refused():
    tok = from_merges("a", "b", normalizer=normalizers.Replace("漢", ""))
    with pytest.raises(BadRequest, match="cannot place 'a漢'"):
        tok.locate("ba漢b", 1, 3)


# --- Texts --------------------------------------------------------------------------------------------------------------


def test_texts_beyond_the_context_are_refused():
    tok = tokens_of("byte_bos", context=8)
    assert len(tok.encode("漢漢a")) == 8
    for ask in (lambda: tok.encode("漢漢漢"), lambda: tok.locate("漢漢漢", 0, 1), lambda: tok.with_target("漢漢", "Rome")):
        with pytest.raises(TooLong, match="context holds 8"):
            ask()


def with_end_token():
    backend = Tokenizer(models.BPE({"<s>": 0, "</s>": 1, "a": 2, "b": 3}, []))
    backend.add_special_tokens(["<s>", "</s>"])
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", BOS), ("</s>", EOS)]
    )
    return Tokens(PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>"), 64)


def test_an_end_token_that_the_tokenizer_adds_is_left_away():
    tok = with_end_token()
    assert tok.encode("ab") == [0, 2, 3]
    assert tok.locate("ab", 1, 2).ids == (0, 2, 3)
    assert tok.with_target("a", "b") == ([0, 2, 3], 2)


@pytest.mark.parametrize("kind", TOKENIZERS)
@given(text=words)
def test_decoding_continues_a_text_without_losing_its_space(kind, text):
    tok = tokens_of(kind)
    whole, head = tok.encode("It is " + text), tok.encode("It is")
    shared = next((n for n, (a, b) in enumerate(zip(whole, head, strict=False)) if a != b), len(head))
    assert tok.decode(whole[shared:]) == (tok.decode(head[shared:]) + " " + text)


@pytest.mark.parametrize("kind", TOKENIZERS)
@given(text=words)
def test_the_bytes_of_all_tokens_are_the_texts(kind, text):
    tok = tokens_of(kind)
    ids = tok.tokenizer("It is " + text, add_special_tokens=False)["input_ids"]
    assert b"".join(tok.spelled(i) for i in ids).decode().strip() == ("It is " + text).strip()


def test_a_byte_that_is_no_letter_is_itself():
    tok = from_merges("<0xE6>", "<0xBC>", "<0xA2>", "a", decoder=decoders.ByteFallback())
    assert b"".join(tok.spelled(i) for i in range(4)).decode() == "漢a"


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_chips_show_spaces_and_no_special_token(kind):
    assert "".join(tokens_of(kind).chips("Ana lives in Rome")).lstrip("␣") == "Ana␣lives␣in␣Rome"


def test_a_batch_is_filled_with_the_tokenizers_own_filler():
    batch = tokens_of("byte").pad([[5], [6, 7]])
    assert batch.ids[0, 1] == tokenizer_of("byte").pad_token_id
    assert batch.ids.dtype == torch.long
    bare = from_merges("a", decoder=decoders.ByteLevel(), pre_tokenizer=pre_tokenizers.ByteLevel())
    assert bare.filler == 0
