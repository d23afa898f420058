"""The bodies of events: one pydantic model for each kind, which checks every body that is written, read or imported.

An event can come from a forged bundle. So every field has a type, every number is finite, and every text has a maximum
length, far above what the page and the terminal write.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    StringConstraints,
    ValidationError,
    WrapValidator,
    model_validator,
)

from editlab import methods
from editlab.errors import BadRequest
from editlab.facts import EditRequest
from editlab.methods.rep import RECIPES
from editlab.wording import noop

LONGEST_NAME, LONGEST_PROMPT, LONGEST_TEXT = 10_000, 100_000, 100_000
"""Characters of a subject, an object or another name; of a prompt; of a reason, a context or an error."""
MOST_EDITS, MOST_TEXTS, MOST_SETTINGS, MOST_LAYERS = 100_000, 10_000, 1_000, 1_000
LONGEST_TIME = 40
LONGEST_FAULT = 300
"""Characters of a message about a body that is not valid."""
NOT_FINITE = ("inf", "-inf", "nan")
"""The texts for numbers that are not finite in an edit's health."""

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)


def is_time(value: str) -> str:
    """Return an event's time: ISO 8601 with a UTC offset. Raises `ValueError`."""
    at = datetime.fromisoformat(value[: LONGEST_TIME + 1])  # an error repeats it
    if at.tzinfo is None or not 1970 <= at.year < 9999:
        raise ValueError(noop("it is not a time between 1970 and 9999 with a UTC offset"))
    at.astimezone(UTC)
    return value


def _is_method(value: str) -> str:
    if value not in methods.METHODS:
        raise ValueError(noop(f"there is no method {value[:80]!r}"))
    return value


