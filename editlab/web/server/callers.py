"""Who calls the HTTP interface: a user by a token; without a login, this computer alone."""

from __future__ import annotations

from starlette.requests import Request

from editlab.lab import Lab
from editlab.lab.access.tokens import Scope
from editlab.settings import LOOPBACK
from editlab.web.api.errors import Refusal
from editlab.web.api.routes import Caller
from editlab.web.core.visit import address_of

HERE = "http interface"
"""As whom this computer's programs are counted."""


def caller_behind(lab: Lab, request: Request, scope: Scope) -> Caller:
    """Return who sends a call that needs a scope. Raises `Refusal`, and `TooMany` after too many tokens that are none."""
    address = address_of(request)
    if lab.tokens is None:
        if not lab.settings.single_user or address not in LOOPBACK or request.scope["state"].get("forwarded", True):
            text = "Without a login, the HTTP interface answers only programs of the computer on which EditLab runs alone. "
            raise Refusal(
                403, f"{text}Start EditLab with --auth FILE, and make a token: editlab user token create NAME.", "closed"
            )
        return Caller(lab, None, HERE, address)
    kind, given = request.headers.get("authorization", "").partition(" ")[::2]
    if kind.lower() != "bearer" or not given.strip():
        text = "This call has no token. Send Authorization: Bearer TOKEN; editlab user token create NAME makes one."
        raise Refusal(401, text, "no_token")
    found = lab.tokens.find(given.strip())
    if found is None:
        lab.limits.count_token(address)
        raise Refusal(
            401, "This token is not valid, or has ended. Make a new one: editlab user token create NAME.", "bad_token"
        )
    user, token = found
    if scope not in token.scopes:
        text = f"This token may {' and '.join(token.scopes)}, and this call needs the scope {scope!r}. "
        raise Refusal(403, f"{text}Make one: editlab user token create {user.name} --scope {scope}.", "missing_scope")
    return Caller(lab, user.name, user.id, address)
