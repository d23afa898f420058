"""The handlers of the page: how one is declared, admitted and run, and how an error becomes a sentence.

A handler is a generator of updates. It computes nothing itself: the lab's worker does, and `follow` looks at its job.

    class KeysHandlers(Handlers):
        @handler(cost=Cost(prompts=20))
        def keys_discuss(self, visit: Visit, keys_question: Question) -> Updates: ...

Its signature declares its inputs; see `declaration`. The decorator states what it costs and what a public demo refuses.
Every handlers class inherits from `Handlers` alone and gets by its constructor what it shares with others: `Turns`, or the
`EditDisplay` of the Edit tab.
"""

from __future__ import annotations

import functools
import inspect
import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from editlab.errors import BadRequest, Cancelled, EditLabError
from editlab.lab import Lab, Workspace
from editlab.lab.access.limits import Cost, iterate_for
from editlab.web.core.declaration import Declaration, Refusal
from editlab.web.core.engine import said
from editlab.web.core.html import pieces
from editlab.web.core.language import gettext as _
from editlab.web.core.turns import on_page
from editlab.web.core.updates import Update, Updates, buttons, follow, problem, stopping
from editlab.web.core.visit import Visit
from editlab.work import within

Handler = Callable[..., Updates]

BATTERY = 120
"""Prompts of one battery of probes, at most."""
PROBED, CHANGED = Cost(prompts=BATTERY), Cost(prompts=BATTERY, changes=1)
"""What it costs to look at an edit and ask its probes, and to change something first."""

log = logging.getLogger(__name__)


def handler(cost: Cost, *, refused_in_demo: Refusal = "") -> Callable[[Handler], Handler]:
    """Declare a handler, and let an error end it as a sentence on the page.

    cost: what a call takes at most, as far as it is known beforehand; what only the input tells, the handler spends itself
    with `RateLimits.spend`. refused_in_demo: see `Refusal`. Raises `TypeError` for a signature that cannot be checked.
    """

    def declare(work: Handler) -> Handler:
        declaration = Declaration.of(work, cost, refused_in_demo)
        signature = inspect.signature(work)

        @functools.wraps(work)
        def run(self: Handlers, visit: Visit, *given: Any, **named: Any) -> Updates:
            arguments = dict(list(signature.bind(self, visit, *given, **named).arguments.items())[2:])
            ours = iterate_for(visit.asker, self._run(work, declaration, visit, arguments))
            yield from within(partial(on_page, visit.session), ours)

        run.declaration, run.cost = declaration, declaration.cost
        return run

    return declare


class Handlers:
    """Handlers over one lab."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    def ready(self, visit: Visit) -> Updates:
        """Wait until the model is loaded. Raises `BadRequest` where it is another one than the page was made for."""
        if not self.lab.loaded.in_memory:
            job = self.lab.loaded.wake()
            yield from follow(self.lab.worker, job)
            job.wait()
        if not self.lab.knows(visit.session):
            model = self.lab.about()["model"]
            raise BadRequest(_("The model is now {model}. Reload the page to ask it.").format(model=model))

    def buttons(self, workspace: Workspace) -> Update:
        """Return which buttons can be pressed now."""
        return buttons(workspace)

    def buttons_after(self, visit: Visit) -> Update:
        """Return which buttons can be pressed after an error; nothing where the workspace itself cannot be read."""
        try:
            return self.buttons(visit.workspace)
        except EditLabError:
            return {}

    def stop_jobs(self, visit: Visit) -> Updates:
        """Stop the visitor's jobs. The handler that is stopped says the rest."""
        yield stopping(visit.workspace.stop(visit.by))

    def _run(self, work: Handler, declaration: Declaration, visit: Visit, arguments: Mapping[str, Any]) -> Updates:
        """Admit a call and run it. An error of the visitor or of ours becomes a message."""
        try:
            self._admit(work.__name__, declaration, visit, arguments)
            yield from self.ready(visit)
            yield from work(self, visit, **arguments)
        except Exception as error:
            yield {"progress": "", **_shown(error), **self.buttons_after(visit)}

    def _admit(self, name: str, declaration: Declaration, visit: Visit, arguments: Mapping[str, Any]) -> None:
        """Count a call where a demo limits them, and log its texts where that is allowed. Raises `TooMany`, `BadRequest`."""
        texts = declaration.texts(arguments)
        cost = replace(declaration.cost, refused=declaration.refusal(arguments))
        self.lab.limits.check_call(cost, visit.asker, texts)
        if self.lab.settings.log_prompts:
            workspace = self.lab.metrics.digest(visit.visitor)
            log.info({"event": "call", "handler": name, "workspace": workspace, "fields": texts})


def _shown(error: Exception) -> Update:
    """Return an error as a message of the page. One that is not the visitor's is logged under a number."""
    if isinstance(error, Cancelled):
        return {"message": pieces.message(said(error))}
    if isinstance(error, EditLabError):
        return problem(error)
    number = secrets.token_hex(4)
    log.error("A handler failed unexpectedly (%s)", number, exc_info=error)
    text = _("EditLab failed unexpectedly. Your edits are unchanged. The server's log has the details under {number}.")
    return {"message": pieces.message(text.format(number=number), "problem")}
