"""Edit every example on a model, one at a time, and print what it went on with before and after, as Markdown.

`python -m tools.before_after MODEL`: ROME with the model's preset, greedy text of 24 tokens.
"""

import argparse

from editlab import methods
from editlab.lab import read_examples
from editlab.model import LanguageModel
from editlab.patches import BASE, View
from editlab.settings import Settings

TOKENS = 24


def main() -> None:
    """Edit and print a row an example."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    model = LanguageModel.load(parser.parse_args().model)
    print("| example | prompt | before | after |\n|---|---|---|---|")
    for example in read_examples(Settings().presets / "examples"):
        text = example.request.text
        edited = methods.get("rome").edit(model, [example.request])
        before, after = (written(model, text, view) for view in (BASE, BASE.with_patches(edited.patches)))
        print(f"| {example.title} | {text} | {before} | {after} |", flush=True)


def written(model: LanguageModel, text: str, view: View) -> str:
    """Return what a view goes on with, in one line."""
    *_, texts = model.generate([text], view, TOKENS)
    return " ".join(texts[0].split()).replace("|", "\\|")


if __name__ == "__main__":
    main()
