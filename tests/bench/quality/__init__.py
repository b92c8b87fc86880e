"""How good the portraits are, by figures: `make quality`."""
