"""`make soak`: hours of messages while processes are killed; nothing may be lost, doubled, moved.

It is a proof, unlike the figures beside it: its exit code says whether it held.
"""
