"""Workspaces: the edits of one person or group, their past, and what can be done with them."""
