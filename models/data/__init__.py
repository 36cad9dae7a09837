"""Labelled texts: public sets, a desk's own, and texts made from them."""
