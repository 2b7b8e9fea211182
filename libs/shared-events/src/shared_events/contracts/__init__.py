"""The committed form of the contract: JSON Schemas, topology and AsyncAPI documents.

`python -m shared_events.contracts` writes `shared_events/schemas/` anew and refuses a change that
would break somebody; `--check` writes nothing and fails on any difference (design section 3).
"""
