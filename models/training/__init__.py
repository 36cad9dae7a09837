"""Training: labelled headlines, recipes, adapters that learn, and the card of what came out."""
