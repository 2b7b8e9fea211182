"""What channels heard, and when: by it the deaf are known (`liveness`)."""
