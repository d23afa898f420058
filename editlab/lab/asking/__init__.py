"""Questions about an edit that is applied: its keys, its inside, and what leads back from it."""
