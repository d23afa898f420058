"""Everything that can be set from outside, in one frozen object.

Read from the environment (`EDITLAB_MODEL`, `EDITLAB_PORT`, ...); what the terminal gives by name goes before it:
`Settings(model="gpt2-xl")`. Code that needs a setting is handed the object: nothing is read at import.
"""

from __future__ import annotations

import os
import re
import socket
from importlib.resources import files
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from editlab.errors import BadRequest

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Addresses that only this computer reaches."""
WILDCARDS = frozenset({"0.0.0.0", "::"})
"""Addresses that stand for all of this computer's."""
PRIVATE_NETWORKS = ("127.0.0.1", "::1", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
"""A Space's proxy has such an address: the visitor's own is the last one that it names which is none of these."""
MOST_SEED = 2**31 - 1
"""Largest seed: every library that draws takes it."""
HOSTNAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?|[0-9a-f:.]+", re.ASCII)


def on_space() -> bool:
    """Return whether this is a Hugging Face Space, which is public."""
    return bool(os.environ.get("SPACE_ID"))


def bundled() -> Path:
    """Return the folder of the bundled model, facts and texts: inside the installed package, next to it in a checkout."""
    package = Path(str(files("editlab")))
    installed = package / "presets"
    return installed if installed.is_dir() else package.parent / "presets"


class Settings(BaseSettings):
    """How EditLab runs. Raises pydantic's `ValidationError` where a value does not fit its field."""

    model_config = SettingsConfigDict(
        env_prefix="EDITLAB_",
        env_ignore_empty=True,
        frozen=True,
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_prog_name="editlab serve",
    )

    model: str = Field("atlas", description="The model: atlas, a local folder, a hub id, or config:NAME.")
    quantization: Literal["none", "8bit", "4bit"] = Field("none", description="How the frozen weights are held.")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="Precision of weights and activations; auto chooses by model size and device."
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where the model runs; auto takes the GPU if there is one."
    )
    models: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Models that the page offers besides the one it is started with and atlas, as MODEL,MODEL.",
    )
    idle_minutes: float = Field(
        0.0, ge=0, description="After so long without work the weights leave the memory until somebody asks again; 0: never."
    )
    check_ups: bool = Field(True, description="Ask all edits of a workspace again after every change, for the Monitor tab.")
    matmul: Literal["exact", "fast"] = Field(
        "exact", description="float32 products on CPU: exact, or fast through bfloat16 units where the CPU has them."
    )
    unsafe_weights: bool = Field(
        False, description="Also load weights from PyTorch's pickle files, which can run code: only what you trust."
    )
    seed: int = Field(
        0, ge=0, le=MOST_SEED, description="Seed of everything that is drawn: contexts, samples, random weights."
    )
    host: str = Field(
        default_factory=lambda: "0.0.0.0" if on_space() else LOOPBACK[0],
        description="Address that the app listens on. Other than this computer's own: only with a login or as a demo.",
    )
    port: int = Field(7860, ge=1, le=65535, description="Port that the app listens on.")
    hostnames: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Names under which browsers reach the page besides this computer's own, as NAME,NAME. Requests for any "
        "other name are refused.",
    )
    proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        default_factory=lambda: PRIVATE_NETWORKS if on_space() else (),
        description="Addresses or networks of reverse proxies whose X-Forwarded-For and X-Forwarded-Proto are believed, as "
        "ADDRESS,NETWORK. Nobody else's are.",
    )
    auth: Path | None = Field(
        None, description="File of the users who may come in; editlab user add writes it. Without it there is no login."
    )
    demo: bool = Field(
        default_factory=on_space,
        description="A public page: everybody may come in and do a little. Default on a Hugging Face Space.",
    )
    demo_hours: float = Field(6.0, gt=0, description="After so long without use a demo forgets a visitor's edits.")
    trusted_network: bool = Field(
        False, description="Everybody who reaches the port may do everything: for a container published on localhost alone."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="From which level on to log.")
    log_json: bool = Field(False, description="Log one JSON object a line.")
    log_prompts: bool = Field(False, description="Also log what people type. Otherwise no prompt reaches the log.")
    data: Path = Field(
        default_factory=lambda: Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "editlab",
        description="Where key statistics, presets and workspaces are kept; made when something is first written there.",
    )
    presets: Path = Field(
        default_factory=bundled, description="Folder of the bundled model, facts, texts and hyperparameters."
    )

    @field_validator("models", "hostnames", "proxies", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value

    @field_validator("hostnames")
    @classmethod
    def _check_hostnames(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        names = tuple(name.lower().rstrip(".") for name in names)
        wrong = next((name for name in names if not HOSTNAME.fullmatch(name)), None)
        if wrong is not None:
            raise ValueError(f"{wrong!r} is no host name. Write it as lab.example.org, without https:// and port")
        return names

    @field_validator("proxies")
    @classmethod
    def _check_proxies(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        networks = [ip_network(proxy, strict=False) for proxy in proxies]  # its ValueError names what is wrong
        if any(network.prefixlen == 0 for network in networks):
            raise ValueError("a network of all addresses would let every visitor claim any address")
        return tuple(map(str, networks))

    @property
    def on_loopback(self) -> bool:
        """Whether the app listens on this computer's own address alone."""
        return self.host in LOOPBACK

    @property
    def alone(self) -> bool:
        """Whether only this computer's user reaches the page."""
        return self.on_loopback and self.auth is None and not self.demo and not self.proxies

    @property
    def names(self) -> tuple[str, ...]:
        """Host names that are answered, in lower case; beyond loopback, addresses in numbers are answered as well.

        Whatever else a browser asks for is a name that somebody let point here (DNS rebinding).
        """
        own = LOOPBACK if self.on_loopback else (*LOOPBACK, socket.gethostname(), *({self.host} - WILDCARDS))
        space = os.environ.get("SPACE_HOST", "").split(",") if on_space() else ()
        return tuple(dict.fromkeys(name.lower().strip(" .") for name in (*own, *space, *self.hostnames) if name))

    @property
    def model_presets(self) -> tuple[Path, Path]:
        """Folders of the models' presets: the bundled ones, and those that `editlab validate` writes, which go first."""
        return self.presets / "models", self.data / "presets"

    @property
    def served(self) -> tuple[Path, ...]:
        """Folders whose files people are given: nothing secret may lie there."""
        return self.presets, self.data / "downloads"

    def reach(self) -> str:
        """Return who can reach the page, and under which names, in sentences.

        Raises `BadRequest` where everybody would be let in and nobody allowed it.
        """
        return f"{self._who()} It answers to {', '.join(self.names)}{'' if self.on_loopback else ' and any IP address'}."

    def _who(self) -> str:
        where = f"EditLab listens on {self.host}:{self.port}"
        if self.auth is not None:
            return f"{where}. The users in {self.auth} may come in, after a login."
        if self.demo:
            return f"{where} as a public demo: everybody who reaches it may come in and do a little."
        if self.alone:
            return f"{where}. Only this computer reaches it, and there is no login."
        if self.trusted_network:
            return f"{where} without a login: everybody who reaches it may do everything. Make sure that only you do."
        opened = f"--proxies {','.join(self.proxies)}" if self.on_loopback else f"--host {self.host}"
        raise BadRequest(
            f"{opened} would let everybody on the network in. Ask for a login: --auth FILE (editlab user add NAME "
            "--auth FILE makes one). Or make it a public page with limits: --demo. Or leave it away and come through an "
            f"SSH tunnel: ssh -L {self.port}:127.0.0.1:{self.port} THIS-COMPUTER."
        )
