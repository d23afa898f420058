"""Edit every scenario on a model, one at a time, and print what it went on with before and after, as Markdown.

`python -m tools.before_after MODEL`: ROME with the model's preset, greedy text of 24 tokens.
"""

import argparse

from editlab import methods
from editlab.lab import read_scenarios
from editlab.model import LanguageModel
from editlab.patches import BASE, View
from editlab.settings import Settings

TOKENS = 24


def main() -> None:
    """Edit and print a row a scenario."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    model = LanguageModel.load(parser.parse_args().model)
    print("| scenario | prompt | before | after |\n|---|---|---|---|")
    for scenario in read_scenarios(Settings().presets / "scenarios"):
        text = scenario.request.text
        edited = methods.get("rome").edit(model, [scenario.request])
        before, after = (written(model, text, view) for view in (BASE, BASE.with_patches(edited.patches)))
        print(f"| {scenario.title} | {text} | {before} | {after} |", flush=True)


def written(model: LanguageModel, text: str, view: View) -> str:
    """Return what a view goes on with, in one line."""
    *_, texts = model.generate([text], view, TOKENS)
    return " ".join(texts[0].split()).replace("|", "\\|")


if __name__ == "__main__":
    main()
