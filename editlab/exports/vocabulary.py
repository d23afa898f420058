"""A tokenizer as GGUF files hold it: pieces, kinds, merges or scores, and how llama.cpp splits a text before it merges."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from gguf import GGUFWriter, TokenType
from transformers import PreTrainedTokenizerBase

from editlab.errors import BadRequest

BYTE = re.compile(r"<0x[0-9A-Fa-f]{2}>")
_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_TEKKEN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|"
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|"
    r"\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPLITS = {
    ("ByteLevel",): "gpt-2",
    ("Digits", "ByteLevel"): "smollm",
    (_WORDS % "{1,3}",): "dbrx",
    (_WORDS % "{1,3}", "whole words first"): "llama-bpe",
    (_WORDS % "",): "qwen2",
    (_TEKKEN, "whole words first"): "tekken",
}
"""What llama.cpp calls the ways to split a text, by what tokenizer.json says of them."""
LEAST_SCORE = -1e4


def write(tokenizer: PreTrainedTokenizerBase, rows: int, writer: GGUFWriter) -> None:
    """Add a tokenizer to a file whose embedding has so many rows. Raises `BadRequest` for one that llama.cpp lacks."""
    told = json.loads(tokenizer.backend_tokenizer.to_str())
    model = told["model"]
    pieces = {id_: piece for piece, id_ in tokenizer.get_vocab().items()}
    added = tokenizer.added_tokens_decoder
    kinds = [_kind(pieces.get(id_), added.get(id_), id_ == tokenizer.unk_token_id) for id_ in range(rows)]
    spelt = [_spelt(pieces.get(id_, f"[PAD{id_}]"), kind) for id_, kind in enumerate(kinds)]
    if model["type"] == "BPE" and model.get("byte_fallback"):
        ranks: dict[str, int] = {}
        for rank, merge in enumerate(model["merges"]):
            ranks.setdefault("".join(merge.split(" ") if isinstance(merge, str) else merge), rank)
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_token_scores([float(-ranks[piece]) if piece in ranks else LEAST_SCORE for piece in spelt])
        writer.add_add_space_prefix(_prepends(told))
    elif model["type"] == "BPE" and (split := SPLITS.get(_splits(told))):
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(split)
        writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]])
    else:
        raise BadRequest(
            "This tokenizer splits texts in a way for which no name in GGUF files is known here. Export a checkpoint and "
            "convert it with llama.cpp (convert_hf_to_gguf.py)."
        )
    writer.add_token_list(spelt)
    writer.add_token_types(kinds)
    _write_special(tokenizer, writer)


def _write_special(tokenizer: PreTrainedTokenizerBase, writer: GGUFWriter) -> None:
    """Add the tokens that begin and end a text, whether they are added by themselves, and the chat template."""
    names = {
        "bos": tokenizer.bos_token_id,
        "eos": tokenizer.eos_token_id,
        "unknown": tokenizer.unk_token_id,
        "padding": tokenizer.pad_token_id,
    }
    for name, id_ in names.items():
        if id_ is not None:
            writer.add_uint32(f"tokenizer.ggml.{name}_token_id", id_)
    ids = tokenizer("a")["input_ids"]
    writer.add_add_bos_token(ids[0] == tokenizer.bos_token_id)
    writer.add_add_eos_token(ids[-1] == tokenizer.eos_token_id)
    template = tokenizer.chat_template
    if isinstance(template, Mapping):
        writer.add_chat_template([{"name": name, "template": text} for name, text in template.items()])
    elif template:
        writer.add_chat_template(template)


def prepends_space(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Return whether a byte-level tokenizer puts a space before each text, which llama.cpp does not."""
    told = json.loads(tokenizer.backend_tokenizer.to_str())
    return any(part["type"] == "ByteLevel" and part.get("add_prefix_space") for part in _parts(told["pre_tokenizer"]))


def _kind(piece: str | None, added: Any, unknown: bool) -> TokenType:
    if piece is None:
        return TokenType.UNUSED
    if added is not None and added.special:
        return TokenType.CONTROL
    if unknown:
        return TokenType.UNKNOWN
    if added is not None:
        return TokenType.USER_DEFINED
    return TokenType.BYTE if BYTE.fullmatch(piece) else TokenType.NORMAL


def _spelt(piece: str, kind: TokenType) -> str:
    """Return a piece as llama.cpp spells it: tokens that somebody added have spaces, not the sign for them."""
    return piece.replace("▁", " ") if kind == TokenType.USER_DEFINED else piece


def _parts(step: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """Return the steps of which one consists."""
    if step is None:
        return []
    inner = step.get("pretokenizers") or step.get("normalizers")
    return [step] if inner is None else [part for own in inner for part in _parts(own)]


def _splits(told: Mapping[str, Any]) -> tuple[str, ...]:
    """Return how a text is split, in the words of `SPLITS`."""
    found = []
    for part in _parts(told["pre_tokenizer"]):
        if part["type"] == "Split":
            found.append(part["pattern"].get("Regex", "another"))
        elif part["type"] == "Digits":
            found.append("Digits" if part.get("individual_digits") else "another")
        elif part["type"] != "ByteLevel" or part.get("use_regex", True):
            found.append(part["type"])
    if told["model"].get("ignore_merges"):
        found.append("whole words first")
    return tuple(found)


def _prepends(told: Mapping[str, Any]) -> bool:
    """Return whether a tokenizer of SentencePiece's kind puts a space before a text."""
    steps = [*_parts(told["normalizer"]), *_parts(told["pre_tokenizer"])]
    return any(
        step["type"] == "Prepend" or (step["type"] == "Metaspace" and step.get("prepend_scheme", "always") != "never")
        for step in steps
    )
