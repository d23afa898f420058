"""The names and ids of workspaces and of those who use them: which are allowed, and what is shown of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from hashlib import sha256
from itertools import count

from editlab.errors import BadRequest

LONGEST_NAME = 60
MADE_ID = re.compile(r"[0-9a-f]{16}|[A-Za-z0-9_-]{22}")
"""Random ids of workspaces and visitors. They are not shown as names: a visitor's id gives access to their workspaces."""
PARTICIPANT, WORKSHOP = "participant:", "workshop:"
"""How the ids begin of a workshop's participants, and of the owner of what they start with. No user's id has a colon."""


def is_participant(visitor: str) -> bool:
    """Return whether an id is that of a workshop's participant, who has one workspace and sees no shared one."""
    return visitor.startswith(PARTICIPANT)


def handle_of(id: str) -> str:
    """Return the name of a workspace in pages and addresses."""
    return sha256(id.encode(errors="replace")).hexdigest()[:16]


def normalize_name(name: str) -> str:
    """Return a name with single spaces. Raises `BadRequest` for one that is not allowed."""
    name = " ".join(str(name).split())
    if not name or len(name) > LONGEST_NAME:
        raise BadRequest(f"A workspace's name has 1 to {LONGEST_NAME} characters. Choose another one.", "workspace")
    wrong = next((char for char in name if char in "/\\<>" or unicodedata.category(char)[0] == "C"), None)
    if wrong is not None:
        raise BadRequest(f"A workspace's name cannot hold {wrong!r}. Use letters, digits and spaces.", "workspace")
    return name


def numbered(name: str) -> Iterator[str]:
    """Yield a name, then the same with numbers: Lecture, Lecture 2, Lecture 3, ..."""
    yield name
    for number in count(2):
        suffix = f" {number}"
        yield f"{name[: LONGEST_NAME - len(suffix)].rstrip()}{suffix}"
