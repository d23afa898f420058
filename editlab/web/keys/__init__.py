"""The Keys tab."""
