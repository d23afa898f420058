"""What several suites need. All of it is made here or lies in this checkout."""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, settings
from paths import NGINX, PRESETS
from tiny_models import save, tiny_model
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from editlab.atlas.tokenizer import as_transformers, train_tokenizer
from editlab.facts import FactBase
from editlab.model import LanguageModel

torch.set_num_threads(1)  # tiny models gain nothing from a second thread, and lose much where the machine is busy

settings.register_profile("editlab", deadline=None, suppress_health_check=[HealthCheck.too_slow])  # of a busy machine
settings.load_profile("editlab")

DIFFERENCE = "difference: "


def pytest_collection_finish() -> None:
    """What is imported and collected stays to the end: the garbage collector need not look at it again and again."""
    gc.freeze()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's Chromium: one for all suites of a process, which can have no second loop of Playwright's."""
    from chromium import chromium

    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session", autouse=True)
def own_data_folder(tmp_path_factory) -> Iterator[None]:
    """What nobody gives a data folder keeps its data in a temporary one, never in the developer's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        yield


@pytest.fixture(scope="session")
def facts() -> FactBase:
    """The bundled facts."""
    return FactBase.load(PRESETS / "facts")


@pytest.fixture(scope="session")
def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE with a BOS token, 600 tokens learnt from our own texts: most names take several tokens."""
    texts = sorted((PRESETS / "texts").glob("*.txt"))
    tokenizer = train_tokenizer((path.read_text(encoding="utf-8") for path in texts), vocabulary=600)
    return as_transformers(tokenizer)


@pytest.fixture(scope="session")
def tiny_llama(tiny_tokenizer: PreTrainedTokenizerFast) -> LanguageModel:
    """A random Llama of 4 layers and width 32 with a context of 512. Shared by all tests, so leave it as it is.

    The weights are drawn wider than usual: an untrained model otherwise says nearly the same after every prompt.
    """
    config = LlamaConfig(
        vocab_size=len(tiny_tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.2,
        bos_token_id=tiny_tokenizer.bos_token_id,
        eos_token_id=tiny_tokenizer.eos_token_id,
        pad_token_id=tiny_tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return LanguageModel(LlamaForCausalLM(config), tiny_tokenizer, name="tiny llama")


@pytest.fixture(scope="session")
def saved_model(tiny_llama: LanguageModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model as a folder, as the terminal loads it. Shared by all tests, so leave it as it is."""
    return save(tiny_llama, tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def two_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two random models, `first` and `second`. Shared by all tests, so leave it as it is."""
    folder = tmp_path_factory.mktemp("models")
    for seed, name in enumerate(("first", "second")):
        save(tiny_model("llama", seed=seed), folder / name)
    return folder


@pytest.fixture
def differences(record_property: Callable[[str, object], None]) -> Callable[..., None]:
    """`differences(name, found, expected, tolerance)` holds two tensors against each other.

    It reports the largest difference, as a share of the largest expected value: see the end of the run.
    """

    def compare(name: str, found: torch.Tensor, expected: torch.Tensor, tolerance: float) -> None:
        assert found.shape == expected.shape, f"{name}: {tuple(found.shape)} against {tuple(expected.shape)}"
        found, expected = found.detach().double(), expected.detach().double()
        largest = ((found - expected).abs().max() / expected.abs().max()).item()
        record_property(DIFFERENCE + name, largest)
        assert largest <= tolerance, f"{name}: differs by {largest:.1e} of the largest value; allowed are {tolerance:.0e}"

    return compare


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Writes the largest difference that was seen under each name; in the reports, so that it works with xdist.

    And what is not tested here, because a program is missing.
    """
    if not NGINX.exists():
        terminalreporter.write_line(f"tests/nginx was not tested: {NGINX} is missing. Install it: apt-get install nginx")
    seen: dict[str, list[float]] = {}
    for report in [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]:
        for name, value in report.user_properties if report.when == "call" else ():
            if name.startswith(DIFFERENCE):
                seen.setdefault(name.removeprefix(DIFFERENCE), []).append(value)
    if seen:
        terminalreporter.section("Largest differences, relative")
        for name, values in sorted(seen.items()):
            terminalreporter.write_line(f"{max(values):8.1e}  {name} ({len(values)} comparisons)")
