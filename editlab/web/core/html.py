"""The page's HTML: Jinja2 templates, which escape every text that they are given.

A tab's templates lie in its folder `templates/` and are named by the tab: `render("keys/section.html", title=...)`. Macros
that several tabs use stand in `core/templates/pieces.html`; Python calls them as `pieces.message(...)`. Templates hold all
HTML; `words.py` modules return plain sentences. Their own sentences are translated by `{{ _("Remove") }}` and
`{% trans n=edits %}{{ n }} edit{% pluralize %}{{ n }} edits{% endtrans %}`, in which a percent sign is written twice.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, PrefixLoader, StrictUndefined
from markupsafe import Markup, escape

from editlab import wording as english
from editlab.web.core import names, wording
from editlab.web.core.engine import said
from editlab.web.core.language import gettext, ngettext, pgettext

WEB = Path(__file__).parents[1]
SCRIPTS = Path(__file__).with_name("scripts")
PARTED = re.compile(r"(?<=[\d<>±]) (?=[%±\d])")
"""A space within a figure: 97 %, < 0.01 %, 0.4 ± 0.1."""


def joined(text: str) -> str:
    """Return a text in which no line ends within a figure."""
    return PARTED.sub("\N{NO-BREAK SPACE}", text)


def unbroken(text: str) -> Markup:
    """Return the HTML of a text in which no line ends within a figure."""
    return Markup(joined(text)) if isinstance(text, Markup) else escape(joined(text))


ENVIRONMENT = Environment(
    loader=PrefixLoader({path.parent.name: FileSystemLoader(path) for path in sorted(WEB.glob("*/templates"))}),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
    extensions=["jinja2.ext.i18n"],
)
ENVIRONMENT.install_gettext_callables(gettext, ngettext, newstyle=True, pgettext=pgettext)
ENVIRONMENT.policies["ext.i18n.trimmed"] = True
ENVIRONMENT.filters |= {
    "count": english.count,
    "number": wording.number,
    "listed": wording.join,
    "percent": wording.percent,
    "share": wording.share,
    "rate": wording.rate,
    "shorten": wording.shorten,
    "unbroken": unbroken,
    "said": said,
    "told": wording.tell,
    "translated": gettext,
    "view_title": names.view_title,
    "kind_name": names.kind_name,
    "method_name": names.method_name,
    "kind_meaning": names.kind_meaning,
}


def render(template: str, **values: Any) -> Markup:
    """Return a template's HTML. Raises `jinja2.UndefinedError` for a name that it needs and does not get."""
    return Markup(ENVIRONMENT.get_template(template).render(**values).strip())


pieces: Any = ENVIRONMENT.get_template("core/pieces.html").module
"""The shared macros: `pieces.message("Done.")`."""


@cache
def script(name: str) -> str:
    """Return a script of `scripts/` as Gradio's `js_on_load` takes it, in a scope of its own."""
    return f"{{\n{(SCRIPTS / f'{name}.js').read_text(encoding='utf-8')}}}\n"
