"""Tests of the papers' own files: collected only where EDITLAB_SHARED_DATA names the folder that docs/data.md describes."""

import os
from pathlib import Path

import pytest

FOLDER = os.environ.get("EDITLAB_SHARED_DATA")
collect_ignore_glob = [] if FOLDER else ["test_*.py"]


@pytest.fixture(scope="session")
def papers() -> Path:
    """The folder of the papers' files."""
    folder = Path(FOLDER)
    assert folder.is_dir(), f"EDITLAB_SHARED_DATA is {folder}, which is no folder. docs/data.md says what belongs there."
    return folder
