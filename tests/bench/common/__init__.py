"""What several benchmarks share: the machine's name, the weights, and the original's steps to compare with."""
