"""A loaded model: what EditLab knows about it, and what it says under a view."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from jaxtyping import Float
from jinja2 import TemplateError
from torch import Tensor

from editlab.errors import BadRequest
from editlab.facts import FactBase
from editlab.model import chat, start_choice
from editlab.model.fingerprint import checkpoint_hash, samples_of
from editlab.model.frozen import FrozenModel, Views
from editlab.model.generation import generate
from editlab.model.loading import load_weights
from editlab.model.remembered import Beginnings
from editlab.model.sampling import Sampling
from editlab.model.scoring import Score, score
from editlab.model.source import RANDOM, preset_for
from editlab.model.start import NONE, Start
from editlab.model.weights import Quantization
from editlab.patches import BARE, BASE, Form, View
from editlab.settings import Settings
from editlab.work import Cancel, Progress, never, no_progress


@dataclass(eq=False)
class LanguageModel(FrozenModel):
    """A loaded causal language model, its tokenizer and what EditLab knows about it.

    `name` is what the user asked for, `revision` the commit of a hub model, `origin` the hash of the weights as they were
    before they were quantised, where that is known (`checkpoint`); `made` what its folder `kept` was made from, where that
    was done here (a GGUF file, a LoRA); `folder` where its files lie on this machine; `preset` the hyperparameters of
    `presets/models/*.toml` that fit it, if any; `statistics` and `masks` where its key statistics and reversal masks are
    kept; `memo` what is computed once a model (contexts, norms).
    """

    name: str = "unnamed"
    quantization: str = "none"
    revision: str | None = None
    origin: str | None = None
    made: str = ""
    kept: Path | None = None
    folder: Path | None = None
    preset: dict[str, Any] = field(default_factory=dict)
    statistics: tuple[Path, ...] = ()
    masks: tuple[Path, ...] = ()
    memo: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def load(
        cls,
        name: str = "atlas",
        *,
        quantization: Quantization = "none",
        dtype: str = "auto",
        device: str = "auto",
        seed: int = 0,
        start: str | None = None,
        settings: Settings | None = None,
        progress: Progress = no_progress,
        cancel: Cancel = never,
    ) -> LanguageModel:
        """Load a model and freeze it.

        `name`: `atlas`; a local folder with a model, a GGUF file or a LoRA; a GGUF file; `package:NAME`, the weights that an
        installed package carries; a hub id (the only case that uses the network); or `config:NAME` with NAME of a file in
        `presets/models/`: that architecture with random weights from `seed` and Atlas's tokenizer. `start`: what stands
        before every plain text, as EDITLAB_START has it, instead of what the settings say. Raises `BadModel`
        with what to do, `UnsupportedArchitecture`, `TooLarge` with both numbers before any weight is read, or `Cancelled`.
        """
        settings = settings or Settings()
        loaded = load_weights(name, quantization, dtype, device, seed, settings, progress, cancel)
        recipe = loaded.source.recipe
        model = cls(
            loaded.hf,
            loaded.tokenizer,
            tokens_per_forward=loaded.plan.tokens_per_forward,
            beginnings=Beginnings(loaded.plan.tokens_kept),
            name=name,
            quantization=loaded.plan.quantization,
            revision=loaded.source.revision,
            origin=loaded.checkpoint,
            made="" if recipe is None else recipe.of,
            kept=None if recipe is None else loaded.source.folder,
            folder=loaded.source.folder,
            preset=preset_for(loaded.source.config, loaded.checkpoint, settings.model_presets),
            statistics=settings.statistics_folders,
            masks=(*sorted(settings.presets.glob("*/masks")), settings.data / "masks"),
        )
        wanted = start or settings.start
        return replace(model, start=model.chosen_start(settings) if wanted == "auto" else Start.of(wanted))

    # --- what it is -------------------------------------------------------------------------------------------------

    @cached_property
    def checkpoint(self) -> str:
        """Which weights these are, before any quantisation: by it key statistics and masks are found."""
        return self.origin or checkpoint_hash(self.hf.config, type(self.hf).__name__, samples_of(self.hf))

    @cached_property
    def fingerprint(self) -> str:
        """Which model answers here: the checkpoint, how it is quantised, what begins its texts. An edit belongs to it."""
        held = "" if self.quantization == "none" else f"-{self.quantization}"
        return f"{self.checkpoint}{held}{f'-{self.start.digest}' if self.start else ''}"

    def chosen_start(self, settings: Settings) -> Start:
        """Return what belongs before every plain text: as the preset says, as it was once measured, or measured now."""
        named = start_choice.named(self.preset)
        if named is not None or start_choice.begins(self.tokenizer) or self.name.startswith(RANDOM):
            return named or NONE
        path = settings.data / "starts" / f"{self.checkpoint}.json"
        found = start_choice.kept(path)
        if found is None:
            facts = FactBase.load(settings.presets / "facts")
            found = start_choice.choose(self.tokenizer, self.hf.config.vocab_size, facts, self._log_p_behind)
            start_choice.keep(path, found)
        return found

    def _log_p_behind(self, start: Start, prompts: Sequence[str], targets: Sequence[str]) -> list[float]:
        return [found.log_p for found in replace(self, start=start, memo={}).score(prompts, targets)]

    @property
    def validated(self) -> bool:
        """Whether `editlab validate` has measured how edits hold on these very weights."""
        return bool(self.preset.get("validated"))

    # --- asking it --------------------------------------------------------------------------------------------------

    def top(self, text: str, view: View = BASE, k: int = 5) -> list[tuple[str, float]]:
        """Return the k likeliest next tokens with their probabilities."""
        return self.tops([text], view, k)[0]

    def tops(self, texts: Sequence[str], view: Views = BASE, k: int = 5) -> list[list[tuple[str, float]]]:
        """Return the k likeliest next tokens after each text."""
        return self.likeliest(self.logits(texts, view), k)

    def likeliest(self, logits: Float[Tensor, "rows vocab"], k: int = 5) -> list[list[tuple[str, float]]]:
        """Return the k likeliest tokens of each row of logits, with their probabilities."""
        p, ids = logits.softmax(-1).topk(k)
        return [
            [(self.tok.decode([i]), q) for i, q in zip(row_ids, row_p, strict=True)]
            for row_ids, row_p in zip(ids.tolist(), p.tolist(), strict=True)
        ]

    def score(self, prompts: Sequence[str], targets: Sequence[str], view: Views = BASE) -> list[Score]:
        """Return how likely each target is after its prompt, teacher-forced, and whether the model would say it."""
        return score(self, prompts, targets, view)

    def generate(
        self,
        texts: Sequence[str],
        view: Views = BASE,
        max_tokens: int = 20,
        sampling: Sampling | None = None,
        first: Callable[[Tensor], None] | None = None,
    ) -> Iterator[list[str]]:
        """Yield the continuations so far, one string a row, after every token. Greedy unless `sampling` says otherwise.

        `first` is given the logits from which the first token is chosen.
        """
        return generate(self, texts, view, max_tokens, sampling or Sampling(), first=first)

    @cached_property
    def chat(self) -> Form | None:
        """The tokenizer's chat template around a text that is to be completed; None where it has none.

        It is the same on every day, and the model answers without thinking first: thinking is switched off where the
        template has a switch, and a thought that it opens is closed.
        """
        return chat.question(self.tokenizer)

    def chat_text(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Return a chat as the model reads it, up to its next message: `role` and `content` of each message so far.

        Raises `BadRequest` where the model has no chat template, or one that takes no such chat.
        """
        if not chat.has_template(self.tokenizer):
            raise BadRequest(f"{self.name} has no chat template. Ask it in plain text: /v1/completions.", "messages")
        try:
            return chat.in_template(self.tokenizer, messages)
        except TemplateError as error:
            raise BadRequest(
                f"The chat template of {self.name} takes no such chat: {error}. Change it.", "messages"
            ) from error

    def chat_question(self, messages: Sequence[Mapping[str, str]]) -> tuple[str, Form]:
        """Return the last message of a chat, before which a view may tell something, and what stands around it.

        Where a template does not keep the message as it is, the text is the whole chat. Raises as `chat_text` does.
        """
        whole = self.chat_text(messages)
        *earlier, last = messages
        before, _, after = self.chat_text([*earlier, {**last, "content": chat.MARK}]).rpartition(chat.MARK)
        form, text = Form(before, after), last["content"].strip()
        return (text, form) if form.around(text) == whole else (whole, BARE)

    def chat_form(self, turns: Sequence[str]) -> Form:
        """Return the form around the first turn of a chat, with its later turns: the model's and a person's by turns.

        Raises as `chat_text` does.
        """
        roles = ("user", "assistant")
        told = [{"role": roles[place % 2], "content": turn} for place, turn in enumerate((chat.MARK, *turns[1:]))]
        before, _, after = self.chat_text(told).partition(chat.MARK)
        return Form(before, after)

    def form(self, name: str) -> Form:
        """Return the form of a setting: "plain", or "chat". Raises `BadRequest` where there is no chat template."""
        if name != "chat":
            return BARE
        if self.chat is None:
            raise BadRequest(f"{self.name} has no chat template. Ask it in plain text (form=plain).")
        return self.chat
