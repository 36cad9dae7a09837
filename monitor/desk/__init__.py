"""What a person at the desk may ask for and do."""
