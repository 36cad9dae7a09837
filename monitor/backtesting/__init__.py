"""History played through the real path, and what it would have alerted."""
