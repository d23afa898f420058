"""The wheel that people install: what lies in it, and that it serves the page by itself."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import zipfile
from pathlib import Path, PurePosixPath
from urllib.request import urlopen

import pytest
from gradio_client import Client

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 180.0
pytestmark = pytest.mark.slow


def call(*command, **options):
    """What a command prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel built from the source distribution, which thereby has all that this takes. Nothing is fetched."""
    folder = tmp_path_factory.mktemp("dist")
    call(sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory", folder, cwd=ROOT)
    (source,) = folder.glob("*.tar.gz")
    pip = (sys.executable, "-m", "pip", "--quiet", "wheel", "--no-index", "--no-deps", "--no-build-isolation")
    call(*pip, "--wheel-dir", folder, source)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def programs(wheel, tmp_path_factory):
    """The programs of a new environment that has EditLab from the wheel, and everything else from this one."""
    home = tmp_path_factory.mktemp("environment")
    call(sys.executable, "-m", "venv", "--without-pip", home)
    python = home / "bin" / "python"
    call(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index", "--no-deps", wheel)
    (packages,) = home.glob("lib/*/site-packages")
    (packages / "outside.pth").write_text(sysconfig.get_path("purelib"))  # a path alone: nothing there is run
    return home / "bin"


@pytest.fixture
def environment(tmp_path):
    """The variables of a new user."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("EDITLAB_", "PYTHON"))}
    return kept | {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "share"), "OMP_NUM_THREADS": "1"}


# What lies in it


def test_it_holds_the_package_and_the_presets_and_nothing_else(wheel):
    package = {str(path.relative_to(ROOT)) for path in files_in(ROOT / "editlab")}
    presets = {f"editlab/{path.relative_to(ROOT)}" for path in files_in(ROOT / "presets")}
    with zipfile.ZipFile(wheel) as file:
        names = {name for name in file.namelist() if ".dist-info/" not in name}
        metadata = next(file.read(name).decode() for name in file.namelist() if name.endswith("/METADATA"))
    assert names == package | presets
    assert {".css", ".js", ".html", ".safetensors"} <= {PurePosixPath(name).suffix for name in names}
    assert any("/migrations/versions/" in name for name in names)
    required = re.findall(r"^[\w.-]+==[\w.-]+", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(re.findall(r"^Requires-Dist: ([^;\n]+)$", metadata, re.MULTILINE)) == sorted(required)
    assert wheel.stat().st_size < 35e6  # 32.4 MB: 22 of Atlas, 9.5 of statistics for SmolLM2


def files_in(folder):
    return [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]


# What it does


def test_a_script_and_the_terminal_find_the_bundled_model(programs, environment, tmp_path):
    code = (
        "import editlab, sys; print(editlab.__file__); assert 'torch' not in sys.modules; from editlab import LanguageModel"
    )
    place = call(programs / "python", "-c", code, cwd=tmp_path, env=environment).strip()
    assert Path(place).is_relative_to(programs.parent)
    told = json.loads(call(programs / "python", "-m", "editlab", "info", "--json", cwd=tmp_path, env=environment))
    assert (told["model"], told["validated"], told["statistics"]) == ("atlas", True, [0, 1, 2])


def test_without_a_command_it_serves_the_page_from_an_empty_folder(programs, environment, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    with contextlib.closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    process = subprocess.Popen([programs / "editlab", "--port", str(port)], cwd=empty, env=environment)
    try:
        end = time.monotonic() + PATIENCE
        while not answers(f"{address}/health"):
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.2)
        client = Client(address, verbose=False)
        updates = list(client.submit("ana", "Slovenia belongs to the continent of", api_name="/ask"))
        client.close()
        assert any("Europe" in part for update in updates for part in update if isinstance(part, str))
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
    assert list(empty.iterdir()) == []


def answers(address):
    with contextlib.suppress(OSError), urlopen(address, timeout=5) as response:
        return response.status == 200
    return False
