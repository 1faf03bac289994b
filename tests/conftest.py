"""What all tests share."""

import os

# Simulators of tests run for seconds: most of their time is the compiler's.
os.environ.setdefault("SPIKELOOM_OPTIMISE", "-O1")
