"""The HTTP interface: completions in OpenAI's form, edits and probes for other programs."""

from editlab.web.api.routes import API_PAGES, Api, is_call
from editlab.web.api.service import add_api, create_api

__all__ = ["API_PAGES", "Api", "add_api", "create_api", "is_call"]
