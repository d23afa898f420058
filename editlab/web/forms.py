"""What a visitor typed becomes a request, or a sentence that says what is wrong with it. No model is asked."""

from __future__ import annotations

import unicodedata

from editlab.errors import BadRequest
from editlab.facts import EditRequest

MOST = {"subject": 200, "prompt": 1000, "new object": 100, "old object": 100, "question": 2000}
"""Most characters a field takes."""


def read_request(subject: str | None, prompt: str | None, target_new: str | None, target_true: str | None) -> EditRequest:
    """The request that four fields state; an empty old object means that nobody said. Raises `BadRequest`."""
    given = {"subject": subject, "prompt": prompt, "new object": target_new, "old object": target_true}
    subject, prompt, target_new, target_true = (_capped(name, value) for name, value in given.items())
    return EditRequest.from_text(prompt.strip(), subject, target_new, target_true.strip() or None)


def read_question(text: str | None) -> str:
    """A text to be continued, without white space around it. Raises `BadRequest`."""
    text = _capped("question", text).strip()
    if not text:
        raise BadRequest("There is nothing to ask. Write the beginning of a sentence.")
    if any(unicodedata.category(char) in ("Cc", "Cs") and char not in "\n\r\t" for char in text):
        raise BadRequest("The question holds a control or broken character. Remove it.")
    return text


def _capped(name: str, value: str | None) -> str:
    value = value or ""
    if len(value) > MOST[name]:
        raise BadRequest(f"The {name} has {len(value)} characters; {MOST[name]} is the most. Shorten it.")
    return value
