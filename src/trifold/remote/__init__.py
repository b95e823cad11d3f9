"""Speaking with a service of trifold over HTTP: addresses, retries, requests and replies. It knows no task."""
