"""EditLab with an edit that also calls home: by name, and by the address of the page itself."""

import os
import socket
import sys

from editlab import serve
from editlab.methods import METHODS

ROME = type(METHODS["rome"])
real = ROME.edit
PORT = int(sys.argv[sys.argv.index("--port") + 1])


def edit(self, *given, **named):
    said = []
    for address in (("home.invalid", 443), ("127.0.0.1", PORT)):
        try:
            socket.create_connection(address, timeout=5).close()
            said.append("connected")
        except OSError as error:
            said.append(type(error).__name__)
    os.write(2, f"calling home: {', '.join(said)}\n".encode())  # what is printed does not get to the log
    return real(self, *given, **named)


ROME.edit = edit

if __name__ == "__main__":
    sys.exit(serve.main())
