"""Figures of one portrait, or of one beside its truth. Pure: pixels, points and bytes in, numbers out."""
