"""MEMIT: many facts at once over several layers."""

from editlab.methods.memit.config import MemitConfig
from editlab.methods.memit.edit import Memit

__all__ = ["Memit", "MemitConfig"]
