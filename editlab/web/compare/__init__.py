"""The Compare tab: methods side by side on one fact."""
