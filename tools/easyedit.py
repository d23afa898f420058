"""EasyEdit's editors and evaluation, run as they are, on a CPU and on a model of their own.

A checkout of github.com/zjunlp/EasyEdit (MIT) is given. None of its code is copied or changed. What is put around it:

- its packages' `__init__`, which import all thirty methods, are replaced by empty ones, and what they import and nothing
  here calls (matplotlib, openai, ...) by empty modules;
- `device="cpu"` and the model's number of layers in the settings that it ships for a 7B Llama, and the layers of EditLab's
  preset; where the embedding is the head as well, the head by the embedding's name, since its MEMIT finds no other;
- the key statistics C of EditLab where it would read Wikipedia, in its own caches; AlphaEdit's projection is computed from
  them by its own `get_project`;
- a tokenizer that puts the model's document start before each text, as EditLab does.
"""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from editlab import EditRequest
from editlab.model import LanguageModel, statistics
from editlab.model.start import Start
from editlab.patches import Dense, LowRank
from editlab.probes.writing import ANSWER_TOKENS

EMPTY = ("", ".models", ".models.rome", ".models.memit", ".models.alphaedit", ".evaluate")
"""EasyEdit's packages whose `__init__` would import all of its methods."""
ABSENT = (
    *("datasets", "matplotlib", "matplotlib.style", "nltk", "openai", "scipy", "sklearn", "sklearn.metrics"),
    *("easyeditor.trainer", "easyeditor.models.melo", "easyeditor.models.melo.melo"),
)
"""What EasyEdit imports and nothing here calls."""
CODE = {
    "rome": ".models.rome.rome_main",
    "keys": ".models.rome.compute_u",
    "memit": ".models.memit.memit_main",
    "alphaedit": ".models.alphaedit.AlphaEdit_main",
    "evaluation": ".evaluate.evaluate",
}
NAME = "llama"
"""The name by which its code tells families apart, and finds statistics in its caches."""


class Started:
    """A tokenizer that puts a model's start before each text, as its own special tokens."""

    def __init__(self, tokenizer: Any, start: Start) -> None:
        self.__dict__.update(tokenizer=tokenizer, start=start)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.tokenizer, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.tokenizer, name, value)

    def __call__(self, texts: str | list[str], **options: Any) -> Any:
        """Return the encoding of a text or of several, each behind the start."""
        return self.tokenizer(self._behind(texts) if isinstance(texts, str) else [*map(self._behind, texts)], **options)

    def encode(self, text: str, add_special_tokens: bool = True, **options: Any) -> Any:
        """Return the ids of a text, behind the start if special tokens are wanted."""
        behind = self._behind(text) if add_special_tokens else text
        return self.tokenizer.encode(behind, add_special_tokens=add_special_tokens, **options)

    def _behind(self, text: str) -> str:
        return self.start.text + self.start.before(text) + text


