"""The terminal's commands, run in this process."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from editlab.cli import app


def ledger_command(data: Path, monkeypatch: pytest.MonkeyPatch, *args: str) -> tuple[int, dict[str, Any]]:
    """Run `editlab ledger ...` on a data folder; returns its status and its JSON."""
    monkeypatch.setenv("EDITLAB_DATA", str(data))
    result = CliRunner().invoke(app, ["ledger", *args, "--json"])
    return result.exit_code, json.loads(result.stdout)
