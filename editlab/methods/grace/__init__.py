"""GRACE: a codebook beside one layer."""

from editlab.methods.grace.config import GraceConfig
from editlab.methods.grace.edit import Grace

__all__ = ["Grace", "GraceConfig"]
