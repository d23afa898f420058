"""ROME: one rank-one edit of one MLP; R-ROME and p-ROME, which differ by their keys; WilKE, which chooses the layer."""

from editlab.methods.rome.config import ConsistentConfig, PromptConfig, RomeConfig, WilkeConfig
from editlab.methods.rome.edit import PRome, Rome, RRome
from editlab.methods.rome.wilke import Wilke

__all__ = ["ConsistentConfig", "PRome", "PromptConfig", "RRome", "Rome", "RomeConfig", "Wilke", "WilkeConfig"]
