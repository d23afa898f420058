"""Access: users, rate limits, uploads and downloads, and the log."""
