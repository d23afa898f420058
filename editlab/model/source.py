"""Where a model comes from: the bundled one, a folder, a hub id, or a real architecture to be filled with seeded noise.

Only its configuration is read here, so that memory can be planned and mistakes reported before any weight is touched.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from accelerate import init_empty_weights
from huggingface_hub import snapshot_download
from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PretrainedConfig, PreTrainedTokenizerBase

from editlab import network
from editlab.errors import BadFile, BadModel, EditLabError
from editlab.model.architectures import architecture_of
from editlab.model.weights import Quantization
from editlab.settings import Settings

RANDOM = "config:"
SMALL_FILES = ("*.json", "*.jinja", "*.txt", "*.model")
"""What a hub model has besides its weights: configuration, index, tokenizer."""
ADAPTER = "adapter_config.json"
OWN_KERNELS = {None, "eager", "sdpa", "batched_mm", "grouped_mm"}
"""What computes attention and experts without code from elsewhere."""


@dataclass(frozen=True)
class Source:
    """A model that was found but not loaded. `name` as the user gave it; `place`: a folder, or a hub id at a `revision`.

    `place` None: random weights, with Atlas's tokenizer. `folder`: where its files lie on this machine, those of a hub model
    in the hub's cache; of random weights, where the tokenizer lies.
    """

    name: str
    config: PretrainedConfig
    place: str | None
    revision: str | None
    folder: Path

    @property
    def local(self) -> bool:
        """Whether it lies on this machine, so that no network is needed."""
        return self.place is None or Path(self.place).exists()

    @property
    def stored(self) -> Quantization:
        """How its weights lie on the disk: bare, or in bitsandbytes' 8 or 4 bit. Raises `BadModel` for other ways."""
        how = getattr(self.config, "quantization_config", None)
        if how is None:
            return "none"
        stored = how if isinstance(how, dict) else how.to_dict()
        if stored.get("quant_method") != "bitsandbytes":
            raise BadModel(
                f"{self.name} is stored in {stored.get('quant_method')}, which cannot be edited. Take the model that it was "
                "made from, with --quantization 4bit."
            )
        return "4bit" if stored.get("load_in_4bit") else "8bit"

    def held(self, quantization: Quantization) -> Quantization:
        """Return how its weights will be held: as stored, or as asked. Raises `BadModel` where the two contradict."""
        if quantization not in ("none", self.stored) and self.stored != "none":
            raise BadModel(f"{self.name} is stored in {self.stored}. Load it as it is (--quantization none).")
        return self.stored if quantization == "none" else quantization

    @cached_property
    def skeleton(self) -> nn.Module:
        """The model without weights, for its shapes."""
        with init_empty_weights():
            return AutoModelForCausalLM.from_config(self.config)

    @cached_property
    def on_disk(self) -> int | None:
        """Bytes of its safetensors files; None where they are not on this machine."""
        files = [] if self.place is None or not self.local else list(self.folder.glob("*.safetensors"))
        return sum(file.stat().st_size for file in files) if files else None

    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Load its tokenizer. Raises `BadModel` where there is none with character offsets."""
        try:
            found = AutoTokenizer.from_pretrained(str(self.folder), local_files_only=True, trust_remote_code=False)
        except Exception as error:  # whatever a broken file makes the library raise
            raise BadModel(
                f"{self.name} has no tokenizer that can be read. Put the model's tokenizer.json and tokenizer_config.json "
                "beside its weights."
            ) from error
        if not found.is_fast:
            raise BadModel(f"{self.name} has no fast tokenizer (tokenizer.json): EditLab needs its character offsets.")
        return found


def find(name: str, settings: Settings) -> Source:
    """Find the model of a name: `atlas`, a folder, a hub id (`owner/name` or `owner/name@revision`), `config:NAME`.

    A hub id is the only one that uses the network. Raises `BadModel` with what to do, or `UnsupportedArchitecture`.
    """
    atlas = settings.presets / "atlas"
    if name.startswith(RANDOM):
        config = AutoConfig.for_model(**_table(name.removeprefix(RANDOM), settings.model_presets))
        return _checked(Source(name, config, None, None, atlas))
    place, _, revision = (str(atlas), "", "") if name == "atlas" else name.partition("@")
    folder = Path(name if Path(name).expanduser().exists() else place).expanduser()
    if folder.exists():
        if not (folder / "config.json").is_file():
            raise BadModel(
                f"{name} holds no model: there is no config.json in it. Give a folder that save_pretrained wrote."
            )
        return _checked(Source(name, _read(name, folder, local=True), str(folder), None, folder))
    if place.count("/") != 1 or not all(place.split("/")):
        raise BadModel(f"{name!r} is neither a folder here nor a hub id like 'owner/name'. Check the path.")
    cached = fetch(name, place, revision or None, SMALL_FILES)
    return _checked(Source(name, _read(name, cached, local=False), place, cached.name, cached))


def fetch(name: str, place: str, revision: str | None, files: Sequence[str]) -> Path:
    """Return the folder of the hub's cache with these files of a hub model, fetched where needed; its name is their commit.

    `files`: names or patterns, of the model's top folder alone. A file that the hub does not have is left out. Raises
    `BadModel` with what to do.
    """
    try:
        with network.hub():
            return Path(snapshot_download(place, revision=revision, allow_patterns=list(files), ignore_patterns=["*/*"]))
    except Exception as error:  # whatever the hub, the network or the disk make the library raise
        raise loading_error(name, False, error) from error


def _checked(source: Source) -> Source:
    """Return it. Raises `UnsupportedArchitecture`, or `BadModel` where other files would decide what is loaded or run."""
    architecture_of(source.config.model_type)
    if source.place is None:
        return source
    if (source.folder / ADAPTER).exists():
        raise BadModel(
            f"{source.name} has an adapter beside its weights ({ADAPTER}). Merge it into them (merge_and_unload of peft), "
            "save the model anew, and give that folder."
        )
    elsewhere = getattr(source.config, "transformers_weights", None)
    if elsewhere is not None:
        raise BadModel(
            f"{source.name} keeps its weights in {elsewhere!r} (transformers_weights in config.json). Load it in "
            "transformers and save it anew with save_pretrained."
        )
    if not {source.config._attn_implementation, source.config._experts_implementation} <= OWN_KERNELS:
        raise BadModel(
            f"{source.name} asks for kernels, which can be code from the hub. Remove attn_implementation and "
            "experts_implementation from its config.json."
        )
    return source


def _read(name: str, folder: Path, *, local: bool) -> PretrainedConfig:
    try:
        return AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except Exception as error:  # a broken config.json makes the library raise whatever its field's check raises
        raise loading_error(name, local, error) from error


def loading_error(name: str, local: bool, error: Exception) -> EditLabError:
    """Return the error for a model that the library could not load, with what a person can do about it."""
    if isinstance(error, EditLabError):
        return error
    causes = _causes(error)
    repository = name.partition("@")[0]
    if any(isinstance(cause, GatedRepoError) for cause in causes):
        return BadModel(
            f"{repository} is gated. Accept its licence on https://huggingface.co/{repository}, then log in here: "
            "hf auth login (or set HF_TOKEN)."
        )
    if any(isinstance(cause, RevisionNotFoundError) for cause in causes):
        return BadModel(f"{repository} has no such revision. Write {repository}@ and a branch, tag or commit that it has.")
    if any(isinstance(cause, RepositoryNotFoundError) for cause in causes):
        return BadModel(f"The hub has no {repository}, or it is private. Check the name, or log in: hf auth login.")
    if any(isinstance(cause, LocalEntryNotFoundError | ConnectionError) for cause in causes):
        return BadModel(f"{repository} is not on this machine and the hub cannot be reached. Give a folder, or connect.")
    if local and "trust_remote_code" in str(error):
        return BadModel(f"{name} brings code of its own, which EditLab does not run. Use a model of a known family.")
    if "no file named model.safetensors" in str(error):
        return BadModel(
            f"{name} has no weights in safetensors files. Save it with save_pretrained of a recent transformers, or, if you "
            "trust its pickle files, set EDITLAB_UNSAFE_WEIGHTS=1."
        )
    why = _first_line(error)
    if local:
        return BadModel(
            f"{name} could not be loaded from its folder: one of its files is damaged or missing. Copy them again. ({why})"
        )
    return BadModel(f"{name} could not be fetched from the hub: {why}")


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def _first_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0].strip()[:300] if lines else type(error).__name__


def _table(name: str, folders: tuple[Path, ...]) -> dict[str, Any]:
    known = {own: preset["config"] for own, preset in presets_by_name(folders).items() if "config" in preset}
    if name not in known:
        raise BadModel(f"There is no preset {name!r}. config:NAME takes one of: {', '.join(sorted(known))}.")
    return known[name]


@cache
def presets_by_name(folders: tuple[Path, ...]) -> dict[str, dict[str, Any]]:
    """Return the presets (`*.toml`) of these folders by name; of two with one name, that of the later folder."""
    tables = {}
    for path in (path for folder in folders for path in sorted(folder.glob("*.toml"))):
        try:
            tables[path.stem] = tomllib.loads(path.read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as error:
            raise BadFile(f"{path} is not TOML: {error}") from error
    return tables


def preset_for(config: PretrainedConfig, checkpoint: str, folders: tuple[Path, ...]) -> dict[str, Any]:
    """Return the preset measured on these very weights, else one whose `[match]` fits the configuration, else an empty one.

    What was measured on other weights of the same shape is left out: of those the preset gives the settings alone.
    """
    fits = [
        preset
        for preset in presets_by_name(folders).values()
        if all(getattr(config, key, None) == value for key, value in preset["match"].items())
    ]
    for preset in fits:
        if preset.get("checkpoint") == checkpoint:
            return preset
    fits.sort(key=lambda preset: "checkpoint" in preset)
    return {**fits[0], "validated": False, "measured": {}} if fits else {}
