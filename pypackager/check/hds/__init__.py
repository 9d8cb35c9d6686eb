"""HTTP Dynamic Streaming (Adobe F4M, F4V): manifests, bootstraps and fragments in, tracks and findings out."""
