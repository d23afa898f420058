"""EMMET: ROME for many facts at once."""

from editlab.methods.emmet.config import EmmetConfig
from editlab.methods.emmet.edit import Emmet

__all__ = ["Emmet", "EmmetConfig"]
