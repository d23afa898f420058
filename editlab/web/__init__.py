"""The page: Gradio over the lab. It knows no tensor."""

import os

# Gradio reads this once, when it is imported, and calls home otherwise.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

from editlab.web.page import create_page
from editlab.web.server.app import create_app

__all__ = ["create_app", "create_page"]
