"""Pages that show trends, alerts and the health of feeds: they read through monitor and decide nothing."""
