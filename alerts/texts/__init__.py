"""What an alert says, in words, as a mail and as a picture: one account of it for every channel. Pure."""
