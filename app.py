"""Opens the lab and serves the page: python app.py [--model M] [--host H] [--port 7860] ..."""

import sys

import uvicorn
from pydantic import ValidationError
from pydantic_settings import CliApp

from editlab.errors import EditLabError
from editlab.lab import Lab
from editlab.settings import Settings
from editlab.web import create_app


def main() -> int:
    """Serve until stopped. Bad input ends with status 2 and a sentence on standard error."""
    try:
        settings = CliApp.run(Settings)
        lab = Lab.open(settings)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        print(f"These settings do not fit: {faults}. See python app.py --help.", file=sys.stderr)
        return 2
    except EditLabError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        uvicorn.run(create_app(lab), host=settings.host, port=settings.port, log_level="warning")
    finally:
        lab.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
