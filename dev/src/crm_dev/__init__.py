"""The native development stack: three servers and five services, no containers."""
