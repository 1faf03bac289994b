"""What stands beside the gateware: the golden model, the test bench helpers, the simulated board."""
