"""The console: the CRM in a browser, by its REST API and event stream alone (docs/console.md)."""
