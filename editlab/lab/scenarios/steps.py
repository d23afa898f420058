"""The steps of a scenario: what each kind has to say, and the faults that can be told before anything runs."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, model_validator

from editlab import methods
from editlab.answers import ViewName
from editlab.errors import EditLabError
from editlab.facts import EditRequest
from editlab.lab.scenarios.expect import Expect
from editlab.lab.scenarios.part import Name, Part, PartForModels, Sentence
from editlab.methods.rep import OFF, RECIPES
from editlab.probes import KINDS
from editlab.wording import join, noop

LONGEST_ANSWER = 200
"""Most tokens of an answer."""
MOST_EDITS = 100
"""Most edits of one step."""

Tab = Literal["edit", "keys", "inside", "compare", "workspace", "monitor", "model"]
Change = Literal["rep on", "rep off", "mask on", "mask off", "guard on", "guard off", "undo", "redo", "clear"]


class Say(PartForModels):
    """A text on the screen."""

    do: Literal["say"]
    text: Sentence


class Fact(Part):
    """A fact that is changed: see `EditRequest`."""

    subject: Name
    prompt: Sentence
    new: Name
    true: Name | None = None

    @model_validator(mode="after")
    def _possible(self) -> Fact:
        try:
            _ = self.request
        except EditLabError as error:
            raise ValueError(str(error)) from error
        return self

    @property
    def request(self) -> EditRequest:
        """The fact as a request."""
        return EditRequest(self.prompt, self.subject, self.new, self.true)


class Asking(PartForModels):
    """A step that asks something, and what is expected."""

    expect: tuple[Expect, ...] = ()


class Ask(Asking):
    """A question to some views, without `views` to all of them.

    `front`: a text that stands in front of the prompt; `passage`: so does a page of prose. `new`, `true`: the objects whose
    probabilities are asked, of the edit that is looked at unless given; `chat`: asked as a message in the model's template;
    `tokens`: the length of the answers.
    """

    do: Literal["ask"]
    prompt: Sentence
    views: tuple[ViewName, ...] = ()
    front: Sentence | None = None
    passage: bool = False
    new: Name | None = None
    true: Name | None = None
    chat: bool = False
    tokens: int = Field(20, ge=1, le=LONGEST_ANSWER)

    @model_validator(mode="after")
    def _asks_what_it_expects(self) -> Ask:
        if self.front is not None and self.passage:
            raise ValueError(noop("front and passage both stand in front of the prompt: give one of them"))
        wrong = [str(e) for e in self.expect if e.score or e.metric or e.verdict]
        if wrong:
            raise ValueError(noop(f"an ask has answers alone: put “{wrong[0]}” into a look, an edit or a switch"))
        unasked = [e for e in self.expect if self.views and e.view not in self.views]
        if unasked:
            raise ValueError(
                noop(f"the view {str(unasked[0].view)!r} is expected to say something, but is not among its views")
            )
        return self


class Edit(Fact, Asking):
    """An edit, and the answers to its prompt. `also`: more facts, edited one by one behind it with the same method.

    `settings`: those that differ from the model's preset; `rep`: a recipe, "off" for none; `names`: more names of the
    subject for REP.
    """

    do: Literal["edit"]
    method: Literal[tuple(methods.METHODS)] = "rome"  # type: ignore[valid-type]
    settings: dict[str, Any] = Field(default_factory=dict)
    rep: Literal[(OFF, *RECIPES)] = OFF  # type: ignore[valid-type]
    names: tuple[Name, ...] = ()
    also: Annotated[tuple[Fact, ...], Field(max_length=MOST_EDITS - 1)] = ()

    @model_validator(mode="after")
    def _knows_its_settings(self) -> Edit:
        known = [field.name for field in fields(methods.get(self.method).config)]
        unknown = [name for name in self.settings if name not in known]
        if unknown:
            raise ValueError(noop(f"{self.method} has no setting {unknown[0]!r}: write one of {join(known)}"))
        return self


class Switch(Asking):
    """A change that needs no new edit, and the answers to the prompt of the edit that is looked at.

    "rep on" trains REP for that edit where it has none.
    """

    do: Literal["switch"]
    to: Change


class Look(Asking):
    """A picture on a tab, and the sentence to notice. `picture`: its name; without one, the tab as it opens.

    `probes`: kinds of probes that are asked for its scores, `most` of each; `checkup`: whether all edits are checked.
    """

    do: Literal["look"]
    tab: Tab
    notice: Sentence
    picture: Name | None = None
    probes: tuple[Literal[tuple(KINDS)], ...] = ()  # type: ignore[valid-type]
    most: int | None = Field(None, ge=1)
    checkup: bool = False

    @model_validator(mode="after")
    def _asks_what_it_expects(self) -> Look:
        for one in self.expect:
            if one.score and one.score.removesuffix("_in").removesuffix("_out") not in self.probes:
                raise ValueError(
                    noop(f"the score {one.score!r} is expected, but its kind is not among the probes of this look")
                )
            if one.metric and not self.checkup:
                raise ValueError(noop(f"the metric {one.metric!r} is expected, but this look has no checkup = true"))
        return self


class Guess(PartForModels):
    """A question that the audience answers before the next step tells. `right`: the option that the next step tells."""

    do: Literal["guess"]
    question: Sentence
    options: Annotated[tuple[Name, ...], Field(min_length=2, max_length=8)]
    right: Name

    @model_validator(mode="after")
    def _right_is_an_option(self) -> Guess:
        if len(set(self.options)) < len(self.options):
            raise ValueError(noop("an option stands there twice: leave one"))
        if self.right not in self.options:
            raise ValueError(noop(f"the right answer {self.right!r} is not among the options"))
        return self


Step = Annotated[Say | Ask | Edit | Switch | Look | Guess, Discriminator("do")]
STEPS: dict[str, type[PartForModels]] = {
    "say": Say,
    "ask": Ask,
    "edit": Edit,
    "switch": Switch,
    "look": Look,
    "guess": Guess,
}
"""The kinds of steps, by what they do."""
