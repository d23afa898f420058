"""The Workspace tab."""
