"""Whether a model was edited: a checkpoint against its base, against what is known of its edits, and against a signature."""

from editlab.forensics.checkpoint import Checkpoint, Stored

__all__ = ["Checkpoint", "Stored"]
