"""What the page calls views, kinds of probes and tokens: the same as reports do."""

from editlab.names import KIND_NAMES, TOLD, VIEW_TITLES, kind_name, token_name, view_title

__all__ = ["KIND_NAMES", "TOLD", "VIEW_TITLES", "kind_name", "token_name", "view_title"]
