"""The container: nobody comes in without being let in, and every package in it is the one that was tested."""

import os
import re
import shlex
import subprocess
import tomllib

import pytest
from paths import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
BUILD = dict(line.split("==") for line in PROJECT["build-system"]["requires"])
LOCKS = {name: (ROOT / "tools" / "docker" / f"{name}.lock").read_text(encoding="utf-8") for name in ("cpu", "cuda")}


def instructions(name):
    """What stands behind an instruction of the Dockerfile, each as one line."""
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^\s*#.*\n", "", DOCKERFILE, flags=re.MULTILINE))
    return [line.split(None, 1)[1] for line in joined.splitlines() if line.split(None, 1)[:1] == [name]]


# The image


def test_the_base_is_named_by_its_digest():
    (base,) = instructions("FROM")
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+@sha256:[0-9a-f]{64}", base)


def started(**environment):
    """The command that the image runs, with a program in place of Python that says how it was called."""
    (command,) = instructions("CMD")[-1:]
    shell, option, script = [part.strip(" ,") for part in shlex.split(command.strip("[]"))]
    assert (shell, option) == ("sh", "-c")
    said = subprocess.run(
        ["sh", "-c", f'python() {{ echo "$@"; exit 0; }}; {script.replace("exec ", "")}'],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return said.stdout.split()


def test_the_image_lets_nobody_in_without_a_login_and_is_a_demo_on_a_space():
    assert started() == ["app.py", "--host", "0.0.0.0", "--auth", "/data/users"]
    assert started(SPACE_ID="") == started()
    assert started(SPACE_ID="owner/name") == ["app.py"]
    assert not any("trusted-network" in line for name in ("CMD", "ENTRYPOINT", "ENV") for line in instructions(name))


@pytest.mark.parametrize(("space", "said"), [(None, "can log in"), ("owner/name", "as a public demo")])
def test_these_commands_mean_what_they_are_for(space, said, monkeypatch):
    from pydantic_settings import CliApp

    from editlab.settings import Settings

    environment = {} if space is None else {"SPACE_ID": space}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = CliApp.run(Settings, cli_args=started(**environment)[1:])
    assert said in settings.reach() and settings.host == "0.0.0.0" and not settings.trusted_network


def test_the_image_runs_as_nobody_in_particular_and_keeps_data_and_models_on_volumes():
    assert instructions("USER") == ["1000"] and DOCKERFILE.index("\nUSER ") < DOCKERFILE.index("\nCMD ")
    assert instructions("VOLUME") == ['["/data", "/cache"]']
    (environment,) = instructions("ENV")
    assert {"HF_HOME=/cache", "HF_HUB_OFFLINE=1", "EDITLAB_DATA=/data"} <= set(environment.split())


def test_everything_installed_is_held_against_a_hash():
    installs = [part.split("&&")[0] for line in instructions("RUN") for part in line.split("pip install")[1:]]
    assert len(installs) == 2
    assert "--require-hashes" in installs[0] and "--no-index" in installs[1] and "--no-deps" in installs[1]


# The locks


def locked(text):
    """name: (version, number of hashes)."""
    found = {}
    for entry in re.split(r"\n(?=[a-z])", text):
        if pinned := re.match(r"([a-z0-9_.-]+)==(\S+)", entry):
            found[pinned[1].replace("_", "-")] = (pinned[2], len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", entry)))
    return found


def required():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("#")[0].strip().split("==") for line in lines if line.strip() and line[0] != "#")


@pytest.mark.parametrize("variant", LOCKS)
def test_a_lock_has_what_requirements_name_and_a_hash_for_everything(variant):
    found = locked(LOCKS[variant])
    for name, version in required().items():
        assert found[name.lower()][0].partition("+")[0] == version, f"run: sh tools/docker/lock.sh ({name})"
    assert all(hashes for _, hashes in found.values()) and len(found) > 80
    assert found["torch"][0] == required()["torch"] + ("+cpu" if variant == "cpu" else "")
    assert all(found[name][0] == version for name, version in BUILD.items()), "the Dockerfile builds without fetching"


def test_the_locks_differ_in_what_torch_brings_for_cuda_alone():
    cpu, cuda = locked(LOCKS["cpu"]), locked(LOCKS["cuda"])
    assert {name for name in {*cpu, *cuda} if cpu.get(name) != cuda.get(name)} == {
        name for name in cuda if name.startswith(("nvidia-", "cuda-")) or name in ("torch", "triton")
    }


def test_what_serves_the_page_is_pinned_too():
    assert {"gradio", "fastapi", "starlette", "uvicorn", "python-multipart", "pydantic"} <= set(required())
    extra = dict(line.split("==") for line in PROJECT["project"]["optional-dependencies"]["test"])
    assert extra.items() >= BUILD.items(), "the tests build EditLab without fetching anything"
