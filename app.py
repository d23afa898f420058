"""Opens the page, as `editlab` does: python app.py [--model M] [--host H] [--port 7860] [--auth FILE] [--demo] ..."""

import sys

from editlab.serve import main

if __name__ == "__main__":
    sys.exit(main())
