"""EditLab on a machine whose device stops answering when Japan is edited, until the process was started again."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from editlab import serve
from editlab.methods import METHODS
from editlab.model import memory

FIRST_LIFE = serve.RESTARTED not in os.environ
ROME = type(METHODS["rome"])
real = ROME.edit


def edit(self, model, requests, *given, **named):
    if FIRST_LIFE and requests[0].subject == "Japan":
        raise RuntimeError("CUDA error: device-side assert triggered")
    return real(self, model, requests, *given, **named)


ROME.edit = edit
memory.poisoned = lambda device: FIRST_LIFE

if __name__ == "__main__":
    sys.exit(serve.main())
