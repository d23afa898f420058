"""`python -m editlab`: the terminal."""

from editlab.cli import app

app(prog_name="editlab")
