"""The settings of telling a fact."""

from __future__ import annotations

from pydantic.dataclasses import dataclass

from editlab.methods._settings import NO_OTHERS, MethodSettings, PromptForm


@dataclass(frozen=True, config=NO_OTHERS)
class ToldConfig(MethodSettings):
    """There is nothing to choose but how the model is asked."""

    form: PromptForm = "plain"
