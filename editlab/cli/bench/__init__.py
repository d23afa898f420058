"""`bench`: the papers' tables, and how fast EditLab is, from the terminal."""

import typer

from editlab.cli.bench import ability, belief, chain, forensics, mask, model, robustness, tracing

app = typer.Typer(help="The papers' tables, and how fast EditLab is.", no_args_is_help=True)
for part in (robustness, belief, mask, model, chain, ability, tracing, forensics):
    app.add_typer(part.app)

__all__ = ["app"]