class EasyEdit:
    """EasyEdit's code on a model of its own, loaded as it loads one."""

    def __init__(self, checkout: Path, model: LanguageModel, folder: str) -> None:
        modules = {f"easyeditor{name}": ModuleType(f"easyeditor{name}") for name in EMPTY}
        for name, module in modules.items():
            module.__path__ = [str(checkout.joinpath(*name.split(".")))]
        modules |= {name: _absent(name) for name in ABSENT}
        with patch.dict(sys.modules, modules):
            self.code = {name: importlib.import_module(f"easyeditor{place}") for name, place in CODE.items()}
        self.checkout, self.model = checkout, model
        self.hf: PreTrainedModel = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.hf.config._name_or_path = self.hf.name_or_path = NAME
        self.raw = AutoTokenizer.from_pretrained(folder, padding_side="right")
        self.raw.pad_token_id = self.raw.eos_token_id
        self.tok = Started(self.raw, model.start)

    def settings(self, kind: type, file: str, layers: Sequence[int], **others: Any) -> Any:
        """Return the settings that it ships in a file, for these layers of this model on the CPU."""
        given = kind.from_hparams(str(self.checkout / "hparams" / file))
        return replace(given, layers=[*layers], v_loss_layer=self.model.n_layers - 1, device="cpu", **others)

    @contextmanager
    def updated(self, updates: Sequence[LowRank | Dense]) -> Iterator[None]:
        """Add updates to the weights for as long as the block runs."""
        with ExitStack() as stack:
            for update in updates:
                weight = self.hf.get_parameter(f"model.layers.{update.layer}.mlp.down_proj.weight")
                stack.callback(weight.data.copy_, weight.detach().clone())
                weight.data += update.dense()
            yield

    def evaluate(self, given: Any, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return what its evaluation says of a record under the present weights. `given`: an editor's settings."""
        return self.code["evaluation"].compute_edit_quality(self.hf, NAME, given, self.tok, record, "cpu")

    @torch.no_grad()
    def answers(self, texts: Sequence[str]) -> list[str]:
        """Return what the model writes after each text, asked one by one."""
        found = []
        for text in texts:
            given = self.tok(text, return_tensors="pt")
            ids = self.hf.generate(
                **given, max_new_tokens=ANSWER_TOKENS, do_sample=False, pad_token_id=self.tok.pad_token_id
            )
            found.append(self.tok.decode(ids[0, given["input_ids"].shape[1] :], skip_special_tokens=True))
        return found


class Editor:
    """One of EasyEdit's editors with its settings. `contexts`: the texts that the model wrote for it, without "{}"."""

    given: Any
    contexts: tuple[str, ...]

    def __init__(self, easy: EasyEdit) -> None:
        self.easy = easy

    def edit(self, requests: Sequence[EditRequest]) -> tuple[LowRank | Dense, ...]:
        """Return its update of each layer, with what it prints thrown away."""
        asked = [{"prompt": own.prompt, "subject": own.subject, "target_new": own.target_new} for own in requests]
        with redirect_stdout(io.StringIO()):
            return self._run(asked)

    def _run(self, asked: list[dict[str, Any]]) -> tuple[LowRank | Dense, ...]:
        raise NotImplementedError

    def module(self, layer: int) -> str:
        """Return the name of a layer's edited module."""
        return self.given.rewrite_module_tmp.format(layer)

    def _written(self, write: Any, *given: Any) -> list[str]:
        torch.manual_seed(0)
        with redirect_stdout(io.StringIO()):
            return write(self.easy.hf, self.easy.tok, *given)


class Rome(Editor):
    """Its ROME. `whiten`: with key statistics, which its settings for 7B models leave out; `others`: as `Memit`."""

    def __init__(self, easy: EasyEdit, layer: int, whiten: bool = True, **others: Any) -> None:
        super().__init__(easy)
        code, file = easy.code["rome"], "ROME/llama-7b.yaml"
        self.given = easy.settings(code.ROMEHyperParams, file, [layer], mom2_adjustment=whiten, **others)
        if whiten:
            C = statistics.need(easy.model, layer, "The comparison").regular
            easy.code["keys"].inv_mom2_cache[NAME, self.module(layer)] = torch.inverse(C)
        templates = self._written(code.get_context_templates, self.given.context_template_length_params)
        self.contexts = tuple(text.removesuffix("{}") for text in templates[1:])

    def _run(self, asked: list[dict[str, Any]]) -> tuple[LowRank, ...]:
        (one,) = asked
        made = self.easy.code["rome"].execute_rome(self.easy.hf, self.easy.tok, one, self.given)
        ((left, right),) = made.values()
        return (LowRank(self.given.layers[0], left[None], right[:, None]),)


class Memit(Editor):
    """Its MEMIT. `others`: settings other than those that it ships for a 7B Llama."""

    name = "memit"
    kind, file = "MEMITHyperParams", "MEMIT/llama-7b.yaml"

    def __init__(self, easy: EasyEdit, layers: Sequence[int], **others: Any) -> None:
        super().__init__(easy)
        self.code = easy.code[self.name]
        head = {"lm_head_module": "model.embed_tokens"} if easy.hf.config.tie_word_embeddings else {}
        self.given = easy.settings(getattr(self.code, self.kind), self.file, layers, **head, **others)
        for layer in layers:
            self.code.COV_CACHE[NAME, self.module(layer)] = self.moment(layer)
        self.code.CONTEXT_TEMPLATES_CACHE = None
        _, written = self._written(self.code.get_context_templates)
        self.contexts = tuple(text.removesuffix("{}") for text in written)

    def moment(self, layer: int) -> Float[Tensor, "d_ff d_ff"]:
        """Return C as our editor of the same name has it."""
        return statistics.need(self.easy.model, layer, "The comparison").regular

    def _run(self, asked: list[dict[str, Any]]) -> tuple[LowRank | Dense, ...]:
        made = self.code.execute_memit(self.easy.hf, self.easy.tok, asked, self.given)
        return tuple(
            LowRank(layer, keys.T.float(), rest.float())
            for layer, (keys, rest) in zip(self.given.layers, made.values(), strict=True)
        )


class AlphaEdit(Memit):
    """Its AlphaEdit, without a history, with its settings for Qwen 2.5 7B, whose search is that of its MEMIT for Llamas."""

    name = "alphaedit"
    kind, file = "AlphaEditHyperParams", "AlphaEdit/qwen2.5-7b.yaml"

    def __init__(self, easy: EasyEdit, layers: Sequence[int], **others: Any) -> None:
        super().__init__(easy, layers, **others)
        with redirect_stdout(io.StringIO()):
            projections = [self.code.get_project(easy.hf, easy.tok, layer, self.given) for layer in layers]
        self.code.P = self.projections = torch.stack(projections)

    def moment(self, layer: int) -> Float[Tensor, "d_ff d_ff"]:
        """Return C without its ridge, which would fill the null space."""
        return statistics.need(self.easy.model, layer, "The comparison").second_moment

    def _run(self, asked: list[dict[str, Any]]) -> tuple[Dense, ...]:
        self.code.cache_c = torch.zeros_like(self.projections)
        made = self.code.execute_AlphaEdit(self.easy.hf, self.easy.tok, asked, self.given)
        return tuple(Dense(layer, update) for layer, update in zip(self.given.layers, made.values(), strict=True))


def _absent(name: str) -> ModuleType:
    """Return a module whose every name is an empty class."""
    module = ModuleType(name)
    module.__path__ = []
    module.__all__ = []

    def found(wanted: str) -> type:
        if wanted.startswith("__"):
            raise AttributeError(wanted)
        return type(wanted, (), {})

    module.__getattr__ = found
    return module
