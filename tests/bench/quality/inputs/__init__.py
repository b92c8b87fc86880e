"""The photos to measure on: the samples, and what is made of them."""
