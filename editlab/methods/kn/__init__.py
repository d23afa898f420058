"""Knowledge neurons: a fact's neurons, found by integrated gradients, write another object."""

from editlab.methods.kn.config import KnConfig
from editlab.methods.kn.edit import Kn

__all__ = ["Kn", "KnConfig"]
