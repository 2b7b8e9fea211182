"""Checks of what is deployed: Dockerfile, compose file, Kubernetes manifests."""
