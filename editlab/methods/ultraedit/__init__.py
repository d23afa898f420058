"""UltraEdit: one closed-form step for many facts."""

from editlab.methods.ultraedit.config import UltraeditConfig
from editlab.methods.ultraedit.edit import Ultraedit

__all__ = ["Ultraedit", "UltraeditConfig"]
