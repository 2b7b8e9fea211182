"""The committed form of the contract: `contract.json` and `topology.json`.

`python -m shared_events.contracts` writes both anew and refuses a change that would break
somebody; `--check` writes nothing and fails on any difference.
"""
