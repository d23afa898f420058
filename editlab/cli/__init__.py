"""EditLab from a terminal: the same jobs as the page, with the same words.

`--json` prints one object on standard output and nothing else; progress goes to standard error.
"""

import sys

import typer

from editlab import serve
from editlab.cli import apply, ask, atlas, bench, export, ledger, mask, model, scenario, user, validate, verify, workshop
from editlab.cli.terminal import Terminal

app = typer.Typer(
    cls=Terminal,
    help="Edit facts in language models, look at what the edit did, and reverse it. Without a command: serve the page.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["--help", "-h"]},
    pretty_exceptions_enable=False,
)
app.add_typer(model.app)
app.add_typer(ask.app)
app.add_typer(apply.app)
app.add_typer(validate.app)
app.add_typer(export.app)
app.add_typer(verify.app)
app.add_typer(bench.app, name="bench")
app.add_typer(atlas.app, name="atlas")
app.add_typer(mask.app, name="mask")
app.add_typer(scenario.app, name="scenario")
app.add_typer(workshop.app, name="workshop")
app.add_typer(ledger.app, name="ledger")
app.add_typer(user.app, name="user")


@app.command("serve", add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def serve_page(context: typer.Context) -> None:
    """Serve the page, as editlab without a command does. Its options: editlab serve --help."""
    sys.exit(serve.main(context.args))


__all__ = ["app"]
