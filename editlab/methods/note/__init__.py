"""Note: the fact in the prompt, retrieved where it is asked for."""

from editlab.methods.note.config import NoteConfig
from editlab.methods.note.edit import Retrieved

__all__ = ["NoteConfig", "Retrieved"]
