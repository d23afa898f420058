"""A cluster where Ray is not installed."""

import pytest

from editlab.bench import cluster
from editlab.errors import BadRequest


def test_without_ray_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    with pytest.raises(BadRequest, match=r"pip install -e '\.\[ray\]'"):
        cluster.Cluster(cluster.LOCAL, 2, None)
