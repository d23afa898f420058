"""Who may do what, and how much of it: users, limits, files that come and go, logs."""
