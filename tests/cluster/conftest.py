"""Tests of a cluster: collected where Ray is installed, by pip install -e '.[ray]'."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("ray") else ["test_*.py"]
