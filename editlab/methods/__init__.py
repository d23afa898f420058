"""How a patch is made: one package a method, all with the same three files."""

from editlab.errors import BadRequest
from editlab.methods._method import Edited, Method, check_requests, config_for
from editlab.methods.memit import Memit
from editlab.methods.rome import Rome

METHODS: dict[str, Method] = {method.name: method for method in (Rome(), Memit())}


def get(name: str) -> Method:
    """The method of this name. Raises `BadRequest` naming those that exist."""
    if name not in METHODS:
        raise BadRequest(f"There is no method {name!r}. Choose one of: {', '.join(METHODS)}.")
    return METHODS[name]


__all__ = ["METHODS", "Edited", "Method", "check_requests", "config_for", "get"]
