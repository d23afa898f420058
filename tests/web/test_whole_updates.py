"""What is sent of a handler's later values: never a change that Gradio's client makes in a value it has not drawn yet."""

from types import SimpleNamespace

import gradio as gr

from editlab.web.page import Page


def test_later_values_are_sent_whole_and_texts_are_appended_to():
    page, three = Page(analytics_enabled=False), SimpleNamespace(outputs=[None] * 3)
    disabled, row = gr.update(interactive=False), {"kept": [1]}

    def sent(*values, final=False, run="a run"):
        return page.handle_streaming_diffs(three, list(values), "a session", run, final)

    assert sent(disabled, "Stop", row) == [disabled, "Stop", row]
    later = sent(gr.skip(), "Stopping", {"kept": [1, 2]})
    assert later == [[["replace", [], gr.skip()]], [["append", [], "ping"]], [["replace", [], {"kept": [1, 2]}]]]
    assert sent(gr.skip(), "Other", {"kept": [1, 2]}) == [[], [["replace", [], "Other"]], []]
    assert sent(None, None, None, final=True) == [gr.skip(), "Other", {"kept": [1, 2]}]
    assert sent(disabled, "", row, run=None) == [disabled, "", row]
