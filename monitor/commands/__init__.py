"""What a user types: one module a command. Each reads settings, calls the room's functions, and prints."""
