"""The gateware of Spikeloom, in Amaranth: cores, routers, ring, sequencer, and the tops that boards need."""
