"""HTTP: connections, middleware, request bodies, responses and errors."""
