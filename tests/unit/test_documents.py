"""The documents are true: commands, options, settings, links, sections that the code cites, log events and metrics exist."""

import ast
import re
import shlex
import tomllib
from itertools import dropwhile
from pathlib import Path

import pytest
import typer
from paths import ROOT

import editlab
from editlab.cli import app
from editlab.settings import Settings

DOCS = ROOT / "docs"
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(path for name in ("docs", "presets", "tests") for path in (ROOT / name).rglob("*.md"))]
)
DEPLOY = (DOCS / "deploy.md").read_text(encoding="utf-8")
INTERFACES = (DOCS / "interfaces.md").read_text(encoding="utf-8")
COMMAND = typer.main.get_command(app)
SERVER = {"--help"} | {
    f"--{prefix}{name.replace('_', '-')}"
    for name, field in Settings.model_fields.items()
    for prefix in (("", "no-") if field.annotation is bool else ("",))
}
MODULES = sorted([ROOT / "app.py", *(ROOT / "editlab").rglob("*.py")])
SOURCES = "".join(path.read_text(encoding="utf-8") for path in MODULES)


def named(path):
    return str(path.relative_to(ROOT))


def blocks(text, *languages):
    """Return the fenced blocks in these languages."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [block for language, block in found if language in languages]


def prose(text):
    """Return a text without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def command_lines(text):
    """Yield each command line that a document shows, in fences and within its sentences."""
    for block in blocks(text, "sh", "ini", "crontab"):
        yield from block.replace("\\\n", " ").splitlines()
    spans = (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose(text)))
    yield from (span for span in spans if span.startswith(("editlab ", "python app.py")))


