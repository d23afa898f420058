"""Text files that visitors upload: each is read once and not kept."""

from __future__ import annotations

from pathlib import Path

from editlab.errors import BadFile


def read_text(path: Path | None) -> str:
    """Return the text of an uploaded file and delete the file. Raises `BadFile` where there is none, or it is no text."""
    if path is None:
        raise BadFile("No file was received. Choose a text file (.txt).")
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadFile("The file could not be read. Choose it again.") from error
    except UnicodeDecodeError as error:
        raise BadFile(f"The file is not UTF-8 text (byte {error.start}). Save it as UTF-8.") from error
    finally:
        path.unlink(missing_ok=True)
