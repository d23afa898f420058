"""Workspaces: their edits, history and check-ups, and their bundles and exports."""
