"""Which words made the model say what it said."""
