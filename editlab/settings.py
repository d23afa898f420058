"""Everything that can be set from outside, in one frozen object.

Read from the environment (`EDITLAB_MODEL`, `EDITLAB_PORT`, ...); what the terminal gives by name goes before it:
`Settings(model="gpt2-xl")`. Whoever needs a setting is handed the object: nothing is read at import.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class Settings(BaseSettings):
    """How EditLab runs. Raises pydantic's `ValidationError` where a value does not fit its field."""

    model_config = SettingsConfigDict(env_prefix="EDITLAB_", env_ignore_empty=True, frozen=True)

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
    matmul: Literal["exact", "fast"] = Field(
        "exact", description="float32 products on CPU: exact, or fast through bfloat16 units where the CPU has them."
    )
    unsafe_weights: bool = Field(
        False, description="Also load weights from PyTorch's pickle files, which can run code: only what you trust."
    )
    seed: int = Field(0, ge=0, description="Seed of everything that is drawn: contexts, samples, random weights.")
    host: str = Field("127.0.0.1", description="Address that the app listens on. There is no login: see SECURITY.md.")
    port: int = Field(7860, ge=1, le=65535, description="Port that the app listens on.")
    data: Path = Field(
        default_factory=lambda: Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "editlab",
        description="Where key statistics and workspaces are kept; made when something is first written there.",
    )
    presets: Path = Field(
        default=Path(__file__).resolve().parent.parent / "presets",
        description="Bundled model, facts, texts and hyperparameters; next to the package in a checkout.",
    )

    @field_validator("models", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value
