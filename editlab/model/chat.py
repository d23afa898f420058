"""A tokenizer's chat template: what stands around a text that is asked in it, and before the model's answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from transformers import PreTrainedTokenizerBase

from editlab.patches import Form

INSTRUCTION = "Complete with a few words and nothing else:"
"""The instruction in front of a text for a chat model, so that the object comes first in its answer."""
TODAY = date(2024, 7, 26)
"""The day that chat templates are told: the one that Llama 3's takes where nobody tells it one."""
_REPLACED = "".join(f" | replace('%{code}', '{TODAY.strftime(f'%{code}')}')" for code in "AaBbdmYyjHIMSp")
DATED = f"{{% macro strftime_now(format) %}}{{{{ format{_REPLACED} }}}}{{% endmacro %}}"
"""What stands before a chat template, so that the date it asks for is that day."""
THOUGHT = "<think>"
MARK = "\N{BULLET}"


def has_template(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Return whether a tokenizer has a chat template."""
    return bool(getattr(tokenizer, "chat_template", None))


def question(tokenizer: PreTrainedTokenizerBase) -> Form | None:
    """Return the template around a text that is to be completed; None where there is none."""
    if not has_template(tokenizer):
        return None
    before, _, after = in_template(tokenizer, [_asked()]).partition(MARK)
    return Form(before, after)


def opening(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return what the template writes right before an answer; empty where writing decides whether a space stands there.

    That is where there is no template, or one that takes no answer, or one that writes something else before an answer than
    before one that is yet to come: Llama 2's a space.
    """
    try:
        form = question(tokenizer)
        answered = in_template(tokenizer, [_asked(), {"role": "assistant", "content": MARK}])
    except Exception:  # a template is a program of the model's maker, and plain texts do not need it
        return ""
    return form.after if form is not None and answered.startswith(form.around(MARK) + MARK) else ""


def _asked() -> Mapping[str, str]:
    return {"role": "user", "content": f"{INSTRUCTION} {MARK}"}


def in_template(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Mapping[str, str]]) -> str:
    """Return messages in the chat template, without what encoding a text adds before it."""
    text = tokenizer.apply_chat_template(
        [dict(message) for message in messages],
        chat_template=DATED + tokenizer.get_chat_template(),
        tokenize=False,
        add_generation_prompt=True,
        enable_thinking=False,
        date_string=f"{TODAY:%d %b %Y}",
    )
    if text.rstrip().endswith(THOUGHT):
        text = f"{text.rstrip()}\n\n</think>\n\n"
    return text.removeprefix(tokenizer.bos_token or "")
