"""IKE: in-context editing with demonstrations."""

from editlab.methods.ike.config import IkeConfig
from editlab.methods.ike.edit import Ike

__all__ = ["Ike", "IkeConfig"]
