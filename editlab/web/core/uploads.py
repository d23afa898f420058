"""Text files that visitors upload: each is read once and not kept."""

from __future__ import annotations

from pathlib import Path

from editlab.errors import BadFile
from editlab.web.core.language import gettext as _


def read_text(path: Path | None) -> str:
    """Return the text of an uploaded file and delete the file. Raises `BadFile` where there is none, or it is no text."""
    if path is None:
        raise BadFile(_("No file was received. Choose a text file (.txt)."))
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadFile(_("The file could not be read. Choose it again.")) from error
    except UnicodeDecodeError as error:
        text = _("The file is not UTF-8 text (byte {n}). Save it as UTF-8.")
        raise BadFile(text.format(n=error.start)) from error
    finally:
        path.unlink(missing_ok=True)
