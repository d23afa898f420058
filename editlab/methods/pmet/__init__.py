"""PMET: MEMIT whose values leave room for what attention adds."""

from editlab.methods.pmet.edit import Pmet

__all__ = ["Pmet"]
