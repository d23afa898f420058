"""Multiple-choice tasks for lm-evaluation-harness, made of EditLab's own facts and prose.

`editlab bench ability` runs them on a view; `lm_eval --include_path` takes this folder as well.
"""
