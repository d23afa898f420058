"""Runs a program and writes down every connection and name look-up that it begins: python watched.py LOG app.py [...].

Each is a line of JSON with the event of Python's audit (PEP 578) and what it is about. Whatever refuses it comes later.
"""

import json
import runpy
import sys

log, *program = sys.argv[1:]
file = open(log, "a", buffering=1, encoding="utf-8")  # noqa: SIM115 - open until the process ends


def write(event, args):
    if event not in EVENTS:
        return
    opened, about = args if event in ("socket.connect", "socket.sendto", "socket.sendmsg") else (None, args[0])
    if opened is None or (opened.family.name != "AF_UNIX" and about is not None):
        file.write(json.dumps([event, str(about)]) + "\n")


EVENTS = {
    "socket.connect",
    "socket.sendto",
    "socket.sendmsg",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "socket.gethostbyaddr",
    "socket.getnameinfo",
}
sys.addaudithook(write)
sys.argv = sys.orig_argv[sys.orig_argv.index(__file__) + 2 :]
sys.path[0] = "."
runpy.run_path(program[0], run_name="__main__")
