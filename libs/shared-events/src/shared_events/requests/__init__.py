"""The bus API: what the gateway asks of the services (design section 3, `crm.requests`)."""
