"""Whether a model was edited: a checkpoint against its base, against what is known of its edits, and against a signature."""

from editlab.forensics.checkpoint import Checkpoint, Stored
from editlab.forensics.difference import Change, Difference, compare
from editlab.forensics.rounding import Spectrum
from editlab.forensics.verdict import Findings, Verdict

__all__ = ["Change", "Checkpoint", "Difference", "Findings", "Spectrum", "Stored", "Verdict", "compare"]
