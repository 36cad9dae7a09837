"""News: headlines with an identity of their own, the companies they name, the stories they tell."""
