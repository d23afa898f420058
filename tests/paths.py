"""Where the project's files are."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PRESETS = ROOT / "presets"
DATA = ROOT / "tests" / "data"
"""Records in the shape of the published ones, written for the tests."""
NGINX = Path("/usr/sbin/nginx")
"""Debian's nginx. What needs it is collected where it is installed."""