def commands(line):
    """Return the words of each command of a line, without its comment."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    found = [[]]
    for word in lexer:
        if set(word) <= set("();<>|&"):
            found.append([])
        else:
            found[-1].append(word)
    return found


def call_of(words):
    """Return ("server" or "terminal", arguments) if a command calls EditLab, which is also a user, a folder and an image."""
    words = list(dropwhile(re.compile(r"\w+=").match, words))
    for number, word in enumerate(words):
        if Path(word).name == "app.py":
            return "server", words[number + 1 :]
        if word.endswith("/bin/editlab"):
            return editlab_call(words[number + 1 :])
    if words[:1] == ["docker"] and "editlab" in words and "build" not in words and words[-1] != "editlab":
        return editlab_call(words[len(words) - words[::-1].index("editlab") :])
    return editlab_call(words[1:]) if words[:1] == ["editlab"] else None


def editlab_call(given):
    """Return the same for the words behind `editlab`, which serves the page where no command stands there."""
    if given[:1] == ["serve"]:
        return "server", given[1:]
    return "server" if not given or (given[0].startswith("-") and given[0] != "--help") else "terminal", given


def fault_in(line):
    """Return what a line names that does not exist; empty if all of it does."""
    for words in commands(line):
        if (call := call_of(words)) is None:
            continue
        kind, given = call
        known, command = SERVER, COMMAND
        if kind == "terminal":
            while hasattr(command, "commands"):
                if not given or given[0] in ("...", "$@", "--help"):
                    break
                if given[0] not in command.commands:
                    return f"{command.name or 'editlab'} {given[0]}"
                command, given = command.commands[given[0]], given[1:]
            known = {"--help"} | {name for own in command.params for name in (*own.opts, *own.secondary_opts)}
        unknown = [word.partition("=")[0] for word in given if word.startswith("--")]
        unknown = [word for word in unknown if word not in known]
        if unknown:
            return " ".join(unknown)
    return ""


# Commands and options


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_every_command_and_option_that_a_document_shows_exists(path):
    lines = [line for line in command_lines(path.read_text(encoding="utf-8")) if "editlab" in line or "app.py" in line]
    assert [(line, fault) for line in lines if (fault := fault_in(line))] == []


def test_the_documents_show_many_commands():
    lines = [line for path in DOCUMENTS for line in command_lines(path.read_text(encoding="utf-8"))]
    calls = [call[0] for line in lines for words in commands(line) if (call := call_of(words))]
    assert calls.count("terminal") > 100 and calls.count("server") > 12


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("editlab ledger backup --to DIR --fast   # a comment", "--fast"),
        ("editlab ledger copy --to DIR", "ledger copy"),
        ("editlab rotate", "editlab rotate"),
        ("cd /opt && sudo -u editlab env A=b /opt/.venv/bin/editlab user add ana --file users", "--file"),
        ("python app.py --auth users --tls", "--tls"),
        ("ExecStart=/opt/.venv/bin/python app.py --hosts=lab.example", "--hosts"),
        ("docker run --rm -v editlab:/data editlab python app.py --public", "--public"),
        ("docker exec lab editlab ledger dump", "ledger dump"),
        ("docker run --rm -it -v editlab:/data editlab editlab user add ana --auth users", ""),
        ("docker build -t editlab . && docker run --rm editlab", ""),
        ("editlab edit ... --workspace team", ""),
        ("python app.py --no-check-ups --demo", ""),
        ("editlab --auth users --tls", "--tls"),
        ("editlab serve --public", "--public"),
        ("/opt/.venv/bin/editlab --hosts=lab.example", "--hosts"),
        ("editlab --no-check-ups --demo && editlab serve --port 8000 && editlab --help", ""),
    ],
)
def test_what_does_not_exist_is_found(line, fault):
    assert fault_in(line) == fault


OF_TESTS = {"EDITLAB_SHARED_DATA", "EDITLAB_TEST_PACKAGES"}
"""What tests/papers and tests/real read."""


def leaves(command, *names):
    """Yield the words of every command below one."""
    for name, own in command.commands.items():
        yield from leaves(own, *names, name) if hasattr(own, "commands") else [" ".join((*names, name))]


def test_every_command_stands_in_interfaces():
    described = set(re.findall(r"`editlab ([a-z -]+)`", INTERFACES.partition("## Terminal")[2].partition("\n## ")[0]))
    assert described - {"serve"} == set(leaves(COMMAND)) - {"serve"}


def test_every_setting_stands_in_interfaces_and_no_other():
    rows = re.findall(r"^\| `(EDITLAB_\w+)` \| `--([a-z-]+)` \|", INTERFACES, re.MULTILINE)
    assert rows == [(f"EDITLAB_{name.upper()}", name.replace("_", "-")) for name in Settings.model_fields]


@pytest.mark.parametrize("path", [*DOCUMENTS, ROOT / "Dockerfile"], ids=named)
def test_every_variable_that_a_document_names_is_read(path):
    named = set(re.findall(r"\bEDITLAB_[A-Z_]+\b", path.read_text(encoding="utf-8")))
    known = {f"EDITLAB_{name.upper()}" for name in Settings.model_fields} | OF_TESTS
    assert named <= known


# What else would stop being true


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_every_link_leads_somewhere(path):
    text = prose(path.read_text(encoding="utf-8"))
    lost = []
    for link in re.findall(r"(?:\]\(|(?:src|srcset)=\")([^)\"]+)", text):
        if link.startswith(("http://", "https://")):
            continue
        file, _, heading = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        if not target.exists() or (heading and heading not in headings(target)):
            lost.append(link)
    assert lost == []


def headings(path):
    """Return the anchors of a document's headings, as GitHub makes them."""
    if path.suffix != ".md":
        return set()
    titles = re.findall(r"^#+ (.+)$", prose(path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def citations(text):
    """Yield each document that the docstrings of a module's text cite, as a path, with the sections cited or none."""
    strings = (node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Expr))
    for string in strings:
        if isinstance(string, ast.Constant) and isinstance(string.value, str):
            cited = re.findall(r"([\w./-]+\.md)`?((?:(?:,| and)? \d+\.\d+)*)", string.value)
            yield from ((name, re.findall(r"\d+\.\d+", sections)) for name, sections in cited)


def lost_citations(text):
    """Return the documents and sections that docstrings cite and that do not exist; a bare name is one of docs/."""
    lost = []
    for name, sections in citations(text):
        path = ROOT / name if (ROOT / name).is_file() else DOCS / name
        titles = re.findall(r"^#+ (\d+\.\d+) ", path.read_text(encoding="utf-8"), re.MULTILINE) if path.is_file() else []
        lost += [name] * (not path.is_file()) + [f"{name} {section}" for section in sections if section not in titles]
    return lost


def test_every_document_and_section_that_a_docstring_cites_exists():
    assert {named(path): lost for path in MODULES if (lost := lost_citations(path.read_text(encoding="utf-8")))} == {}
    assert sum(len(list(citations(path.read_text(encoding="utf-8")))) for path in MODULES) > 5


def test_a_lost_citation_is_found():
    module = '"""See methods.md 1.3 and 9.9, docs/results/tuning.md."""\n\n\nX = 1\n"""After `gone.md` 2.1."""\n'
    assert lost_citations(module) == ["methods.md 9.9", "gone.md", "gone.md 2.1"]


def test_every_document_that_a_preset_cites_exists():
    for path in (ROOT / "presets").rglob("*.toml"):
        cited = re.findall(r"docs/[\w./-]+\.md", path.read_text(encoding="utf-8"))
        assert [name for name in cited if not (ROOT / name).is_file()] == [], named(path)


def test_every_event_of_the_log_is_on_the_page_for_operators():
    table = DEPLOY.partition("## The log")[2].partition("\n## ")[0]
    logged = set(re.findall(r"\"event\": \"([^\"]+)\"", SOURCES))
    described = {
        name for row in re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE) for name in re.findall(r"`([^`]+)`", row)
    }
    assert len(logged) > 10 and described - {"event"} == logged


def test_every_metric_in_the_rules_for_prometheus_exists():
    used = re.findall(r"\beditlab_\w+", DEPLOY.partition("## Prometheus")[2])
    made = set(re.findall(r"(?:Counter|Histogram)\(\"(\w+)\"", SOURCES))
    made |= {f"editlab_{name}" for name in re.findall(r"gauge\(\s*\"(\w+)\"", SOURCES)}
    assert len(used) > 6 and {name.removesuffix("_total") for name in used} <= made


def test_there_is_one_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    newest = re.search(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None and cited is not None and version == editlab.__version__ == newest[1] == cited[1]


def test_the_site_has_a_place_for_every_document():
    places = re.findall(r"(?:: |- )(docs/\S+\.md)$", (ROOT / "tools/site/mkdocs.yml").read_text(encoding="utf-8"), re.M)
    assert sorted(places) == sorted(named(path) for path in DOCS.rglob("*.md"))
