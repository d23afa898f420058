"""Fine-tuning of one matrix: FT-L, FT-M and LocFT-BF."""

from editlab.methods.finetune.config import FtlConfig, FtmConfig, LocftConfig
from editlab.methods.finetune.edit import FtL, FtM, LocftBf

__all__ = ["FtL", "FtM", "FtlConfig", "FtmConfig", "LocftBf", "LocftConfig"]
