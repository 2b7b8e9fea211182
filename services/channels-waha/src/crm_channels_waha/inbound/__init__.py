"""From WAHA: raw events become domain events, or are kept."""
