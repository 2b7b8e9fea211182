"""The contract between the services: events, requests, topology, identity.

Pydantic and the standard library only, but for `topology`, whose exchanges and queues are
FastStream's. Anything that talks to a broker or a database lives in `service_kit`. A service may
import every module here and no other service.
"""
