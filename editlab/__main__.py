"""`editlab` and `python -m editlab`: a command of the terminal, or the page."""

import sys
from collections.abc import Sequence

HELP = ("--help", "-h")


def main() -> None:
    """Run the command that the process was called with; without one, serve the page."""
    command, *args = with_command(sys.argv[1:])
    if command == "serve":
        from editlab import serve  # the terminal's imports take seconds, in which Ctrl-C would end in a trace

        sys.exit(serve.main(args))
    try:
        from editlab.cli import app
    except KeyboardInterrupt:  # it takes seconds, and knows what to answer only afterwards
        sys.exit("Stopped.")
    app(prog_name="editlab")


def with_command(args: Sequence[str]) -> list[str]:
    """Return the arguments with the command that may be left out: `editlab --demo` is `editlab serve --demo`."""
    named = bool(args) and (not args[0].startswith("-") or args[0] in HELP)
    return [*args] if named else ["serve", *args]


if __name__ == "__main__":
    main()
