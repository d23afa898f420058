"""The settings of EditLab, in one frozen object.

They are read from the environment (`EDITLAB_MODEL`, `EDITLAB_PORT`, ...); arguments override it:
`Settings(model="gpt2-xl")`. The object is passed to the code that needs it; nothing is read at import.
"""

from __future__ import annotations

import os
import re
import socket
from importlib.resources import files
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from editlab.errors import BadRequest

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Addresses that can be reached only from this computer."""
WILDCARDS = frozenset({"0.0.0.0", "::"})
"""Addresses that mean all addresses of this computer."""
PRIVATE_NETWORKS = ("127.0.0.1", "::1", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
"""The addresses of a Space's proxies. The visitor's is the last forwarded address that is none of these."""
MOST_SEED = 2**31 - 1
"""The largest seed that every library accepts."""
HOSTNAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?|[0-9a-f:][0-9a-f:.]*|\.[a-z0-9_-]+(\.[a-z0-9_-]+)+", re.ASCII)
"""A host name, an address, or a domain with a dot before it: all names below it."""
ROOT_PATH = re.compile(r"(/[A-Za-z0-9._~@%+-]*[A-Za-z0-9_~@%+-])+", re.ASCII)
"""A path of a site, none of whose parts is `.` or `..`."""
LONGEST_ROOT = 200
FRAMES = re.compile(
    r"'self'|https?://(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*(:([0-9]{1,5}|\*))?|(?!https?:|data:|blob:)[a-z][a-z0-9+.-]*:",
    re.ASCII,
)
"""Who may show the page in a frame: this site, another one, or an editor's own scheme (`vscode-webview:`)."""
SPACE_FRAMES = ("'self'", "https://huggingface.co", "https://*.hf.space")
"""The sites that show a Hugging Face Space in a frame."""


def explain(error: ValidationError) -> str:
    """Return which settings are at fault, and why."""
    return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())


def on_space() -> bool:
    """Return whether this is a Hugging Face Space, which is public."""
    return bool(os.environ.get("SPACE_ID"))


def bundled_presets() -> Path:
    """Return the folder of the bundled model, facts and texts: inside of an installed package, next to it in a checkout."""
    package = Path(str(files("editlab")))
    installed = package / "presets"
    return installed if installed.is_dir() else package.parent / "presets"


