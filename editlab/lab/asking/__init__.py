"""Questions about an applied edit: its answers and probes, its keys, its layers, and ways to reverse it."""
