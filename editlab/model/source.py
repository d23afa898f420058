"""Where a model comes from: the bundled one, a folder, a GGUF file, a package, a LoRA, a hub id, or seeded noise.

Only its configuration is read here, so that memory can be planned and mistakes reported before any weight is touched.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from accelerate import init_empty_weights
from huggingface_hub import snapshot_download
from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError, RevisionNotFoundError
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PretrainedConfig, PreTrainedTokenizerBase
from transformers import __version__ as VERSION

from editlab import network
from editlab.errors import BadFile, BadModel, EditLabError, UnsupportedArchitecture
from editlab.model import gguf, lora, packages
from editlab.model.architectures import ARCHITECTURES, architecture_of
from editlab.model.weights import Quantization, refuse_two_checkpoints, weight_files
from editlab.settings import Settings
from editlab.storage import FOLDER_MODE, make_folder, new_folder
from editlab.wording import noop
from editlab.work import Cancel, Progress

RANDOM = "config:"
SMALL_FILES = ("*.json", "*.jinja", "*.txt", "*.model")
"""What a hub model has besides its weights: configuration, index, tokenizer."""
HUB_GGUF = re.compile(r"[\w.+-]+\.gguf", re.IGNORECASE | re.ASCII)
"""A GGUF file's name in the top folder of a hub model, with nothing in it that would match other files."""
EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
"""What configurations call the number of a layer's experts."""
SENSES = ("vision_config", "audio_config", "text_config", "thinker_config")
"""What only the configurations of models have that read more than text."""
OWN_KERNELS = {None, "eager", "sdpa", "batched_mm", "grouped_mm"}
"""What computes attention and experts without code from elsewhere."""


@dataclass(frozen=True)
class Recipe:
    """How the folder of a model is made from something else, once. `of`: what that is, in a few words.

    `tokenizer` loads the tokenizer before the folder is there. `make(source, folder, progress, cancel)` writes the folder.
    """

    of: str
    tokenizer: Callable[[], PreTrainedTokenizerBase]
    make: Callable[[Source, Path, Settings, Progress, Cancel], None]


@dataclass(frozen=True)
class Source:
    """A model that was found but not loaded. `name` as the user gave it; `place`: a folder, or a hub id at a `revision`.

    `place` None: random weights, with Atlas's tokenizer. `folder`: where its files lie on this machine, those of a hub model
    in the hub's cache; of random weights, where the tokenizer lies. `recipe`: of a model whose folder is made here.
    """

    name: str
    config: PretrainedConfig
    place: str | None
    revision: str | None
    folder: Path
    recipe: Recipe | None = None

    @property
    def local(self) -> bool:
        """Whether it lies on this machine, so that no network is needed."""
        return self.place is None or self.recipe is not None or Path(self.place).exists()

    @property
    def made(self) -> bool:
        """Whether its folder is there."""
        return self.recipe is None or (self.folder / "config.json").is_file()

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
        if self.recipe is not None and not self.made:
            return self.recipe.tokenizer()
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


def find(name: str, settings: Settings, over: tuple[str, ...] = ()) -> Source:
    """Find the model of a name: `atlas`, a folder, a GGUF file, `package:NAME`, `owner/name[@revision]`, `config:NAME`.

    A folder may hold a whole model, a GGUF file, or a LoRA. Only a hub id uses the network; `owner/name/FILE.gguf` is a
    GGUF file there. `over`: the LoRAs over it. Raises `BadModel` with what to do, or `UnsupportedArchitecture`.
    """
    atlas = settings.presets / "atlas"
    if name.startswith(RANDOM):
        config = AutoConfig.for_model(**_table(name.removeprefix(RANDOM), settings.model_presets))
        return _checked(Source(name, config, None, None, atlas))
    if name.startswith(packages.PREFIX):
        return _here(name, packages.weights_of(name), settings, over)
    place, _, revision = (str(atlas), "", "") if name == "atlas" else name.partition("@")
    folder = Path(os.path.expanduser(name if os.path.exists(os.path.expanduser(name)) else place))
    if os.path.exists(folder):
        return _here(name, folder, settings, over)
    owner, _, rest = place.partition("/")
    repository, _, file = rest.partition("/")
    if not (owner and repository) or (file and not HUB_GGUF.fullmatch(file)):
        raise BadModel(f"{name!r} is neither a folder nor a GGUF file here, nor a hub id like 'owner/name'. Check the path.")
    if file:
        return _from_gguf_of_hub(name, f"{owner}/{repository}", revision or None, file, settings)
    cached = fetch(name, place, revision or None, SMALL_FILES)
    if not (cached / "config.json").is_file():
        raise BadModel(f"{name} has no config.json on the hub. If it holds GGUF files, name one: {place}/FILE.gguf")
    return _checked(Source(name, _read(name, cached, local=False), place, cached.name, cached))


def _here(name: str, path: Path, settings: Settings, over: tuple[str, ...]) -> Source:
    """Return the model of a file or folder on this machine."""
    if path.is_file():
        if path.suffix.lower() != ".gguf":
            raise BadModel(f"{name} is a file, but not a GGUF file (.gguf). Give a model's folder, or a GGUF file.")
        return _from_gguf(name, path, settings)
    if lora.stores_adapter_alone(path):
        return _from_lora(name, path, settings, over)
    if (path / "config.json").is_file():
        return _checked(Source(name, _read(name, path, local=True), str(path), None, path))
    ggufs = sorted(path.glob("*.gguf"))
    if len(ggufs) == 1:
        return _from_gguf(name, ggufs[0], settings)
    if ggufs:
        raise BadModel(f"{name} holds {len(ggufs)} GGUF files. Give one: {', '.join(map(str, ggufs))}")
    raise BadModel(
        f"{name} holds no model: there is no config.json in it, nor a GGUF file. Give a folder that save_pretrained wrote."
    )


