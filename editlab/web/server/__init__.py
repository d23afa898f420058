"""The server around the page: its routes, its login, and the layers that check requests."""