class Settings(BaseSettings):
    """The settings of one process. Raises pydantic's `ValidationError` for a value that does not fit its field."""

    model_config = SettingsConfigDict(
        env_prefix="EDITLAB_",
        env_ignore_empty=True,
        frozen=True,
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_prog_name="editlab serve",
    )

    model: str = Field(
        "atlas", description="The model: atlas, a folder, a GGUF file, package:NAME, a hub id, or config:NAME."
    )
    quantization: Literal["none", "8bit", "4bit"] = Field("none", description="How the frozen weights are held.")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="Precision of weights and activations; auto chooses by model size and device."
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where the model runs; auto takes the GPU if there is one."
    )
    start: str = Field(
        "auto",
        min_length=1,
        max_length=64,
        description="What stands before every plain text: auto (the document separator that the model learned, as its "
        "preset says or as it is measured once), none, or a text such as <|endoftext|>; with ␣ at its end, a space follows.",
    )
    models: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Models that the page offers besides the one it starts with and atlas, as MODEL,MODEL.",
    )
    idle_minutes: float = Field(
        0.0,
        ge=0,
        description="Minutes without work until the weights leave the memory; the next question loads them; 0: never.",
    )
    check_ups: bool = Field(True, description="Check all edits of a workspace after every change, for the Monitor tab.")
    measure_statistics: bool = Field(
        True, description="Measure key statistics that the model lacks, in the background; its first edit waits for them."
    )
    matmul: Literal["exact", "fast"] = Field(
        "exact", description="float32 products on CPU: exact, or fast through bfloat16 units where the CPU has them."
    )
    unsafe_weights: bool = Field(
        False, description="Also load weights from PyTorch's pickle files, which can run code: only what you trust."
    )
    seed: int = Field(0, ge=0, le=MOST_SEED, description="Seed of everything random: contexts, samples, random weights.")
    host: str = Field(
        default_factory=lambda: "0.0.0.0" if on_space() else LOOPBACK[0],
        description="Address that the app listens on. One that others can reach needs a login or the demo's limits.",
    )
    port: int = Field(7860, ge=1, le=65535, description="Port that the app listens on.")
    hostnames: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Names under which browsers reach the page besides this computer's own, as NAME,NAME. Requests for any "
        "other name are refused. .DOMAIN stands for all names below it.",
    )
    root_path: str = Field(
        "",
        max_length=LONGEST_ROOT,
        description="Path of the site below which browsers reach the page, as /editlab. A reverse proxy may keep it or "
        "take it off.",
    )
    frame_ancestors: Annotated[tuple[str, ...], NoDecode] = Field(
        default_factory=lambda: SPACE_FRAMES if on_space() else (),
        description="Sites that may show the page in a frame, as self,https://NAME. Otherwise none may.",
    )
    proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        default_factory=lambda: PRIVATE_NETWORKS if on_space() else (),
        description="Addresses or networks of reverse proxies whose X-Forwarded-For, -Proto, -Host and -Prefix are trusted, "
        "as ADDRESS,NETWORK.",
    )
    auth: Path | None = Field(
        None, description="File of the users who may log in; editlab user add writes it. Without it there is no login."
    )
    demo: bool = Field(
        default_factory=on_space,
        description="Run a public page, which everybody may use within limits. Default on a Hugging Face Space.",
    )
    demo_hours: float = Field(6.0, gt=0, description="Hours without use until a demo deletes a visitor's edits.")
    trusted_network: bool = Field(
        False, description="Let everybody who reaches the port do everything: for a container published only on localhost."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level that is logged.")
    log_json: bool = Field(False, description="Log one JSON object a line.")
    log_prompts: bool = Field(False, description="Also log what visitors type. Otherwise no prompt reaches the log.")
    data: Path = Field(
        default_factory=lambda: Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "editlab",
        description="Folder of workspaces, key statistics, masks and presets. It is made when something is first written.",
    )
    presets: Path = Field(
        default_factory=bundled_presets, description="Folder of the bundled model, facts, texts and hyperparameters."
    )

    @field_validator("models", "hostnames", "proxies", "frame_ancestors", mode="before")
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

    @field_validator("root_path")
    @classmethod
    def _check_root_path(cls, path: str) -> str:
        path = path.rstrip("/")
        if path and not ROOT_PATH.fullmatch(path):
            raise ValueError(f"{path!r} is no path of a site. Write it as /editlab")
        return path

    @field_validator("frame_ancestors")
    @classmethod
    def _check_frame_ancestors(cls, sites: tuple[str, ...]) -> tuple[str, ...]:
        sites = tuple("'self'" if site.strip("'") == "self" else site.lower().rstrip("/") for site in sites)
        wrong = next((site for site in sites if not FRAMES.fullmatch(site)), None)
        if wrong is not None:
            raise ValueError(f"{wrong!r} is no site. Write it as https://lab.example.org or http://localhost:8888, or self")
        return sites

    @field_validator("proxies")
    @classmethod
    def _check_proxies(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        networks = [ip_network(proxy, strict=False) for proxy in proxies]  # its ValueError names what is wrong
        if any(network.prefixlen == 0 for network in networks):
            raise ValueError("with a network of all addresses, every visitor could claim any address")
        return tuple(map(str, networks))

    @property
    def on_loopback(self) -> bool:
        """Whether the app listens only on this computer's own address."""
        return self.host in LOOPBACK

    @property
    def single_user(self) -> bool:
        """Whether only this computer's user can reach the page."""
        return self.on_loopback and self.auth is None and not self.demo and not self.proxies

    @property
    def names(self) -> tuple[str, ...]:
        """The host names that are answered, in lower case. Beyond loopback, IP addresses are answered as well.

        Any other name may be one that an attacker points to this computer (DNS rebinding).
        """
        own = LOOPBACK if self.on_loopback else (*LOOPBACK, socket.gethostname(), *({self.host} - WILDCARDS))
        space = os.environ.get("SPACE_HOST", "").split(",") if on_space() else ()
        return tuple(dict.fromkeys(name.lower().strip().rstrip(".") for name in (*own, *space, *self.hostnames) if name))

    @property
    def model_presets(self) -> tuple[Path, Path]:
        """The folders of the models' presets: bundled ones, and those of `editlab validate`, which take precedence."""
        return self.presets / "models", self.data / "presets"

    @property
    def statistics_folders(self) -> tuple[Path, ...]:
        """The folders of key statistics: those that came with a model, and the user's own, which take precedence."""
        return *sorted(self.presets.glob("*/statistics")), self.data / "statistics"

    @property
    def public_folders(self) -> tuple[Path, ...]:
        """The folders whose files visitors can get. Nothing secret may be in them."""
        return self.presets, self.data / "downloads"

    def reach(self) -> str:
        """Return in sentences who can reach the page, and under which names.

        Raises `BadRequest` where everybody could use the page and the settings do not allow it.
        """
        below = f" Its path is {self.root_path}/." if self.root_path else ""
        names = f"It answers to {', '.join(self.names)}{'' if self.on_loopback else ' and any IP address'}."
        return f"{self._who()}{below} {names}"

    def _who(self) -> str:
        where = f"EditLab listens on {self.host}:{self.port}"
        if self.auth is not None:
            return f"{where}. The users in {self.auth} can log in."
        if self.demo:
            return f"{where} as a public demo: everybody who reaches it can use it within limits."
        if self.single_user:
            return f"{where}. Only this computer reaches it, and there is no login."
        if self.trusted_network:
            return f"{where} without a login: everybody who reaches it may do everything. Make sure that only you can."
        option = f"--proxies {','.join(self.proxies)}" if self.on_loopback else f"--host {self.host}"
        raise BadRequest(
            f"With {option}, everybody on the network could use EditLab. Ask for a login: --auth FILE (editlab user add "
            "NAME --auth FILE makes one). Or make it a public page with limits: --demo. Or omit the option and use an SSH "
            f"tunnel: ssh -L {self.port}:127.0.0.1:{self.port} THIS-COMPUTER."
        )
