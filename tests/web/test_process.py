"""The process around the page: how it ends, and how it starts again by itself."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from app_process import environment, running
from over_the_wire import edit, model_of, shown
from paths import ROOT
from visitors import wait_until

from editlab import serve


@pytest.mark.slow
@pytest.mark.parametrize("at", ["uvicorn.config", "transformers.core_model_loading"])
def test_ctrl_c_while_loading_is_a_sentence_and_nothing_is_written(at, tmp_path):
    """Python tells what it imports, and so where it is: at the first libraries, or amid the loading of the model."""
    command = [sys.executable, "-X", "importtime", "app.py"]
    options = {"cwd": ROOT, "env": environment(data=tmp_path / "data"), "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **options) as process:
        for line in process.stderr:
            if line.rstrip().endswith(at):
                break
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=60)
    said = [line for line in rest.splitlines() if not line.startswith("import time:")]
    assert (process.returncode, said) == (
        130,
        ["Stopped while EditLab was loading. Nothing was changed. Start it again."],
    )
    assert not (tmp_path / "data").exists()


@pytest.mark.slow
def test_a_port_that_is_taken_ends_it_before_the_model_is_loaded(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        command = [sys.executable, "app.py", "--port", str(other.getsockname()[1])]
        env = environment(data=tmp_path / "data", model=tmp_path / "no such model")  # which would be an error of its own
        ended = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "Address already in use. Choose another port with --port" in ended.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.slow
def test_a_lost_device_starts_the_process_again_and_the_edits_are_there(saved_model, tmp_path):
    with running(tmp_path, program=("tests/web/lost_device.py",), model=saved_model) as app:
        first = model_of(app.address)
        assert first is not None
        assert any("Slovenia → Asia" in part for part in shown(app.address, *edit("Slovenia"), api_name="/apply"))
        told = shown(app.address, *edit("Japan"), api_name="/apply")
        assert any("The GPU stopped answering. EditLab restarts; your edits are kept." in part for part in told)
        wait_until(lambda: app.process.poll() is not None or (model_of(app.address) or first)["session"] != first["session"])
        assert app.process.poll() is None and model_of(app.address)["fingerprint"] == first["fingerprint"]
        parts = shown(app.address, "", "", api_name="/open")
        assert any("An edit was interrupted: Japan → Asia. Nothing of it was kept." in part for part in parts)
        edits = [part for part in parts if 'class="edits"' in part]
        assert edits and all("Slovenia → Asia" in part and "Japan" not in part for part in edits)
        assert any("Japan → Asia" in part for part in shown(app.address, *edit("Japan"), api_name="/apply"))


def test_it_starts_again_three_times_in_ten_minutes_and_no_more(monkeypatch, capsys):
    became = []
    monkeypatch.setattr(os, "execv", lambda path, arguments: became.append((path, arguments)))
    monkeypatch.setenv(serve.RESTARTED, str(time.time() - 601))
    for _ in range(3):
        serve._restart()
    assert became == [(sys.executable, [sys.executable, *sys.orig_argv[1:]])] * 3
    assert serve._restart() == 1 and len(became) == 3
    assert "4 times in 10 minutes. Your edits are kept." in capsys.readouterr().err
