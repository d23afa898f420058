"""Told: the fact in the prompt."""

from editlab.methods.told.config import ToldConfig
from editlab.methods.told.edit import Told

__all__ = ["Told", "ToldConfig"]
