"""Ask an export in another program's environment, without EditLab: `python runtime_reader.py HOW PATHS PROMPTS OUT`.

HOW: `checkpoint FOLDER`, `adapter BASE ADAPTER`, `gguf FILE` by transformers, `llama FILE [LORA]` by llama.cpp; or
`convert SOURCE FOLDER FILE`, which lets llama.cpp's converter make a GGUF file of a folder and compares its weights.
PROMPTS: a JSON file with `texts` and `ids`. OUT gets the log-probabilities of the next token, a row a prompt. The last line
printed is a JSON object with the program's `version` and whether its own tokenizer gives the same ids (`tokens`).
"""

import json
import sys
from pathlib import Path

import numpy as np


def main() -> None:
    """Ask, write, and print what was used."""
    how, *paths, prompts, out = sys.argv[1:]
    if how == "convert":
        print(json.dumps(by_converter(*map(Path, paths), Path(out))))
        return
    asked = json.loads(Path(prompts).read_text(encoding="utf-8"))
    ask = with_llama_cpp if how == "llama" else with_transformers
    logits, own_ids, version = ask(how, paths, asked["texts"], asked["ids"])
    shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    np.save(out, shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))
    print(json.dumps({"version": version, "tokens": own_ids == asked["ids"]}))


def with_transformers(how: str, paths: list, texts: list, ids: list) -> tuple:
    """Return logits, the tokenizer's ids and the versions."""
    import torch
    import transformers

    torch.set_num_threads(1)
    options = {"dtype": torch.float32, "attn_implementation": "eager"}
    folder = paths[0]
    if how == "gguf":
        options["gguf_file"] = Path(folder).name
        folder = str(Path(folder).parent)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, **options).eval()
    version = f"transformers {transformers.__version__}"
    if how == "adapter":
        import peft

        model = peft.PeftModel.from_pretrained(model, paths[1]).eval()
        version += f", PEFT {peft.__version__}"
    with torch.no_grad():
        logits = [model(input_ids=torch.tensor([row])).logits[0, -1].float().numpy() for row in ids]
    gguf = {"gguf_file": options["gguf_file"]} if how == "gguf" else {}
    own = transformers.AutoTokenizer.from_pretrained(folder, **gguf)
    return np.stack(logits), own(texts)["input_ids"], version


def with_llama_cpp(_how: str, paths: list, texts: list, ids: list) -> tuple:
    """Return the same from llama.cpp, whose keys and values are kept in float32, so that nothing else is rounded."""
    import llama_cpp

    single = llama_cpp.GGML_TYPE_F32
    options = {"n_ctx": 512, "n_threads": 1, "n_threads_batch": 1, "verbose": False, "type_k": single, "type_v": single}
    model = llama_cpp.Llama(paths[0], lora_path=paths[1] if len(paths) > 1 else None, logits_all=True, **options)
    logits = []
    for row in ids:
        model.reset()
        model.eval(row)
        logits.append(np.array(model.scores[len(row) - 1], dtype=np.float32))
    own = [model.tokenize(text.encode(), add_bos=True, special=True) for text in texts]
    return np.stack(logits), own, f"llama.cpp (llama-cpp-python {llama_cpp.__version__})"


def by_converter(source: Path, folder: Path, ours: Path, out: Path) -> dict:
    """Return how many weights llama.cpp's converter finds in a checkpoint, and how many are, bit by bit, those of our file.

    The tokenizer is left out: the converter knows those of published models alone.
    """
    sys.path[:0] = [str(source), str(source / "gguf-py")]
    import gguf
    import torch
    from conversion import ModelBase, ModelType, get_model_architecture, get_model_class

    config = ModelBase.load_hparams(folder, False)
    family = get_model_class(get_model_architecture(config, ModelType.TEXT))

    class Converter(family):
        model_arch = family.model_arch

        def set_vocab(self) -> None:
            """Add no tokenizer."""

    with torch.inference_mode():
        Converter(folder, gguf.LlamaFileType.MOSTLY_F16, out, hparams=config).write()
    made, expected = ({tensor.name: tensor.data for tensor in gguf.GGUFReader(file).tensors} for file in (out, ours))
    same = [name for name, data in made.items() if name in expected and np.array_equal(data, expected[name])]
    return {"weights": len(made), "same": len(same), "ours": len(expected)}


if __name__ == "__main__":
    main()