def _from_gguf(name: str, path: Path, settings: Settings) -> Source:
    file = gguf.read(name, path.absolute())

    def write(source: Source, folder: Path, _settings: Settings, progress: Progress, cancel: Cancel) -> None:
        file.dequantise(folder, source.skeleton, progress, cancel)

    recipe = Recipe(f"dequantised from {path.name} ({file.kind})", file.tokenizer, write)
    folder = settings.data / "models" / file.digest
    return _checked(Source(name, file.config, str(folder), None, folder, recipe))


def _from_gguf_of_hub(name: str, place: str, revision: str | None, file: str, settings: Settings) -> Source:
    path = fetch(name, place, revision, (file,)) / file
    if not path.is_file():
        raise BadModel(f"{place} has no file {file} on the hub. Look there for the names of its GGUF files.")
    return _from_gguf(name, path, settings)


def _from_lora(name: str, path: Path, settings: Settings, over: tuple[str, ...]) -> Source:
    adapter = lora.read(name, path)
    beside = path / adapter.base
    base_name = str(beside) if os.path.exists(beside) else adapter.base
    over = (*over, os.path.realpath(path))
    try:
        if os.path.realpath(os.path.expanduser(base_name)) in over:
            raise BadModel("that is the LoRA itself.")
        base = find(base_name, settings, over)
    except EditLabError as error:
        raise type(error)(
            noop(
                f"{name} is a LoRA, and its base model {adapter.base!r} cannot be had: {error} The base is named in "
                f"{lora.CONFIG}, base_model_name_or_path."
            )
        ) from error
    if base.place is None or base.stored != "none":
        raise BadModel(f"{name} is a LoRA over {adapter.base}, which has no plain weights. Name another base.")

    def write(_source: Source, folder: Path, settings: Settings, progress: Progress, cancel: Cancel) -> None:
        bring(base, settings, progress, cancel)
        adapter.merge(base.folder, folder, progress, cancel)

    def tokenizer() -> PreTrainedTokenizerBase:
        own = (path / "tokenizer.json").exists()
        return (replace(base, name=name, folder=path, recipe=None) if own else base).tokenizer()

    key = adapter.digest + (base.revision or (base.folder.name if base.recipe else lora.identity(base.folder)))
    folder = settings.data / "models" / sha256(key.encode()).hexdigest()[:16]
    recipe = Recipe(f"LoRA merged over {adapter.base}", tokenizer, write)
    return _checked(Source(name, base.config, str(folder), None, folder, recipe))


def make(source: Source, settings: Settings, progress: Progress, cancel: Cancel) -> None:
    """Make the folder of a source that has a recipe, where it is not there yet. Raises `BadModel`, `Cancelled`."""
    if source.recipe is None or source.made:
        return
    try:
        make_folder(source.folder.parent)
        with new_folder(source.folder, FOLDER_MODE) as part:
            source.recipe.make(source, part, settings, progress, cancel)
    except (OSError, BadFile, SafetensorError) as error:
        if not source.made:  # nor did another process make it meanwhile
            raise BadModel(
                f"{source.name} could not be written to {source.folder.parent}: {error}. See that the disk has room for its "
                "weights, or set EDITLAB_DATA."
            ) from error


def bring(source: Source, settings: Settings, progress: Progress, cancel: Cancel) -> None:
    """See that the files with the weights are there and may be read: made, or fetched. Raises `BadModel`."""
    make(source, settings, progress, cancel)
    for files in weight_files(source.name, source.folder, pickles=settings.unsafe_weights):
        if source.local:
            continue  # what is missing is reported by name when it is loaded
        fetch(source.name, str(source.place), source.revision, files)
        if all((source.folder / file).exists() for file in files):
            return


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
    _check_family(source.name, source.config)
    if source.place is None:
        return source
    refuse_two_checkpoints(source.name, source.folder)
    if (source.folder / lora.CONFIG).exists():
        raise BadModel(
            f"{source.name} has an adapter beside its weights ({lora.CONFIG}). Merge it into them (merge_and_unload of "
            "peft), save the model anew, and give that folder."
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


def _check_family(name: str, config: PretrainedConfig) -> None:
    """Raise `UnsupportedArchitecture` with what EditLab lacks for a model of this configuration."""
    family = config.model_type
    if family in ARCHITECTURES:
        return
    if any(getattr(config, field, None) for field in EXPERTS) or "moe" in family:
        raise UnsupportedArchitecture(gguf.experts(name))
    if any(getattr(config, field, None) is not None for field in SENSES):
        own = getattr(getattr(config, "text_config", None), "model_type", None)
        known = noop(f" Its language part is a {own!r} model, which EditLab knows.") if own in ARCHITECTURES else ""
        raise UnsupportedArchitecture(
            f"{name} reads more than text (a {family!r} model), and EditLab edits models of text alone.{known} Give a model "
            "of text of the same family, or the language part saved as a model of its own."
        )
    architecture_of(family)


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
    if "does not recognize this architecture" in str(error):
        return UnsupportedArchitecture(f"{name} is of a family that transformers {VERSION} does not know. Use another.")
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
