"""The settings of telling a fact."""

from __future__ import annotations

from pydantic.dataclasses import dataclass

from editlab.methods._settings import NO_OTHERS, Frame, MethodSettings, PromptForm


@dataclass(frozen=True, config=NO_OTHERS)
class ToldConfig(MethodSettings):
    """How the fact is put, and how the model is asked."""

    frame: Frame = "prompt"
    form: PromptForm = "plain"