def _as_dict(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _unchanged(value: Any, check: Any) -> Any:
    """Return the value itself after checking it."""
    check(value)
    return value


Name = Annotated[str, StringConstraints(max_length=LONGEST_NAME)]
Text = Annotated[str, StringConstraints(max_length=LONGEST_TEXT)]
Prompt = Annotated[str, StringConstraints(max_length=LONGEST_PROMPT)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f/\\]+$")]
"""The name of an edit, a process or a file."""
Time = Annotated[str, StringConstraints(max_length=LONGEST_TIME), AfterValidator(lambda value: value and is_time(value))]
"""A time in ISO 8601, empty where it is unknown."""
Place = Annotated[int, Field(ge=0, lt=2**53)]
Share = Annotated[float, Field(ge=0, le=1)]
Size = Annotated[float, Field(ge=0)]
Many = Annotated[tuple[T, ...], Strict(False)]
"""A list, as JSON has it, or a tuple."""
Plain = bool | int | float | Text
Config = Annotated[
    dict[Id, Plain | Annotated[Many[Plain], Field(max_length=MOST_TEXTS)]],
    BeforeValidator(_as_dict),
    Field(max_length=MOST_SETTINGS),
    WrapValidator(_unchanged),
]
"""A method's settings as plain JSON values. The method checks them before it computes."""
Health = Annotated[
    dict[Id, float | Literal[NOT_FINITE]],
    BeforeValidator(_as_dict),
    Field(max_length=MOST_SETTINGS),
    AfterValidator(lambda value: {name: float(number) for name, number in value.items()}),
]


class _Strict(BaseModel):
    """A model of plain JSON values with exactly these names and types."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class _RequestBody(_Strict):
    prompt: Prompt
    subject: Name
    target_new: Name
    target_true: Name | None = None


Request = Annotated[_RequestBody, AfterValidator(lambda body: EditRequest(**dict(body)))]
"""A request that also passes the checks of `EditRequest`."""


class _Source(_Strict):
    file: Id
    name: Name
    rows: Annotated[Many[Place], Field(min_length=2, max_length=2)]


Source = Annotated[_Source, WrapValidator(_unchanged)]


class _AlarmLimits(_Strict):
    holds: Share = 0.0
    locality: Share = 0.0
    same_subject: Share = 0.0
    loss: Size = 0.0
    kl: Size = 0.0


Limits = Annotated[_AlarmLimits, BeforeValidator(_as_dict), WrapValidator(_unchanged)]


class EditBody(_Strict):
    """An edit in an event's body: see `events.Edit`, which has the same fields."""

    id: Id
    request: Request
    method: Annotated[Name, AfterValidator(_is_method)]
    config: Config
    layers: Annotated[Many[Annotated[Place, Field(lt=MOST_LAYERS)]], Field(max_length=MOST_LAYERS)]
    seconds: Size
    health: Health
    contexts: Annotated[Many[Text], Field(max_length=MOST_TEXTS)]
    on: bool = True
    rep: Literal[RECIPES] | None = None
    rep_on: bool = True
    names: Annotated[Many[Name], Field(max_length=MOST_TEXTS)] = ()
    more: Annotated[Many[Request], Field(max_length=MOST_EDITS)] = ()
    source: Source | None = None
    missed: Annotated[Many[Place], Field(max_length=MOST_EDITS)] = ()
    author: Name = ""
    reason: Text = ""
    at: Time = ""
    solves: Annotated[Many[Id], Field(max_length=MOST_LAYERS)]
    pathways: Annotated[Many[Id], Field(max_length=MOST_LAYERS)] = ()

    @model_validator(mode="after")
    def _check_batch(self) -> Self:
        if self.source is not None and not math.isfinite(self.health.get("said", math.nan)):
            raise ValueError(noop("an edit from a file has no share of rows with the new object"))
        if any(place > len(self.more) for place in self.missed):
            raise ValueError(noop("an edit names requests that it does not have"))
        return self


class _Event(_Strict):
    by: Name = ""


class OneEdit(_Event):
    """An edit that was computed."""

    edit: EditBody


class Edits(_Event):
    """Edits that were computed again."""

    edits: Annotated[Many[EditBody], Field(max_length=MOST_EDITS)]


class Branched(Edits):
    """The first edits and settings of a branch, and the workspace and event from which they come.

    Settings that nobody had set are omitted; in older ledgers, all are.
    """

    of: Name
    number: Place
    threshold: Share | None = None
    masked: bool = False
    guarded: bool = False
    limits: Limits = Field(default_factory=dict)


class Switched(_Event):
    """An edit whose patches (`on`) or pathways (`rep`) were switched."""

    id: Id
    on: bool | None = None
    rep: bool | None = None

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if (self.on is None) == (self.rep is None):
            raise ValueError(noop("the body needs exactly one of `on` and `rep`"))
        return self


class Ids(_Event):
    """The ids of edits."""

    ids: Annotated[Many[Id], Field(min_length=1, max_length=MOST_EDITS)]


class Returned(_Event):
    """The event whose edits were applied again."""

    to: Place


class Looked(_Event):
    """The request that the visitor looked at."""

    request: Request


class Threshold(_Event):
    """A gate threshold."""

    threshold: Share


class Switch(_Event):
    """A switch of the workspace."""

    on: bool


class AlarmLimits(_Event):
    """The alarm limits of the monitor: see `alarms.AlarmLimits`."""

    limits: Limits


class Started(_Event):
    """An edit that was started: its inputs, and the process (`session`) that computes it."""

    session: Id
    request: Request = Field(default=None)
    method: Name = ""
    refined: Id = ""
    source: Source = Field(default=None)
    edits: Annotated[Many[Id], Field(max_length=MOST_EDITS)] = ()

    @model_validator(mode="after")
    def _check_request(self) -> Self:
        if self.refined and self.request is None:
            raise ValueError(noop("a refinement has no request"))
        return self


class Why(_Event):
    """The reason for which an edit ended."""

    why: Text = ""


class Renamed(_Event):
    """A new name."""

    name: Name


class Imported(_Event):
    """The name of the workspace in a bundle, and the hash of its last event."""

    of: Name
    last: Id


KINDS: dict[str, type[_Event]] = {
    "applied": OneEdit,
    "refined": OneEdit,
    "remade": Edits,
    "branched": Branched,
    "switched": Switched,
    "removed": Ids,
    "moved": Ids,
    "returned": Returned,
    "cleared": _Event,
    "undone": _Event,
    "redone": _Event,
    "started": Started,
    "stopped": Why,
    "failed": Why,
    "interrupted": Why,
    "looked": Looked,
    "threshold": Threshold,
    "masked": Switch,
    "guarded": Switch,
    "shared": Switch,
    "limits": AlarmLimits,
    "renamed": Renamed,
    "imported": Imported,
}
"""The kinds of events, and the models of their bodies."""


def read(kind: str, body: Mapping[str, Any], at: str = "") -> Any:
    """Return the body of an event of this kind. Raises `ValueError` where it or `at` is not valid."""
    if kind not in KINDS:
        raise ValueError(noop("this version of EditLab has no such kind of event"))
    if at:
        is_time(at)
    return check(KINDS[kind], body)


def check(model: type[M], value: Any) -> M:
    """Return a value as this model. Raises `ValueError` with one sentence, which quotes little of the value."""
    try:
        return model.model_validate(_as_dict(value))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"{where}: {first['msg']}"[:LONGEST_FAULT]) from None
    except (BadRequest, OverflowError, RecursionError) as error:
        raise ValueError(str(error)[:LONGEST_FAULT]) from None
