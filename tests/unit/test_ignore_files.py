"""What leaves the machine with the project, into an image or an upload: all that runs, and no secret that lies beside it."""

import re
import subprocess
from fnmatch import translate
from pathlib import PurePosixPath

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder
from paths import ROOT

SECRETS = [
    "users",
    "ana.users",
    "team/users",
    ".users-a1b2",
    "cookie-secret",
    ".editlab/cookie-secret",
    ".editlab/ledger.sqlite",
    "data/ledger.sqlite",
    "data/ledger.sqlite-wal",
    "editlab/users",
    "editlab/lab/own.users",
    "editlab/lab/cookie-secret",
    "presets/users",
    "presets/ledger.sqlite",
    "presets/.env",
    ".env",
    ".git/config",
    ".venv/bin/python",
    "somebodys-notes.txt",
]


def tracked():
    """The files that belong to the project; where there is no git, all that lie in its folders."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode == 0 and listed.stdout:
        return [name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()]
    return [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file() and ".git" not in path.parts]


def regex(pattern):
    """A pattern of .dockerignore: "*" within a name, "**" over any number of folders."""
    parts = [
        "(?:.*/)?" if part == "**" else translate(part)[4:-3].replace(".*", "[^/]*") + "/" for part in pattern.split("/")
    ]
    return re.compile("".join(parts).rstrip("/"))


def taken(paths):
    """What `COPY . .` takes of these: the last pattern that fits a file, or a folder that it is in, decides."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [(not line.startswith("!"), regex(line.lstrip("!"))) for line in lines if line.strip() and line[0] != "#"]

    def stays(path):
        out = False
        for leave, pattern in rules:
            if any(pattern.fullmatch(str(part)) for part in (PurePosixPath(path), *PurePosixPath(path).parents[:-1])):
                out = leave
        return not out

    return [path for path in paths if stays(path)]


def test_no_secret_gets_into_the_image():
    assert taken(SECRETS) == []


def test_what_runs_gets_into_the_image():
    needed = {name for name in tracked() if name.startswith(("editlab/", "presets/")) and "/." not in name}
    needed |= {
        "app.py",
        "pyproject.toml",
        "requirements.txt",
        "README.md",
        "LICENSE",
        "tools/docker/cpu.lock",
        "tools/docker/cuda.lock",
    }
    found = set(taken([*tracked(), *needed]))
    assert needed <= found and len(needed) > 100
    assert {name.split("/")[0] for name in found - needed} <= {"tools"}, "nothing besides"


@pytest.mark.parametrize("builder", [WheelBuilder, SdistBuilder])
def test_no_secret_gets_into_a_package(builder, tmp_path):
    for name in (".gitignore", "pyproject.toml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    for name in (*SECRETS, "editlab/__init__.py", "presets/facts/more.tsv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    packed = {file.relative_path for file in builder(str(tmp_path)).recurse_included_files()}
    assert {"editlab/__init__.py", "presets/facts/more.tsv"} <= packed and packed.isdisjoint(SECRETS)


def test_git_leaves_secrets_out(tmp_path):
    """And so does an upload to the hub, which keeps to .gitignore."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_bytes((ROOT / ".gitignore").read_bytes())
    for name in SECRETS:
        if not name.startswith(".git/"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
    command = ["git", "-C", str(tmp_path), "ls-files", "--others", "--exclude-standard"]
    left = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert set(left) == {".gitignore", "somebodys-notes.txt"}


def test_git_leaves_nothing_out_that_belongs_to_the_project():
    names = "\n".join(tracked())
    ignored = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin"], cwd=ROOT, input=names, capture_output=True, text=True
    )
    assert ignored.stdout == ""
