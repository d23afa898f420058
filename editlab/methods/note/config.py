"""The settings of a retrieved note."""

from __future__ import annotations

from pydantic import Field
from pydantic.dataclasses import dataclass

from editlab.methods._settings import NO_OTHERS, Frame, MethodSettings, PromptForm
from editlab.wording import noop


@dataclass(frozen=True, config=NO_OTHERS)
class NoteConfig(MethodSettings):
    """When a note stands before a question, and among how many."""

    heard: float = Field(
        0.75,
        gt=0,
        le=1,
        title=noop("Subject heard"),
        description=noop(
            "Share of the letters of the subject, or of another name of it, that a question must have in one place. Lower: "
            "the note also comes at other spellings, and at other subjects that are called alike."
        ),
    )
    most: int = Field(
        1,
        ge=1,
        le=100,
        title=noop("Most notes"),
        description=noop("Of several notes that belong to a question, so many that fit it best stand before it."),
    )
    frame: Frame = "prompt"
    form: PromptForm = "plain"
