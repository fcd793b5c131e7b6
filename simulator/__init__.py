"""A simulated inference server and simulated GPUs, for the demo, the tests and the evaluation of rules."""
