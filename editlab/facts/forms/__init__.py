"""The forms in which edits are published, one class each. A new form is a class in a module here and a row of `FORMS`.

A record is told by its keys: the first form of `FORMS` that fits reads it, so one with more keys stands first.
Its fields are checked by pydantic, and what is wrong with them is a sentence that names the field.
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Annotated, Any

from pydantic import Discriminator, Tag, TypeAdapter, ValidationError

from editlab.errors import BadRequest
from editlab.facts.forms.counterfact import CounterFact, MQuAKE
from editlab.facts.forms.fields import Form
from editlab.facts.forms.flat import SEPARATOR, EasyEdit, FastEdit, Rep, Table, Tracing, WikiBio
from editlab.facts.forms.questions import QAEdit, UltraEditBench, WikiBigEdit, ZsRE
from editlab.facts.forms.rippleedits import RippleEdits
from editlab.wording import noop

__all__ = ["FORMS", "SEPARATOR", "Form", "Table", "form_of", "read"]

FORMS: tuple[type[Form], ...] = (
    MQuAKE,
    CounterFact,
    RippleEdits,
    WikiBigEdit,
    ZsRE,
    Tracing,
    QAEdit,
    FastEdit,
    UltraEditBench,
    WikiBio,
    Rep,
    EasyEdit,
)
MESSAGES = {
    "missing": noop("is missing. Add it."),
    "model_type": noop("is not an object with keys. Write it in braces."),
    "model_attributes_type": noop("is not an object with keys. Write it in braces."),
    "tuple_type": noop("is not a list. Write it in [ ]."),
    "too_short": noop("is empty. Write one edit there."),
}


def form_of(record: dict[str, Any]) -> type[Form] | None:
    """Return the form of a record, None where its keys are of none."""
    return next((form for form in FORMS if form.fits(record)), None)


def _tag(record: Any) -> str | None:
    form = form_of(record)
    return form and form.__name__


_RECORD: TypeAdapter[Form] = TypeAdapter(
    Annotated[reduce(or_, (Annotated[form, Tag(form.__name__)] for form in FORMS)), Discriminator(_tag)]
)
_ROW: TypeAdapter[Form] = TypeAdapter(Table)


def read(record: dict[str, Any], table: bool = False) -> Form:
    """Return a record as its form has it; `table`: as a row of our own table. Raises `BadRequest` naming the field."""
    try:
        return (_ROW if table else _RECORD).validate_python(record)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        if fault["type"] in ("union_tag_not_found", "union_tag_invalid"):
            forms = ", ".join(form.title for form in FORMS)
            raise BadRequest(
                "Its keys are of no known form. An edit has 'prompt', 'subject' and 'target_new'. Or use keys as one of "
                f"these: {forms}."
            ) from error
        path = [part for part in fault["loc"] if isinstance(part, str) and part not in _NAMES]
        key = path[-2] if path[-1:] == ["str"] else path[-1]
        what = MESSAGES.get(fault["type"], fault["msg"])
        raise BadRequest(f"'{key}' {what}", key) from error


_NAMES = {form.__name__ for form in FORMS}
