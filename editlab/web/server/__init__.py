"""The server around the page: what it lets in, and whom."""
