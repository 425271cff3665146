"""What the API computes without a run: networks, calls of operators, gradient checks, exports."""
