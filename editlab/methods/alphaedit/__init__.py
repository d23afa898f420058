"""AlphaEdit: many facts at once, written where text has next to nothing."""

from editlab.methods.alphaedit.config import AlphaEditConfig
from editlab.methods.alphaedit.edit import AlphaEdit

__all__ = ["AlphaEdit", "AlphaEditConfig"]
