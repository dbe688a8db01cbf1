"""An index over HTTP: the API, the page, and what keeps both standing."""
