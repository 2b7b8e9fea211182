"""What the tests of every package share: real servers, running services, proofs about schemas."""
