"""Tests behind a real nginx: collected where Debian's package is installed. Elsewhere the end of a run says so.

apt-get install nginx
"""

from pathlib import Path

import pytest
from paths import NGINX

collect_ignore_glob = [] if NGINX.exists() else ["test_*.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests here start processes and drive a browser."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("browser")
            item.add_marker("slow")
