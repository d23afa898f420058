"""What the documents tell to type exists: commands, options, variables, links, what the log and Prometheus are told."""

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

GUIDES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
DOCUMENTS = [*GUIDES, ROOT / "SECURITY.md", ROOT / "CHANGELOG.md"]
OPERATE = (ROOT / "docs" / "operate.md").read_text(encoding="utf-8")
COMMAND = typer.main.get_command(app)
SERVER = {"--help"} | {
    f"--{prefix}{name.replace('_', '-')}"
    for name, field in Settings.model_fields.items()
    for prefix in (("", "no-") if field.annotation is bool else ("",))
}
SOURCES = "".join(path.read_text(encoding="utf-8") for path in [ROOT / "app.py", *(ROOT / "editlab").rglob("*.py")])


def named(path):
    return str(path.relative_to(ROOT))


def blocks(text, *languages):
    """What stands in fences of these languages."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [block for language, block in found if language in languages]


def typed(text):
    """Each command line that a document shows, in fences and within its sentences."""
    for block in blocks(text, "sh", "ini", "crontab"):
        yield from block.replace("\\\n", " ").splitlines()
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    spans = (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose))
    yield from (span for span in spans if span.startswith(("editlab ", "python app.py")))


def parts(line):
    """The words of each command of a line, without its comment."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    found = [[]]
    for word in lexer:
        if set(word) <= set("();<>|&"):
            found.append([])
        else:
            found[-1].append(word)
    return found


def called(words):
    """("server" or "terminal", what it is given) where a command calls EditLab, which is also a user, a folder, an image."""
    words = list(dropwhile(re.compile(r"\w+=").match, words))
    for number, word in enumerate(words):
        if Path(word).name == "app.py":
            return "server", words[number + 1 :]
        if word.endswith("/bin/editlab"):
            return "terminal", words[number + 1 :]
    if words[:1] == ["docker"] and "editlab" in words and "build" not in words and words[-1] != "editlab":
        return "terminal", words[len(words) - words[::-1].index("editlab") :]
    return ("terminal", words[1:]) if words[:1] == ["editlab"] else None


def wrong(line):
    """What of a line does not exist; empty where all does."""
    for words in parts(line):
        if (call := called(words)) is None:
            continue
        kind, given = call
        known, command = SERVER, COMMAND
        if kind == "terminal":
            while hasattr(command, "commands"):
                if not given or given[0] in ("...", "$@"):
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


@pytest.mark.parametrize("path", GUIDES, ids=named)
def test_every_command_and_option_that_a_guide_shows_exists(path):
    lines = [line for line in typed(path.read_text(encoding="utf-8")) if "editlab" in line or "app.py" in line]
    assert [(line, fault) for line in lines if (fault := wrong(line))] == []


def test_the_guides_show_many_commands():
    lines = [line for path in GUIDES for line in typed(path.read_text(encoding="utf-8"))]
    calls = [call[0] for line in lines for words in parts(line) if (call := called(words))]
    assert calls.count("terminal") > 60 and calls.count("server") > 8


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
    ],
)
def test_what_does_not_exist_is_found(line, fault):
    assert wrong(line) == fault


@pytest.mark.parametrize("path", [*DOCUMENTS, ROOT / "Dockerfile"], ids=named)
def test_every_variable_that_a_document_names_is_read(path):
    named = set(re.findall(r"\bEDITLAB_[A-Z_]+\b", path.read_text(encoding="utf-8")))
    known = {f"EDITLAB_{name.upper()}" for name in Settings.model_fields}
    assert named <= known


# What else would stop being true


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_every_link_leads_somewhere(path):
    text = path.read_text(encoding="utf-8")
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
    """The anchors of a document's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_event_of_the_log_is_on_the_operators_page():
    table = OPERATE.partition("## The log")[2].partition("\n## ")[0]
    logged = set(re.findall(r"\"event\": \"([^\"]+)\"", SOURCES))
    told = {name for row in re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE) for name in re.findall(r"`([^`]+)`", row)}
    assert len(logged) > 10 and told - {"event"} == logged


def test_prometheus_is_told_of_what_there_is():
    told = re.findall(r"\beditlab_\w+", OPERATE.partition("## Prometheus")[2])
    made = set(re.findall(r"(?:Counter|Histogram)\(\"(\w+)\"", SOURCES))
    made |= {f"editlab_{name}" for name in re.findall(r"gauge\(\s*\"(\w+)\"", SOURCES)}
    assert len(told) > 6 and {name.removesuffix("_total") for name in told} <= made


def test_there_is_one_version():
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    newest = re.search(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None and told == editlab.__version__ == newest[1]
    assert f"## Release {told}" in (ROOT / "SECURITY.md").read_text(encoding="utf-8")
