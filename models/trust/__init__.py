"""What a model can be trusted with: metrics, behaviour tests, and whether a challenger may replace a champion."""
