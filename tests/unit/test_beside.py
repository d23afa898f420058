"""What decides the answers beside the weights: configuration, tokenizer, template, defaults of generation."""

import json
import shutil
from pathlib import Path

import pytest
from tiny_models import save, tiny_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from editlab.forensics.beside import apart
from editlab.forensics.checkpoint import Checkpoint
from editlab.forensics.difference import compare
from editlab.forensics.verdict import Verdict

CONFIG, TOKENIZER, SETTINGS = "config.json", "tokenizer.json", "tokenizer_config.json"


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """A folder with the same Llama twice: `base` and `own`."""
    folder = tmp_path_factory.mktemp("beside")
    save(tiny_model("llama"), folder / "base")
    shutil.copytree(folder / "base", folder / "own")
    return folder


@pytest.fixture
def pair(saved, tmp_path) -> Path:
    """The same, to be changed."""
    return shutil.copytree(saved, tmp_path / "pair")


def found(folder: Path, own: str = "own", base: str = "base") -> tuple[str, ...]:
    return apart(Checkpoint.open(folder / own, own), Checkpoint.open(folder / base, base))


def rewrite(path: Path, **values: object) -> None:
    """Set values of a JSON file, and leave out those that are None."""
    said = json.loads(path.read_bytes()) | values if path.is_file() else values
    path.write_text(json.dumps({name: value for name, value in said.items() if value is not None}))


@pytest.mark.parametrize("kind", ["llama", "qwen2", "phi3", "gpt2"])
def test_a_model_that_was_loaded_and_saved_again_is_the_same(kind, tmp_path):
    save(tiny_model(kind), tmp_path / "base")
    (tmp_path / "base" / "chat_template.jinja").write_text("{{ messages }}")
    AutoModelForCausalLM.from_pretrained(tmp_path / "base").save_pretrained(tmp_path / "own")
    AutoTokenizer.from_pretrained(tmp_path / "base").save_pretrained(tmp_path / "own")
    said = json.loads((tmp_path / "base" / TOKENIZER).read_bytes())
    said["model"]["merges"] = [" ".join(merge) for merge in said["model"]["merges"]]  # as older versions wrote them
    (tmp_path / "base" / TOKENIZER).write_text(json.dumps(said))
    (tmp_path / "base" / "generation_config.json").unlink()
    (tmp_path / "base" / "chat_template.jinja").unlink()
    rewrite(tmp_path / "base" / SETTINGS, chat_template="{{ messages }}", model_max_length=99, add_bos_token=False)
    assert found(tmp_path) == found(tmp_path, "base", "own") == ()
    assert (
        Verdict(name="x", difference=compare(*map(Checkpoint.open, (tmp_path / "own", tmp_path / "base")))).word == "clean"
    )


def test_fields_that_shape_the_answers_are_held_against_the_base(pair):
    rewrite(pair / "own" / CONFIG, rms_norm_eps=0.5, torch_dtype="float32", no_such_field=1)
    assert found(pair) == ("config.json: rms_norm_eps",)
    rewrite(pair / "own" / CONFIG, rms_norm_eps=1e-6, auto_map={"AutoModel": "own.Model"})
    assert found(pair) == ("config.json: auto_map (code of its own)",)


def _swapped(folder: Path) -> None:
    said = (folder / TOKENIZER).read_text(encoding="utf-8")
    (folder / TOKENIZER).write_text(said.replace('"Ġthe"', '"Ġeht"'), encoding="utf-8")


def _in_parts(folder: Path, swapped: bool) -> None:
    """Keep the tokenizer as older libraries did."""
    said = json.loads((folder / TOKENIZER).read_bytes())["model"]
    words = dict(said["vocab"])
    if swapped:
        words["Ġthe"], words["Ġof"] = words["Ġof"], words["Ġthe"]
    (folder / "vocab.json").write_text(json.dumps(words))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *(" ".join(merge) for merge in said["merges"])]))
    (folder / TOKENIZER).unlink()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_swapped, TOKENIZER),
        (lambda own: rewrite(own / TOKENIZER, normalizer={"type": "Lowercase"}), TOKENIZER),
        (lambda own: (own / TOKENIZER).unlink(), f"{TOKENIZER} (one of the two has none)"),
        (lambda own: rewrite(own / SETTINGS, extra_special_tokens=["house"]), SETTINGS),
        (lambda own: rewrite(own / SETTINGS, eos_token="the"), SETTINGS),
        (
            lambda own: rewrite(own / SETTINGS, auto_map={"AutoTokenizer": "own.T"}),
            f"{SETTINGS}: auto_map (code of its own)",
        ),
        (lambda own: (own / "chat_template.jinja").write_text("Berlin"), "the chat template"),
        (lambda own: rewrite(own / SETTINGS, chat_template="Berlin"), "the chat template"),
        (lambda own: rewrite(own / "generation_config.json", suppress_tokens=[7]), "generation_config.json"),
    ],
)
def test_what_gives_a_text_other_ids_or_answers_is_named(pair, change, said):
    change(pair / "own")
    assert found(pair) == (said,) and found(pair, "base", "own") == (said,)


def test_a_file_that_only_one_has_counts_where_it_changes_what_is_loaded(pair):
    (pair / "base" / "generation_config.json").unlink()
    assert found(pair) == ()
    rewrite(pair / "own" / "generation_config.json", forced_bos_token_id=5)
    assert found(pair) == ("generation_config.json",)


@pytest.mark.parametrize("swapped", [False, True])
def test_a_tokenizer_in_parts_is_compared_as_it_is_loaded(swapped, tmp_path):
    save(tiny_model("gpt2"), tmp_path / "base")
    rewrite(tmp_path / "base" / SETTINGS, tokenizer_class="GPT2Tokenizer")
    AutoTokenizer.from_pretrained(tmp_path / "base").save_pretrained(tmp_path / "base")
    shutil.copytree(tmp_path / "base", tmp_path / "own")
    _in_parts(tmp_path / "own", swapped)
    assert found(tmp_path) == ((f"{TOKENIZER} (one of the two has none)",) if swapped else ())
    _in_parts(tmp_path / "base", swapped=False)
    assert found(tmp_path) == (("vocab.json",) if swapped else ())
