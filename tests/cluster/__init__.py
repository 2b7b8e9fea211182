"""What a real API server says to the manifests (`make cluster`)."""
