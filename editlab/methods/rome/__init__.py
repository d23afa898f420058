"""ROME: one rank-one edit of one MLP."""

from editlab.methods.rome.config import RomeConfig
from editlab.methods.rome.edit import Rome

__all__ = ["Rome", "RomeConfig"]
